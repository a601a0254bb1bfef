import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;

/** Prepared statements, batches, reading in parts, COPY. */
public final class Statements {
    /** From the fifth execution on the driver names its statement and asks for binary results. */
    public static void a_statement_is_the_same_past_its_fifth_execution() throws Exception { // prepared
        try (Connection c = Server.connect();
                PreparedStatement statement = c.prepareStatement("SELECT id, name, amount, sold_at, note FROM sales "
                        + "JOIN (SELECT id AS shop, name FROM shops) s ON shop = shop_id WHERE id = ? AND amount > ?")) {
            String first = null;
            for (int n = 0; n < 12; n++) {
                statement.setLong(1, 17);
                statement.setBigDecimal(2, new java.math.BigDecimal("1.5"));
                String row = Server.rows(statement.executeQuery()).toString();
                first = first == null ? row : first;
                Server.same(row, first);
            }
            Server.check(statement.unwrap(PGStatement.class).isUseServerPrepare(), "it is prepared on the server");
        }
    }

    public static void a_statement_survives_a_change_of_its_table() throws Exception { // prepared
        try (Connection c = Server.connect()) {
            Server.run(c, "CREATE TABLE j_changing (a int)", "INSERT INTO j_changing VALUES (1)");
            try (PreparedStatement statement = c.prepareStatement("SELECT * FROM j_changing WHERE a > ?")) {
                for (int n = 0; n < 8; n++) {
                    statement.setInt(1, 0);
                    Server.same(Server.rows(statement.executeQuery()), List.of("1"));
                }
                Server.run(c, "ALTER TABLE j_changing ADD COLUMN b text");
                Server.same(Server.rows(statement.executeQuery()), List.of("1|null"));
            }
            Server.run(c, "DROP TABLE j_changing");
        }
    }

    public static void prepare_threshold_one_is_named_at_once() throws Exception { // prepared
        try (Connection c = Server.connect("prepareThreshold", "1", "binaryTransfer", "true")) {
            for (int n = 0; n < 4; n++) {
                Server.same(Server.ask(c, "SELECT count(*) FROM sales WHERE shop_id = ?", 2), List.of("200"));
            }
        }
    }

    public static void the_simple_protocol_answers_the_same() throws Exception { // queries
        try (Connection c = Server.connect("preferQueryMode", "simple")) {
            Server.same(Server.ask(c, "SELECT name, ? + 1, ? FROM shops WHERE id = ?", 1, "it's", 3),
                    List.of("Station|2|it's"));
        }
    }

    public static void batches_are_counted() throws Exception { // several
        try (Connection c = Server.connect()) {
            Server.run(c, "CREATE TABLE j_batch (a int, b text)");
            c.setAutoCommit(false);
            try (PreparedStatement statement = c.prepareStatement("INSERT INTO j_batch VALUES (?, ?)")) {
                for (int n = 0; n < 20; n++) {
                    statement.setInt(1, n);
                    statement.setString(2, "row " + n);
                    statement.addBatch();
                }
                int[] counts = statement.executeBatch();
                Server.check(counts.length == 20 && Arrays.stream(counts).allMatch(n -> n == 1), Arrays.toString(counts));
            }
            c.commit();
            Server.same(Server.ask(c, "SELECT count(*), sum(a) FROM j_batch"), List.of("20|190"));
            c.commit();
            Server.run(c, "DROP TABLE j_batch");
            c.commit();
        }
    }

    public static void batches_can_be_rewritten() throws Exception { // several
        try (Connection c = Server.connect("reWriteBatchedInserts", "true")) {
            Server.run(c, "CREATE TABLE j_rewritten (a int, b text)");
            try (PreparedStatement statement = c.prepareStatement("INSERT INTO j_rewritten (a, b) VALUES (?, ?)")) {
                for (int n = 0; n < 100; n++) {
                    statement.setInt(1, n);
                    statement.setString(2, "row " + n);
                    statement.addBatch();
                }
                Server.same(statement.executeBatch().length, 100);
            }
            Server.same(Server.ask(c, "SELECT count(*), sum(a) FROM j_rewritten"), List.of("100|4950"));
            Server.run(c, "DROP TABLE j_rewritten");
        }
    }

