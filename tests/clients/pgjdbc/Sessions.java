import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.List;
import javax.sql.PooledConnection;
import org.postgresql.ds.PGConnectionPoolDataSource;

/** Connecting, transactions, errors, settings, cancelling. */
public final class Sessions {
    public static void it_logs_in() throws Exception { // connect
        try (Connection c = Server.connect("ApplicationName", "a check")) {
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
            Server.same(Server.ask(c, "SHOW application_name"), List.of("a check"));
            Server.check(c.isValid(5), "it is valid");
        }
    }

    public static void tls_is_verified() throws Exception { // tls
        try (Connection c = Server.connect("sslmode", "verify-full", "sslrootcert", System.getenv("PGSSLROOTCERT"))) {
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
        }
    }

    public static void it_connects_without_tls() throws Exception { // connect
        try (Connection c = Server.connect("sslmode", "disable")) {
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
        }
    }

    public static void a_wrong_password_is_refused() throws Exception { // password
        Server.same(Server.sqlstate(() -> Server.connect("password", "wrong")), "28P01");
    }

    public static void an_unknown_user_is_refused() throws Exception { // password
        Server.same(Server.sqlstate(() -> Server.connect("user", "nobody_here")), "28P01");
    }

    public static void settings_of_the_url_hold() throws Exception { // settings
        try (Connection c = Server.connect("options", "-c statement_timeout=7s -c DateStyle=ISO")) {
            Server.same(Server.ask(c, "SHOW statement_timeout"), List.of("7s"));
        }
    }

    public static void the_schema_can_be_chosen() throws Exception { // settings
        try (Connection c = Server.connect("currentSchema", "staging")) {
            Server.same(c.getSchema(), "staging");
            Server.same(Server.ask(c, "SELECT count(*) FROM arrivals"), List.of("2"));
            c.setSchema("public");
            Server.same(Server.ask(c, "SELECT count(*) FROM regions"), List.of("3"));
        }
    }

    public static void errors_carry_their_sqlstate() throws Exception { // errors
        try (Connection c = Server.connect()) {
            for (String[] one : new String[][] {{"SELECT * FROM nowhere", "42P01"}, {"SELECT nothing FROM shops", "42703"},
                {"SELEC 1", "42601"}, {"SELECT 1/0", "22012"}, {"SELECT 'x'::int", "22P02"},
                {"SELECT 3000000000::int", "22003"}, {"SELECT nonsense(1)", "42883"},
                {"SELECT name, count(*) FROM shops GROUP BY 2", "42803"}, {"SELECT DATE '2024-02-30'", "22008"},
                {"SELECT id FROM shops, regions", "42702"}, {"SELECT 1 FROM shops LIMIT -1", "2201W"}}) {
                Server.same(one[0] + " " + Server.sqlstate(() -> Server.ask(c, one[0])), one[0] + " " + one[1]);
            }
        }
    }

