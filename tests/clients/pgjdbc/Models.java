import java.sql.Connection;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.List;

/** Models, as Tableau's and Airflow's driver makes, refreshes and reads them. PostgreSQL has none. */
public final class Models {
    private static Connection made(String name) throws Exception {
        Connection c = Server.connect();
        Server.run(c, "DROP MODEL IF EXISTS " + name, "DROP TABLE IF EXISTS " + name + "_purchases",
                String.format(Server.PURCHASES, name + "_purchases"));
        try (Statement statement = c.createStatement()) {
            statement.execute("CREATE MODEL " + name + " TYPE clv OPTIONS (horizon = 90, scores = " + name + ") AS SELECT * FROM "
                    + name + "_purchases WITH NO DATA");
            // Before the last 90 days: the next version can be judged beside it.
            statement.execute("REFRESH MODEL " + name + " AS OF '2025-09-30'");
        }
        return c;
    }

    private static void drop(Connection c, String name) throws Exception {
        Server.run(c, "DROP MODEL " + name, "DROP TABLE " + name + "_purchases");
        c.close();
    }

    public static void a_model_is_made_refreshed_and_read() throws Exception { // models
        if (!Server.RAPPORT) {
            return;
        }
        Connection c = made("j_worth");
        try (Statement statement = c.createStatement()) {
            ResultSet row = statement.executeQuery("REFRESH MODEL j_worth");
            row.next();
            Server.same(List.of(row.getString("model"), row.getLong("version"), row.getLong("rows"), row.getBoolean("published")),
                    List.of("j_worth", 2L, 600L, true));
            StringBuilder said = new StringBuilder();
            for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) {
                said.append(warning.getMessage()).append('\n');
            }
            Server.check(said.toString().contains("j_worth: fitting (phase 2 of "), said.toString());
        }
        Server.same(Server.rows(c.createStatement().executeQuery("SELECT count(*), max(version) FROM scores.j_worth")),
                List.of("600|2"));
        Server.same(Server.rows(c.createStatement().executeQuery("SELECT model, version FROM models.models WHERE model = 'j_worth'")),
                List.of("j_worth|2"));
        drop(c, "j_worth");
    }

    /** From the fifth execution on in binary; the version is an int4, the moment a date. */
    public static void parameters_are_of_their_own_types() throws Exception { // models
        if (!Server.RAPPORT) {
            return;
        }
        Connection c = made("j_given");
        try (PreparedStatement refresh = c.prepareStatement("SELECT * FROM refresh_model(?, ?)")) {
            refresh.setString(1, "j_given");
            refresh.setDate(2, Date.valueOf("2025-12-01"));
            ResultSet row = refresh.executeQuery();
            row.next();
            Server.same(row.getLong("version"), 2L);
        }
        try (PreparedStatement promote = c.prepareStatement("SELECT * FROM promote_model(?, ?, ?)")) {
            for (int n = 0; n < 8; n++) {
                promote.setString(1, "j_given");
                promote.setInt(2, 1 + n % 2);
                promote.setString(3, "to try");
                ResultSet row = promote.executeQuery();
                row.next();
                Server.same(row.getLong("version"), 1L + n % 2);
            }
        }
        drop(c, "j_given");
    }

    public static void it_is_described_before_it_is_run() throws Exception { // models
        if (!Server.RAPPORT) {
            return;
        }
        try (Connection c = Server.connect(); PreparedStatement show = c.prepareStatement("SELECT * FROM show_models()")) {
            ResultSetMetaData columns = show.getMetaData();
            Server.same(List.of(columns.getColumnName(1), columns.getColumnTypeName(3), columns.getColumnTypeName(8)),
                    List.of("model", "int8", "date"));
        }
    }

    public static void rows_are_read_in_parts() throws Exception { // models
        if (!Server.RAPPORT) {
            return;
        }
        Connection c = made("j_parts");
        List<String> whole = Server.rows(c.createStatement().executeQuery("DESCRIBE MODEL j_parts"));
        c.setAutoCommit(false);
        try (Statement statement = c.createStatement()) {
            statement.setFetchSize(3);
            Server.same(Server.rows(statement.executeQuery("DESCRIBE MODEL j_parts")), whole);
        }
        c.rollback();
        c.setAutoCommit(true);
        drop(c, "j_parts");
    }

    public static void a_transaction_is_no_place_for_it() throws Exception { // models
        if (!Server.RAPPORT) {
            return;
        }
        Connection c = made("j_block");
        c.setAutoCommit(false);
        Server.same(Server.sqlstate(() -> c.createStatement().execute("REFRESH MODEL j_block")), "25001");
        c.rollback();
        c.setAutoCommit(true);
        Server.same(Server.sqlstate(() -> c.createStatement().execute("REFRESH MODEL nobody")), "42704");
        drop(c, "j_block");
    }
}
