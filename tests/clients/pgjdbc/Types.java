import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Time;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

/** Every type in both directions, as text and, past the fifth execution, as binary. */
public final class Types {
    /** Sends values and asks for them back, often enough that the driver goes over to binary. */
    private static void _both_ways(String type, Class<?> kind, Object... values) throws Exception {
        try (Connection c = Server.connect("options", "-c TimeZone=UTC", "prepareThreshold", "3");
                PreparedStatement statement = c.prepareStatement("SELECT ?::" + type)) {
            for (Object value : values) {
                for (int n = 0; n < 5; n++) {
                    statement.setObject(1, value);
                    try (ResultSet result = statement.executeQuery()) {
                        Server.check(result.next(), "one row");
                        Object got = kind == byte[].class ? result.getBytes(1) : result.getObject(1, kind);
                        Server.same(got, value);
                    }
                }
            }
            statement.setObject(1, null);
            try (ResultSet result = statement.executeQuery()) {
                result.next();
                Server.check(result.getObject(1) == null && result.wasNull(), "NULL comes back");
            }
        }
    }

    public static void booleans() throws Exception { // types
        _both_ways("boolean", Boolean.class, true, false);
    }

    public static void integers() throws Exception { // types
        _both_ways("smallint", Integer.class, 0, -32768, 32767);
        _both_ways("integer", Integer.class, 0, Integer.MIN_VALUE, Integer.MAX_VALUE);
        _both_ways("bigint", Long.class, 0L, Long.MIN_VALUE, Long.MAX_VALUE);
    }

    public static void floats() throws Exception { // types
        _both_ways("real", Float.class, 0f, 1.5f, -0.1f, Float.MAX_VALUE, Float.POSITIVE_INFINITY, Float.NaN);
        _both_ways("double precision", Double.class, 0d, 0.1, -1e-300, Double.MAX_VALUE, Double.NEGATIVE_INFINITY, Double.NaN);
    }

    public static void numerics() throws Exception { // types
        _both_ways("numeric", BigDecimal.class, new BigDecimal("0"), new BigDecimal("-0.0001"),
                new BigDecimal("12345678901234567890.12345"), new BigDecimal("10000"), new BigDecimal("0.00010000"));
        _both_ways("numeric(18,2)", BigDecimal.class, new BigDecimal("9999999999999999.99"), new BigDecimal("-0.01"));
    }

    public static void texts() throws Exception { // types
        _both_ways("text", String.class, "", "Grüße, Иван, 漢字 🙂", "tab\tline\nback\\slash'quote\"", "x".repeat(100_000));
        _both_ways("varchar(20)", String.class, "short");
    }

    public static void bytes() throws Exception { // types
        byte[] all = new byte[256];
        for (int i = 0; i < 256; i++) {
            all[i] = (byte) i;
        }
        _both_ways("bytea", byte[].class, all, new byte[0]);
    }

    public static void dates_and_times() throws Exception { // types
        _both_ways("date", LocalDate.class, LocalDate.of(2024, 2, 29), LocalDate.of(1900, 1, 1), LocalDate.of(9999, 12, 31));
        _both_ways("time", LocalTime.class, LocalTime.of(0, 0), LocalTime.of(23, 59, 59, 999_999_000));
        _both_ways("timestamp", LocalDateTime.class, LocalDateTime.of(2024, 2, 29, 23, 59, 59, 999_999_000),
                LocalDateTime.of(1900, 1, 1, 0, 0));
        _both_ways("timestamptz", OffsetDateTime.class,
                OffsetDateTime.of(2024, 2, 29, 23, 59, 59, 123_456_000, ZoneOffset.UTC),
                OffsetDateTime.of(1969, 12, 31, 23, 59, 59, 0, ZoneOffset.UTC));
    }

    public static void old_dates_and_times() throws Exception { // types
        _both_ways("date", Date.class, Date.valueOf("2024-02-29"));
        _both_ways("time", Time.class, Time.valueOf("12:34:56"));
        _both_ways("timestamp", Timestamp.class, Timestamp.valueOf("2024-02-29 12:34:56.789012"));
        _both_ways("timestamptz", Timestamp.class, Timestamp.valueOf("2024-02-29 12:34:56.789012"));
    }

    public static void intervals() throws Exception { // types
        _both_ways("interval", PGInterval.class, new PGInterval(1, 2, 3, 4, 5, 6.5), new PGInterval(0, 0, -1, 0, 0, 0));
    }