    public static void a_failed_transaction_answers_25P02_until_it_ends() throws Exception { // transactions
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            Server.same(Server.sqlstate(() -> Server.ask(c, "SELECT 1/0")), "22012");
            Server.same(Server.sqlstate(() -> Server.ask(c, "SELECT 1")), "25P02");
            c.rollback();
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
            c.commit();
        }
    }

    public static void autosave_goes_on_after_an_error() throws Exception { // transactions
        try (Connection c = Server.connect("autosave", "always")) {
            c.setAutoCommit(false);
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
            Server.same(Server.sqlstate(() -> Server.ask(c, "SELECT 1/0")), "22012");
            Server.same(Server.ask(c, "SELECT 2"), List.of("2"));
            c.commit();
        }
    }

    public static void savepoints_are_taken_and_left() throws Exception { // transactions
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            Server.ask(c, "SELECT 1");
            Savepoint named = c.setSavepoint("here");
            Server.same(Server.sqlstate(() -> Server.ask(c, "SELECT 1/0")), "22012");
            c.rollback(named);
            Server.same(Server.ask(c, "SELECT 2"), List.of("2"));
            c.releaseSavepoint(named);
            c.commit();
        }
    }

    public static void isolation_and_read_only_are_set() throws Exception { // transactions
        try (Connection c = Server.connect()) {
            Server.same(c.getTransactionIsolation(), Connection.TRANSACTION_READ_COMMITTED);
            c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            Server.same(Server.ask(c, "SHOW transaction_isolation"), List.of("repeatable read"));
            c.setReadOnly(true);
            c.setAutoCommit(false);
            Server.same(Server.sqlstate(() -> Server.run(c, "CREATE TABLE j_never (a int)")), "25006");
            c.rollback();
        }
    }

    public static void writes_become_visible_at_commit() throws Exception { // transactions
        try (Connection c = Server.connect(); Connection other = Server.connect()) {
            Server.run(c, "CREATE TABLE j_commit (a int)");
            c.setAutoCommit(false);
            Server.run(c, "INSERT INTO j_commit VALUES (1), (2)");
            Server.same(Server.ask(other, "SELECT count(*) FROM j_commit"), List.of("0"));
            Server.same(Server.ask(c, "SELECT count(*) FROM j_commit"), List.of("2"));
            c.commit();
            Server.same(Server.ask(other, "SELECT count(*) FROM j_commit"), List.of("2"));
            Server.run(c, "DELETE FROM j_commit");
            c.rollback();
            Server.same(Server.ask(c, "SELECT count(*) FROM j_commit"), List.of("2"));
            c.commit();
            Server.run(other, "DROP TABLE j_commit");
        }
    }

    public static void several_statements_give_several_results() throws Exception { // several
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            Server.check(statement.execute("SELECT 1; SELECT 'two'; SET statement_timeout = 0"), "a result first");
            Server.same(Server.rows(statement.getResultSet()), List.of("1"));
            Server.check(statement.getMoreResults(), "a second result");
            Server.same(Server.rows(statement.getResultSet()), List.of("two"));
            Server.check(!statement.getMoreResults(), "no third result");
        }
    }

    public static void counts_of_changed_rows_are_told() throws Exception { // writing
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            Server.same(statement.executeUpdate("CREATE TABLE j_counts (a int, b text)"), 0);
            Server.same(statement.executeUpdate("INSERT INTO j_counts VALUES (1, 'x'), (2, 'y'), (3, 'z')"), 3);
            Server.same(statement.executeUpdate("UPDATE j_counts SET b = 'w' WHERE a > 1"), 2);
            Server.same(statement.executeUpdate("DELETE FROM j_counts WHERE a = 1"), 1);
            statement.executeUpdate("DROP TABLE j_counts");
        }
    }

    public static void cancel_stops_the_work() throws Exception { // cancel
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(500);
                    statement.cancel();
                } catch (InterruptedException | SQLException error) {
                    throw new AssertionError(error);
                }
            });
            canceller.start();
            Server.same(Server.sqlstate(() -> statement.executeQuery(Server.ENDLESS)), "57014");
            canceller.join();
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
        }
    }

    public static void a_query_timeout_stops_the_work() throws Exception { // timeout
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            statement.setQueryTimeout(1);
            Server.same(Server.sqlstate(() -> statement.executeQuery(Server.ENDLESS)), "57014");
            Server.same(Server.ask(c, "SELECT 1"), List.of("1"));
        }
    }

    public static void a_temporary_table_is_of_the_session() throws Exception { // temporary
        try (Connection c = Server.connect(); Connection other = Server.connect()) {
            Server.run(c, "CREATE LOCAL TEMPORARY TABLE \"#Tableau_1_2_Connect_Check\" (\"COL\" INTEGER) "
                    + "ON COMMIT PRESERVE ROWS");
            Server.same(Server.ask(c, "SELECT count(\"COL\") FROM \"#Tableau_1_2_Connect_Check\""), List.of("0"));
            Server.same(Server.sqlstate(() -> Server.ask(other, "SELECT * FROM \"#Tableau_1_2_Connect_Check\"")), "42P01");
            Server.run(c, "DROP TABLE \"#Tableau_1_2_Connect_Check\"");
        }
    }

    public static void tableau_s_probe_is_answered() throws Exception { // connect
        try (Connection c = Server.connect()) {
            Server.run(c, "SELECT * INTO LOCAL TEMPORARY TABLE \"#Tableau_sid_1_Connect_Check\" FROM (SELECT 1 AS COL) AS T",
                    "DROP TABLE \"#Tableau_sid_1_Connect_Check\"");
            Server.same(Server.sqlstate(() -> Server.ask(c, "SELECT count(1) AS x FROM shops GROUP BY 2")), "42P10");
        }
    }

    public static void warnings_arrive() throws Exception { // notices
        try (Connection c = Server.connect(); Statement statement = c.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS j_nowhere");
            Server.check(statement.getWarnings() != null, "a notice");
            Server.same(statement.getWarnings().getMessage(), "table \"j_nowhere\" does not exist, skipping");
        }
    }

    public static void a_result_can_be_scrolled() throws Exception { // cursors
        try (Connection c = Server.connect();
                Statement statement = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
                ResultSet result = statement.executeQuery("SELECT id FROM shops ORDER BY id")) {
            Server.check(result.last(), "there is a last row");
            Server.same(result.getInt(1), 5);
            Server.check(result.absolute(2), "there is a second row");
            Server.same(result.getInt(1), 2);
        }
    }

    public static void a_stranger_s_certificate_is_not_trusted() throws Exception { // tls
        String state = Server.sqlstate(() -> Server.connect("sslmode", "verify-full", "sslrootcert", "/nowhere"));
        Server.check(state.startsWith("08"), state);
    }

    public static void tables_are_made_changed_and_dropped() throws Exception { // definitions
        try (Connection c = Server.connect()) {
            Server.run(c, "CREATE TABLE j_changed (a int)", "ALTER TABLE j_changed ADD COLUMN b text",
                    "INSERT INTO j_changed VALUES (1, 'x')", "CREATE VIEW j_view AS SELECT b FROM j_changed");
            Server.same(Server.ask(c, "SELECT * FROM j_changed"), List.of("1|x"));
            Server.same(Server.ask(c, "SELECT * FROM j_view"), List.of("x"));
            Server.run(c, "DROP VIEW j_view", "DROP TABLE j_changed");
            Server.same(Server.sqlstate(() -> Server.ask(c, "SELECT * FROM j_changed")), "42P01");
        }
    }

    public static void a_pooled_connection_is_handed_on() throws Exception { // pools
        PGConnectionPoolDataSource source = new PGConnectionPoolDataSource();
        source.setURL("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
                + System.getenv("PGDATABASE"));
        PooledConnection pooled = source.getPooledConnection(System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
        for (int n = 0; n < 3; n++) {
            try (Connection c = pooled.getConnection()) {
                Server.check(c.isValid(5), "it is valid");
                Server.run(c, "DISCARD ALL");
                Server.same(Server.ask(c, "SHOW statement_timeout"), List.of("0"));
                Server.run(c, "SET statement_timeout = '9s'");
            }
        }
        pooled.close();
    }

    public static void privileges_are_asked_for() throws Exception { // privileges
        try (Connection c = Server.connect()) {
            Server.same(Server.ask(c, "SELECT has_table_privilege('shops', 'SELECT'), has_column_privilege('shops', 'name', 'UPDATE'), "
                    + "has_schema_privilege('staging', 'USAGE')"), List.of("t|t|t"));
        }
    }
}