    public static void a_failing_batch_says_so() throws Exception { // several, errors
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            statement.addBatch("SELECT 1/0");
            try {
                statement.executeBatch();
                throw new AssertionError("it succeeded");
            } catch (BatchUpdateException error) {
                Server.same(error.getSQLState(), "22012");
            }
        }
    }

    public static void fetch_size_reads_in_parts() throws Exception { // streaming
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            for (int size : new int[] {1, 7, 100, 1000, 5000}) {
                try (PreparedStatement statement = c.prepareStatement("SELECT id FROM sales ORDER BY id")) {
                    statement.setFetchSize(size);
                    int n = 0;
                    try (ResultSet result = statement.executeQuery()) {
                        while (result.next()) {
                            Server.same(result.getInt(1), ++n);
                        }
                    }
                    Server.same(n, 1000);
                }
            }
            c.commit();
        }
    }

    public static void two_results_are_read_in_turns() throws Exception { // cursors
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            try (Statement one = c.createStatement(); Statement two = c.createStatement()) {
                one.setFetchSize(10);
                two.setFetchSize(3);
                ResultSet left = one.executeQuery("SELECT id FROM sales ORDER BY id");
                ResultSet right = two.executeQuery("SELECT id FROM sales ORDER BY id DESC");
                for (int n = 0; n < 40; n++) {
                    Server.check(left.next() && right.next(), "more rows");
                    Server.same(left.getInt(1) + right.getInt(1), 1001);
                }
            }
            c.commit();
        }
    }

    public static void a_result_can_be_left_early() throws Exception { // streaming
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            try (Statement statement = c.createStatement()) {
                statement.setFetchSize(50);
                ResultSet result = statement.executeQuery("SELECT a.source_id FROM interactions a, interactions b, interactions c");
                Server.check(result.next(), "a first row");
            }
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
            c.commit();
        }
    }

    public static void max_rows_ends_a_result() throws Exception { // streaming
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            statement.setMaxRows(7);
            Server.same(Server.rows(statement.executeQuery("SELECT id FROM sales")).size(), 7);
        }
    }

    public static void arrays_are_parameters() throws Exception { // parameters
        try (Connection c = Server.connect();
                PreparedStatement statement = c.prepareStatement("SELECT name FROM shops WHERE id = ANY (?) ORDER BY id")) {
            Array ids = c.createArrayOf("int4", new Object[] {1, 3, 99});
            for (int n = 0; n < 7; n++) {
                statement.setArray(1, ids);
                Server.same(Server.rows(statement.executeQuery()), List.of("Harbour", "Station"));
            }
        }
    }

    public static void nulls_are_parameters() throws Exception { // parameters
        try (Connection c = Server.connect();
                PreparedStatement statement = c.prepareStatement("SELECT count(*) FROM shops WHERE opened = ? OR ? IS NULL")) {
            statement.setNull(1, java.sql.Types.DATE);
            statement.setNull(2, java.sql.Types.VARCHAR);
            Server.same(Server.rows(statement.executeQuery()), List.of("5"));
        }
    }

    public static void limit_and_offset_are_parameters() throws Exception { // parameters
        try (Connection c = Server.connect()) {
            Server.same(Server.ask(c, "SELECT id FROM sales ORDER BY id LIMIT ? OFFSET ?", 2, 10), List.of("11", "12"));
        }
    }

    public static void escapes_of_jdbc_are_taken() throws Exception { // queries
        try (Connection c = Server.connect()) {
            Server.same(Server.ask(c, "SELECT {fn ucase(name)}, {d '2024-02-29'}, {fn concat('a', 'b')} FROM shops WHERE id = 1"),
                    List.of("HARBOUR|2024-02-29|ab"));
        }
    }

    public static void copy_goes_out() throws Exception { // copy
        try (Connection c = Server.connect()) {
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            Server.same(copy.copyOut("COPY (SELECT id, name FROM regions ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)", out), 3L);
            Server.same(out.toString(StandardCharsets.UTF_8), "id,name\n1,North\n2,South\n3,Łódź\n");
        }
    }

    public static void copy_goes_in() throws Exception { // copy
        try (Connection c = Server.connect()) {
            Server.run(c, "CREATE TABLE j_copy (a int, b text)");
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            Server.same(copy.copyIn("COPY j_copy FROM STDIN WITH (FORMAT csv)", new StringReader("1,x\n2,\"y,z\"\n3,\n")), 3L);
            Server.same(Server.ask(c, "SELECT a, b FROM j_copy ORDER BY a"), List.of("1|x", "2|y,z", "3|null"));
            Server.run(c, "DROP TABLE j_copy");
        }
    }

    public static void insert_returns_what_it_made() throws Exception { // writing
        try (Connection c = Server.connect()) {
            Server.run(c, "CREATE TABLE j_returning (a int, b text DEFAULT 'none')");
            try (PreparedStatement statement = c.prepareStatement("INSERT INTO j_returning (a) VALUES (?)",
                    new String[] {"a", "b"})) {
                statement.setInt(1, 5);
                statement.executeUpdate();
                Server.same(Server.rows(statement.getGeneratedKeys()), List.of("5|none"));
            } finally {
                Server.run(c, "DROP TABLE j_returning");
            }
        }
    }
}
