import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

/** The server under test, as the scripts see it. */
public final class Server {
    static final boolean RAPPORT = "rapport".equals(System.getenv("SERVER_ENGINE"));

    /** 2,000 interactions three times with themselves: no server finishes this while a test waits. */
    static final String ENDLESS = "SELECT count(*) FROM interactions a, interactions b, interactions c "
            + "WHERE a.quantity + b.quantity > c.quantity + 1000000";

    /** Purchases of 600 customers, who stop within two years. */
    static final String PURCHASES = "CREATE TABLE %s AS SELECT c AS customer_id, TIMESTAMPTZ '2024-01-01 12:00:00+00' "
            + "+ (c * 7 %% 400 + floor(k * (4 + 40 * u) + c * k * 31 %% 5)::integer) * interval '1 day' AS occurred_at, "
            + "(10 + c * 31 %% 90 + c * k %% 7)::numeric(18,2) AS amount "
            + "FROM (SELECT c, (c * 104729 + 7) * 2246822519 %% 4294967296 / 4294967296.0 AS u, "
            + "((c * 7919 + 13) * 2654435761 %% 4294967296 + 0.5) / 4294967296.0 AS v FROM generate_series(1, 600) AS g (c)) "
            + "AS customers, generate_series(0, 40) AS k WHERE k <= floor(ln(v) / ln(0.85)) "
            + "AND c * 7 %% 400 + floor(k * (4 + 40 * u) + c * k * 31 %% 5)::integer < 731";

    interface Action {
        void run() throws Exception;
    }

    /** Connection properties as name, value, name, value. */
    static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        for (int i = 0; i < options.length; i += 2) {
            properties.setProperty(options[i], options[i + 1]);
        }
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
                + "/" + System.getenv("PGDATABASE"), properties);
    }

    static void same(Object actual, Object expected) {
        if (!Objects.deepEquals(actual, expected)) {
            throw new AssertionError("\nexpected " + shown(expected) + "\n     got " + shown(actual));
        }
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static String shown(Object value) {
        return value instanceof Object[] array ? Arrays.deepToString(array) : String.valueOf(value);
    }

    /** The SQLSTATE that the action must end with. */
    static String sqlstate(Action action) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            return error.getSQLState();
        }
        throw new AssertionError("expected an SQLException");
    }

    /** A whole result, its columns' names first. Who asks is `me` and where is `here`, as they differ. */
    static String told(ResultSet result) throws SQLException {
        int width = result.getMetaData().getColumnCount();
        StringBuilder out = new StringBuilder();
        for (int i = 1; i <= width; i++) {
            out.append(i == 1 ? "" : "|").append(result.getMetaData().getColumnLabel(i));
        }
        for (String row : rows(result)) {
            out.append('\n').append(row.replace(System.getenv("PGUSER"), "me").replace(System.getenv("PGDATABASE"), "here"));
        }
        return out.append('\n').toString();
    }

    /** Every row, its columns as text with a bar between them. */
    static List<String> rows(ResultSet result) throws SQLException {
        List<String> rows = new ArrayList<>();
        int width = result.getMetaData().getColumnCount();
        while (result.next()) {
            StringBuilder row = new StringBuilder();
            for (int i = 1; i <= width; i++) {
                row.append(i == 1 ? "" : "|").append(result.getString(i));
            }
            rows.add(row.toString());
        }
        result.close();
        return rows;
    }

    /** Every row, only these columns of it. */
    static List<String> rows(ResultSet result, String... columns) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (result.next()) {
            StringBuilder row = new StringBuilder();
            for (String column : columns) {
                row.append(row.length() == 0 ? "" : "|").append(result.getString(column));
            }
            rows.add(row.toString());
        }
        result.close();
        return rows;
    }

    static List<String> ask(Connection c, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = c.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setObject(i + 1, parameters[i]);
            }
            return rows(statement.executeQuery());
        }
    }

    static void run(Connection c, String... statements) throws SQLException {
        try (Statement statement = c.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        }
    }
}