    public static void uuids() throws Exception { // types
        _both_ways("uuid", UUID.class, UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"), new UUID(0, 0));
    }

    public static void json() throws Exception { // types
        for (String type : List.of("json", "jsonb")) {
            PGobject document = new PGobject();
            document.setType(type);
            document.setValue("{\"a\": [1, null, \"ü\"]}");
            try (Connection c = Server.connect(); PreparedStatement s = c.prepareStatement("SELECT ?::" + type)) {
                for (int n = 0; n < 7; n++) {
                    s.setObject(1, document);
                    try (ResultSet result = s.executeQuery()) {
                        result.next();
                        Server.same(result.getObject(1), document);
                    }
                }
            }
        }
    }

    private static void _array(String type, Object... values) throws Exception {
        try (Connection c = Server.connect("options", "-c TimeZone=UTC", "prepareThreshold", "3");
                PreparedStatement statement = c.prepareStatement("SELECT ?::" + type + "[]")) {
            for (int n = 0; n < 5; n++) {
                statement.setArray(1, c.createArrayOf(type, values));
                try (ResultSet result = statement.executeQuery()) {
                    result.next();
                    Array array = result.getArray(1);
                    Server.same(array.getBaseTypeName(), type);
                    Server.same(Arrays.asList((Object[]) array.getArray()), Arrays.asList(values));
                }
            }
        }
    }

    public static void arrays() throws Exception { // types
        _array("int4", 1, null, -3);
        _array("int8", Long.MAX_VALUE, null);
        _array("int2", (short) 1, null);
        _array("float4", 1.5f, null);
        _array("float8", 0.5, null);
        _array("bool", true, false, null);
        _array("text", "a", null, "", "quote \" comma , brace } back \\", "NULL");
        _array("varchar", "a", null, "");
        _array("numeric", new BigDecimal("1.50"), null);
        _array("uuid", new UUID(1, 2), null);
        _array("date", Date.valueOf("2024-02-29"), null);
        _array("timestamp", Timestamp.valueOf("2024-02-29 12:34:56.789012"), null);
    }

    /** A table of every type as text, and once more as the driver reads it in binary. */
    public static String a_table_of_every_type() throws Exception { // types
        StringBuilder out = new StringBuilder();
        try (Connection c = Server.connect("options", "-c TimeZone=UTC");
                PreparedStatement statement = c.prepareStatement("SELECT id, a_boolean, a_smallint, an_integer, a_bigint, a_real, "
                        + "a_double, a_numeric, a_text, a_varchar, a_char, a_date, a_time, a_timestamp, a_timestamptz, an_interval, "
                        + "a_uuid, a_json, a_jsonb, an_integer_array, a_text_array FROM every_type ORDER BY id")) {
            String first = null;
            for (int n = 0; n < 8; n++) {
                String all = Server.told(statement.executeQuery());
                if (!all.equals(first)) {
                    out.append("execution ").append(n).append('\n').append(all);
                }
                first = all;
            }
        }
        return out.toString();
    }

    public static void every_type_is_stored() throws Exception { // types
        String columns = "boolean, smallint, integer, bigint, real, double precision, numeric(18,4), text, varchar(20), "
                + "bytea, date, time, timestamp, timestamptz, interval, uuid, jsonb, integer[], text[]";
        StringBuilder table = new StringBuilder();
        int width = 0;
        for (String type : columns.split(", ")) {
            table.append(width == 0 ? "" : ", ").append("c").append(width++).append(' ').append(type);
        }
        try (Connection c = Server.connect("options", "-c TimeZone=UTC", "stringtype", "unspecified")) {
            Server.run(c, "CREATE TABLE j_types (" + table + ")");
            Object[] row = {true, (short) -5, 42, 1L << 40, 0.5f, 0.1, new BigDecimal("12.3400"), "ü", "short",
                new byte[] {0, -1}, LocalDate.of(2024, 2, 29), LocalTime.of(1, 2, 3), LocalDateTime.of(2024, 1, 2, 3, 4, 5),
                OffsetDateTime.of(2024, 1, 2, 3, 4, 5, 0, ZoneOffset.UTC), "1 day", new UUID(3, 4), "{\"a\": 1}",
                c.createArrayOf("int4", new Object[] {1, null}), c.createArrayOf("text", new Object[] {"a", null})};
            try (PreparedStatement insert = c.prepareStatement("INSERT INTO j_types VALUES (" + "?, ".repeat(width - 1) + "?)")) {
                for (int i = 0; i < width; i++) {
                    insert.setObject(i + 1, row[i]);
                }
                Server.same(insert.executeUpdate(), 1);
            }
            Server.same(Server.ask(c, "SELECT * FROM j_types"), List.of("t|-5|42|1099511627776|0.5|0.1|12.3400|ü|short|"
                    + "\\x00ff|2024-02-29|01:02:03|2024-01-02 03:04:05|2024-01-02 03:04:05+00|"
                    + "1 day|00000000-0000-0003-0000-000000000004|{\"a\": 1}|{1,NULL}|{a,NULL}"));
            Server.run(c, "DROP TABLE j_types");
        }
    }
}
