import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;

/** Runs the tests of one class as they are named on the standard input, and answers each with one line. */
public final class One {
    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Class<?> script = Class.forName(arguments[0]);
        BufferedReader names = new BufferedReader(new InputStreamReader(System.in));
        for (String name = names.readLine(); name != null; name = names.readLine()) {
            String answer;
            try {
                Object told = script.getMethod(name).invoke(null);
                answer = "passed " + json(told == null ? "" : told.toString());
            } catch (InvocationTargetException error) {
                error.getCause().printStackTrace();
                answer = "failed";
            }
            System.err.flush();
            answers.println(answer);
            answers.flush();
        }
        System.exit(0);
    }

    private static String json(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\' || c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
