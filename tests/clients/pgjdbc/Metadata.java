import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** pgjdbc's DatabaseMetaData, which DBeaver, Tableau, Metabase and Looker browse with. */
public final class Metadata {
    private static String _of(String kind, String... arguments) throws Exception {
        try (Connection c = Server.connect()) {
            DatabaseMetaData data = c.getMetaData();
            return Server.told(switch (kind) {
                case "tables" -> data.getTables(null, arguments[0], arguments[1], null);
                case "columns" -> data.getColumns(null, arguments[0], arguments[1], "%");
                case "primary" -> data.getPrimaryKeys(null, arguments[0], arguments[1]);
                case "imported" -> data.getImportedKeys(null, arguments[0], arguments[1]);
                case "exported" -> data.getExportedKeys(null, arguments[0], arguments[1]);
                case "cross" -> data.getCrossReference(null, "public", arguments[0], null, "public", arguments[1]);
                case "indexes" -> data.getIndexInfo(null, arguments[0], arguments[1], false, true);
                case "identifier" ->
                    data.getBestRowIdentifier(null, arguments[0], arguments[1], DatabaseMetaData.bestRowSession, true);
                case "versions" -> data.getVersionColumns(null, arguments[0], arguments[1]);
                case "functions" -> data.getFunctions(null, arguments[0], arguments[1]);
                case "function_columns" -> data.getFunctionColumns(null, arguments[0], arguments[1], null);
                case "table_rights" -> data.getTablePrivileges(null, arguments[0], arguments[1]);
                default -> data.getColumnPrivileges(null, arguments[0], arguments[1], "%");
            });
        }
    }

    /** Every answer that needs no argument: names, limits, what is supported. */
    public static String plain_answers() throws Exception { // metadata
        // They tell the address, the user, the version.
        Set<String> elsewhere = Set.of("getURL", "getUserName", "getConnection", "hashCode", "toString", "getClass",
                "notify", "notifyAll", "wait", "getDatabaseProductVersion", "getDatabaseMajorVersion",
                "getDatabaseMinorVersion", "getSQLKeywords", "getRowIdLifetime");
        Map<String, String> answers = new TreeMap<>();
        try (Connection c = Server.connect()) {
            DatabaseMetaData data = c.getMetaData();
            for (Method method : DatabaseMetaData.class.getMethods()) {
                boolean isPlain = !ResultSet.class.isAssignableFrom(method.getReturnType());
                if (method.getParameterCount() == 0 && isPlain && !elsewhere.contains(method.getName())) {
                    answers.put(method.getName(), String.valueOf(method.invoke(data)));
                }
            }
        }
        Server.check(answers.size() > 120, answers.size() + " answers");
        StringBuilder out = new StringBuilder();
        answers.forEach((name, answer) -> out.append(name).append(' ').append(answer).append('\n'));
        return out.toString();
    }

    /** Every answer to numbers alone: conversions, isolation, kinds of results. */
    public static String answers_to_numbers() throws Exception { // metadata
        int[] numbers = {0, 1, 2, 4, 8, 12, 91, 93, -5, 1003, 1004, 1005, 1007, 1008, 2000};
        Set<String> told = new TreeSet<>();
        try (Connection c = Server.connect()) {
            DatabaseMetaData data = c.getMetaData();
            for (Method method : DatabaseMetaData.class.getMethods()) {
                Class<?>[] kinds = method.getParameterTypes();
                if (kinds.length == 0 || !Arrays.stream(kinds).allMatch(kind -> kind == int.class)) {
                    continue;
                }
                for (int one : numbers) {
                    for (int other : kinds.length == 1 ? new int[] {0} : numbers) {
                        Object answer = kinds.length == 1 ? method.invoke(data, one) : method.invoke(data, one, other);
                        told.add(method.getName() + " " + one + " " + other + ": " + answer);
                    }
                }
            }
        }
        return String.join("\n", told);
    }

    /** What PostgreSQL has none of, in its columns. */
    public static String lists_of_nothing() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            DatabaseMetaData data = c.getMetaData();
            return Server.told(data.getProcedureColumns(null, "public", "no_such", "%"))
                    + Server.told(data.getProcedures(null, "public", "no_such"))
                    + Server.told(data.getUDTs(null, "public", "no_such", null))
                    + Server.told(data.getFunctionColumns(null, "pg_catalog", "upper", "%"));
        }
    }

    public static void it_is_postgresql() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            DatabaseMetaData data = c.getMetaData();
            Server.same(data.getDatabaseProductName(), "PostgreSQL");
            Server.check(data.getDatabaseMajorVersion() >= 15, data.getDatabaseProductVersion());
            Server.same(data.getUserName(), System.getenv("PGUSER"));
        }
    }

    public static void schemas_are_listed() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            List<String> seen = Server.rows(c.getMetaData().getSchemas(), "TABLE_SCHEM");
            for (String schema : List.of("information_schema", "pg_catalog", "public", "staging")) {
                Server.check(seen.contains(schema), schema + " is not in " + seen);
            }
            Server.same(Server.rows(c.getMetaData().getSchemas(null, "stag%"), "TABLE_SCHEM"), List.of("staging"));
        }
    }

    public static void the_catalogue_is_the_database() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            List<String> seen = Server.rows(c.getMetaData().getCatalogs());
            Server.check(seen.contains(System.getenv("PGDATABASE")), seen.toString());
            Server.same(c.getCatalog(), System.getenv("PGDATABASE"));
            Server.same(c.getSchema(), "public");
        }
    }

    public static String table_types() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            return Server.told(c.getMetaData().getTableTypes());
        }
    }

    public static void type_info() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            List<String> seen = Server.rows(c.getMetaData().getTypeInfo(), "TYPE_NAME", "DATA_TYPE");
            for (String type : List.of("bool|-7", "int2|5", "int4|4", "int8|-5", "float4|7", "float8|8", "numeric|2",
                    "text|12", "varchar|12", "bpchar|1", "bytea|-2", "date|91", "time|92", "timestamp|93",
                    "timestamptz|93", "interval|1111", "uuid|1111", "json|1111", "jsonb|1111")) {
                Server.check(seen.contains(type), type + " is not in " + seen);
            }
        }
    }

    public static String tables_by_pattern() throws Exception { // metadata
        return _of("tables", "public", "s%") + _of("tables", "staging", "%") + _of("tables", "public", "Odd%");
    }

    public static String tables_and_views_by_type() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            return Server.told(c.getMetaData().getTables(null, "public", "sh%", new String[] {"VIEW"}))
                    + Server.told(c.getMetaData().getTables(null, "public", "sh%", new String[] {"TABLE"}));
        }
    }

    public static void the_history_is_among_the_tables() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            ResultSet tables = c.getMetaData().getTables(c.getCatalog(), "public", "%", new String[] {"TABLE"});
            List<String> seen = Server.rows(tables, "TABLE_NAME");
            Server.check(seen.containsAll(List.of("interactions", "customers", "shops", "sales")), seen.toString());
        }
    }

    public static void an_escaped_pattern_is_literal() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            Server.same(Server.rows(c.getMetaData().getTables(null, null, "shop\\_days", null), "TABLE_NAME"),
                    List.of("shop_days"));
            Server.same(Server.rows(c.getMetaData().getTables(null, null, "shop\\%", null), "TABLE_NAME"), List.of());
        }
    }

    public static String columns_of_every_type() throws Exception { // metadata
        return _of("columns", "public", "every\\_type");
    }

    public static String columns_with_defaults_and_comments() throws Exception { // metadata
        return _of("columns", "public", "shops");
    }

    public static String columns_of_a_view() throws Exception { // metadata
        return _of("columns", "public", "shop\\_totals");
    }

    public static String columns_with_odd_names() throws Exception { // metadata
        return _of("columns", "public", "Odd N_me");
    }

    public static String columns_of_another_schema() throws Exception { // metadata
        return _of("columns", "staging", "%");
    }

    public static void columns_of_all_tables_at_once() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            int n = Server.rows(c.getMetaData().getColumns(null, null, "%", "%"), "COLUMN_NAME").size();
            Server.check(n > 1500, n + " columns");
        }
    }

    public static String primary_keys() throws Exception { // metadata
        return _of("primary", "public", "shops") + _of("primary", "public", "shop_days")
                + _of("primary", "public", "shop_totals");
    }

    public static String imported_keys() throws Exception { // metadata
        return _of("imported", "public", "sales") + _of("imported", "public", "regions");
    }

    public static String exported_keys() throws Exception { // metadata
        return _of("exported", "public", "shops") + _of("exported", "public", "sales");
    }

    public static String cross_references() throws Exception { // metadata
        return _of("cross", "regions", "shops") + _of("cross", "regions", "sales");
    }

    public static String indexes() throws Exception { // metadata
        return _of("indexes", "public", "regions") + _of("indexes", "public", "every_type");
    }

    public static String best_row_identifier() throws Exception { // metadata
        return _of("identifier", "public", "shop_days");
    }

    public static String version_columns() throws Exception { // metadata
        return _of("versions", "public", "shops");
    }

    public static String functions() throws Exception { // metadata
        return _of("functions", "pg_catalog", "split%") + _of("functions", "pg_catalog", "date\\_trunc");
    }

    public static String function_columns() throws Exception { // metadata
        return _of("function_columns", "pg_catalog", "split\\_part");
    }

    public static void procedures_are_none_of_ours() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            Server.same(Server.rows(c.getMetaData().getProcedures(null, "public", "%")), List.of());
        }
    }

    public static String table_privileges() throws Exception { // metadata
        return _of("table_rights", "public", "shops");
    }

    public static String column_privileges() throws Exception { // metadata
        return _of("column_rights", "public", "regions");
    }

    public static void user_defined_types_are_none() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            Server.same(Server.rows(c.getMetaData().getUDTs(null, "public", "no%", null)), List.of());
        }
    }

    public static String client_info_properties() throws Exception { // metadata
        try (Connection c = Server.connect()) {
            return Server.told(c.getMetaData().getClientInfoProperties());
        }
    }

    /** Label, type, precision, scale, class and table of each column of a query. */
    public static String a_result_describes_itself() throws Exception { // metadata
        try (Connection c = Server.connect();
                PreparedStatement statement = c.prepareStatement("SELECT e.*, 1 AS one, 1.5 AS n, count(*) OVER () "
                        + "FROM every_type e WHERE id = ?")) {
            ResultSetMetaData data = statement.getMetaData();
            StringBuilder out = new StringBuilder();
            for (int i = 1; i <= data.getColumnCount(); i++) {
                out.append(data.getColumnLabel(i)).append('|').append(data.getColumnTypeName(i)).append('|')
                        .append(data.getColumnType(i)).append('|').append(data.getPrecision(i)).append('|')
                        .append(data.getScale(i)).append('|').append(data.getColumnDisplaySize(i)).append('|')
                        .append(data.getColumnClassName(i)).append('|').append(data.isSigned(i)).append('\n');
            }
            return out.toString();
        }
    }

    /** Which table a column is of, which editors of rows ask. */
    public static String a_result_names_its_tables() throws Exception { // metadata
        try (Connection c = Server.connect();
                PreparedStatement statement = c.prepareStatement("SELECT s.id, s.name AS shop, s.area + 1 FROM shops s");
                ResultSet result = statement.executeQuery()) {
            ResultSetMetaData data = result.getMetaData();
            StringBuilder out = new StringBuilder();
            for (int i = 1; i <= data.getColumnCount(); i++) {
                out.append(data.getTableName(i)).append('|').append(data.getSchemaName(i)).append('|')
                        .append(data.isNullable(i)).append('|').append(data.isAutoIncrement(i)).append('\n');
            }
            return out.toString();
        }
    }

    public static String parameters_describe_themselves() throws Exception { // metadata
        try (Connection c = Server.connect();
                PreparedStatement statement = c.prepareStatement("SELECT * FROM every_type WHERE a_text = ? AND a_date > ? "
                        + "AND a_numeric < ? AND a_uuid = ? AND a_timestamptz = ? AND an_integer = ANY (?)")) {
            ParameterMetaData data = statement.getParameterMetaData();
            StringBuilder out = new StringBuilder();
            for (int i = 1; i <= data.getParameterCount(); i++) {
                out.append(data.getParameterTypeName(i)).append('|').append(data.getParameterClassName(i)).append('\n');
            }
            return out.toString();
        }
    }
}
