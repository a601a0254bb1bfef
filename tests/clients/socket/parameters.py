"""What parameters may hold, and of which type they may be."""

from wire import SYNC, Session, bind, describe, execute, fields, message, parse, query, values

TEXT, VARCHAR = 25, 1043


def _told(s, sql, types=(), given=(), formats=()):
    """The types that are described, the rows, and the code of an error."""
    s.send(parse(sql, types=types), describe(b"S"), bind(given, formats=formats), execute(), SYNC)
    told = []
    for kind, body in s.until():
        if kind == b"t":
            told.append(body[2:].hex())
        elif kind == b"D":
            told.append([None if value is None else value.decode() for value in values(body)])
        elif kind == b"E":
            told.append(fields(body)["C"])
    return told


def dates_and_times_are_read_as_literals_are():  # parameters
    s = Session()
    s.ask("SET TimeZone = 'Europe/Warsaw'")
    s.ask("CREATE TABLE g_times (d date, t time, p timestamp, z timestamptz, i interval)")
    s.ask("INSERT INTO g_times DEFAULT VALUES")
    forms = {
        "date": ["1/8/1999", "Jan 5 2024", "5 January 2024", "01-05-2024", "2024-060", "J2451187", "20240301", "infinity",
                 "epoch", "2024-02-30", "soon", "2024-01-31 BC"],
        "timestamp": ["Jan 5 2024 10:00 PM", "1/2/2024 3:04 PM", "20240101T101112", "2024-01-02 03:04:05.678+05", "infinity"],
        "timestamptz": ["Jan 5 2024 10:00 PM", "20240101T101112", "2024-01-02 03:04:05+00", "2024-07-02 03:04:05.5+0530",
                        "2024-01-02 03:04:05 America/New_York", "-infinity", "2024-10-27 02:30", "2024-03-31 02:30"],
        "time": ["1000", "allballs", "04:05 PM", "25:00", "x"],
        "interval": ["1-2", "P0001-02-03T04:05:06", "1 day ago", "P1Y2M-3DT4H5M6.7S", "1.5 days", "1 fortnight"],
    }
    told = [(type_name, form, _told(s, f"SELECT $1::{type_name} FROM g_times", given=[form.encode()]))
            for type_name, of_type in forms.items() for form in of_type]
    for word in ("today", "yesterday", "tomorrow"):
        told.append((word, _told(s, f"SELECT $1::date = '{word}'::date FROM g_times", given=[word.encode()])))
    s.send(query("BEGIN"))
    s.until()
    told.append(_told(s, "SELECT $1::timestamptz - now() < '1 s' FROM g_times", given=[b"now"]))
    s.send(query("ROLLBACK"))
    s.until()
    s.ask("DROP TABLE g_times")
    s.close()
    return told


def copy_reads_dates_as_literals_are():  # copy
    s = Session()
    s.ask("CREATE TABLE g_copied (d date, z timestamptz)")
    s.send(query("COPY g_copied FROM STDIN (FORMAT csv)"))
    s.until(b"G")
    rows = b"today,now\n01/02/2024,20240101T101112\ninfinity,2024-01-02 03:04:05+00\n20240301,Jan 5 2024 10:00 PM\n"
    s.send(message(b"d", rows), message(b"c"))
    told = [fields(body).get("C") if kind == b"E" else body for kind, body in s.until() if kind in (b"C", b"E")]
    told.append(s.ask("SELECT d, z FROM g_copied WHERE d <> current_date ORDER BY d"))
    told.append(s.ask("SELECT d - current_date, now() - z < '1 min' FROM g_copied WHERE d = current_date"))
    s.ask("DROP TABLE g_copied")
    s.close()
    return told


def casts_name_their_columns():  # metadata
    s = Session()
    s.ask("CREATE TABLE g_named (a integer)")
    s.send(parse("SELECT '{}'::int[], $1::int[], cast('{1}' AS text[]), '1'::int FROM g_named"), describe(b"S"), SYNC)
    described = next(body for kind, body in s.until() if kind == b"T")
    s.ask("DROP TABLE g_named")
    s.close()
    return [word for word in (b"int4", b"text", b"int[]", b"text[]") for _ in range(described.count(word + b"\0"))]


def a_text_is_no_date():  # parameters
    s = Session()
    s.ask("CREATE TABLE g_typed (d date, b text, n integer)")
    told = [_told(s, "INSERT INTO g_typed (d) VALUES ($1)", [type_oid], [b"2024-01-01"]) for type_oid in (0, TEXT, VARCHAR, 1082)]
    told += [_told(s, "UPDATE g_typed SET d = $1", [type_oid], [b"2024-01-01"]) for type_oid in (0, TEXT, VARCHAR, 1082)]
    told += [_told(s, "INSERT INTO g_typed (b) VALUES ($1)", [type_oid], [b"1"]) for type_oid in (TEXT, VARCHAR, 23)]
    s.ask("DROP TABLE g_typed")
    s.close()
    return told


def explain_takes_parameters():  # parameters
    s = Session()
    s.ask("CREATE TABLE g_plain (a integer)")
    s.send(parse("EXPLAIN SELECT a FROM g_plain WHERE a = $1"), describe(b"S"), bind([b"1"]), execute(), SYNC)
    seen = s.until()
    s.ask("DROP TABLE g_plain")
    s.close()
    return [body.hex() for kind, body in seen if kind == b"t"], [kind for kind, _ in seen if kind in (b"E", b"C")]


def binary_values_have_their_size():  # parameters
    s = Session()
    s.ask("CREATE TABLE g_sized (a integer, b integer[])")
    array = b"\0\0\0\1" + b"\0\0\0\0" + b"\0\0\0\x17" + b"\0\0\0\1" + b"\0\0\0\1" + b"\0\0\0\4" + b"\0\0\0\7"
    of_text = array[:8] + b"\0\0\0\x19" + array[12:]
    told = [_told(s, "INSERT INTO g_sized (a) VALUES ($1)", [23], [value], [1]) for value in (b"\0\1", b"\0\0\0\1", b"\0" * 5)]
    told += [_told(s, "INSERT INTO g_sized (b) VALUES ($1)", [1007], [value], [1])
             for value in (array, of_text, array + b"\0", array[:-1])]
    s.ask("DROP TABLE g_sized")
    s.close()
    return told


def errors_say_where():  # errors
    s = Session()
    s.ask("CREATE TABLE g_where (a integer NOT NULL, b text)")
    told = []
    for sql in ("UPDATE g_where SET nocol = 1", "INSERT INTO g_where (a, nocol) VALUES (1, 2)",
                "INSERT INTO g_where SELECT nocol FROM g_where", "DELETE FROM g_where WHERE nocol = 1",
                "EXPLAIN SELECT nocol FROM g_where", "PREPARE p AS SELECT nocol FROM g_where",
                "CREATE VIEW g_seen AS SELECT nocol FROM g_where", "CREATE TABLE g_made AS SELECT a, nocol FROM g_where",
                "INSERT INTO g_where (b) VALUES ('x')", "INSERT INTO g_where VALUES (1, 'y'), (NULL, repeat('z', 70))"):
        s.send(query(sql))
        error = next(fields(body) for kind, body in s.until() if kind == b"E")
        told.append((sql, {key: error.get(key) for key in "CDPtc"}))
    s.ask("DROP TABLE g_where")
    s.close()
    return told


def json_is_checked_and_jsonb_is_put_in_order():  # types
    json, jsonb = 114, 3802
    s = Session()
    s.ask("CREATE TABLE g_json (a integer)")
    s.ask("INSERT INTO g_json VALUES (1)")
    texts = [b'{"b":1,"a":1.0e2,"a":2}', b" [1, 2 ]", b"nul", b"[1,]", b"01", b"{bad"]
    told = [(oid, text, _told(s, "SELECT $1, a FROM g_json", types=[oid], given=[text]))
            for oid in (json, jsonb) for text in texts]
    told += [_told(s, "SELECT $1::jsonb, a FROM g_json", given=[text]) for text in texts]
    s.ask("DROP TABLE g_json")
    s.close()
    return told


def dates_are_read_in_the_order_of_date_style():  # settings
    s = Session()
    s.ask("CREATE TABLE g_order (d date)")
    told = []
    for order in ("DMY", "YMD", "MDY"):
        s.ask(f"SET DateStyle = 'ISO, {order}'")
        told += [_told(s, "INSERT INTO g_order VALUES ($1::date) RETURNING d", given=[text])
                 for text in (b"01/02/03", b"13/02/2024", b"5 Jan 24", b"2024-01-02")]
        s.send(query("COPY g_order FROM STDIN"))
        s.until(b"G")
        s.send(message(b"d", b"01/02/03\n"), message(b"c"))
        s.until()
    told.append(s.ask("SELECT d FROM g_order ORDER BY d"))
    s.ask("DROP TABLE g_order")
    s.close()
    return told


def types_come_from_where_parameters_stand():  # parameters
    s = Session()
    s.ask("CREATE TABLE g_places (a integer, t text, n numeric(10,2), d date, xs integer[], u uuid, b bytea)")
    told = []
    for sql in ("SELECT a || $1 FROM g_places", "SELECT coalesce($1, d) FROM g_places", "SELECT d FROM g_places UNION ALL SELECT $1",
                "SELECT nullif($1, d) FROM g_places", "SELECT xs[$1] FROM g_places", "SELECT $1 + 1 FROM g_places",
                "SELECT lag(n, 1, $1) OVER (ORDER BY a) FROM g_places", "SELECT array_append(xs, $1) FROM g_places",
                "SELECT encode($1, 'hex') FROM g_places", "SELECT a FROM g_places WHERE d > $1 - interval '1 day'",
                "INSERT INTO g_places (d) SELECT coalesce($1, d) FROM g_places", "UPDATE g_places SET n = coalesce($1, n) WHERE a = $2",
                "SELECT a FROM g_places WHERE u = $1 LIMIT $2", "SELECT a FROM g_places WHERE $1 IS NULL OR a = $1",
                "SELECT concat($1, t) FROM g_places", "SELECT a FROM g_places WHERE a = $2"):
        s.send(parse(sql), describe(b"S"), SYNC)
        seen = s.until()
        told.append((sql, [body.hex() for kind, body in seen if kind == b"t"], [fields(body)["C"] for kind, body in seen if kind == b"E"]))
    s.ask("DROP TABLE g_places")
    s.close()
    return told


def values_are_shown_as_literals_are():  # types
    numeric, bytea, integers, texts, uuid = 1700, 17, 1007, 1009, 2950
    s = Session()
    s.ask("CREATE TABLE g_shown (a integer, n numeric(10,2))")
    s.ask("INSERT INTO g_shown VALUES (1, 2.50)")
    told = [_told(s, f"SELECT {what} FROM g_shown", [numeric], [number])
            for what in ("$1", "$1::text", "n * $1", "n + $1", "format('%s', $1)", "a || ' ' || $1")
            for number in (b"1.10", b"5", b"-0.000")]
    told += [_told(s, f"SELECT {what} FROM g_shown", [oid], [value])
             for what in ("$1", "$1::text", "length($1::text)", "$1::varchar(4)")
             for oid, value in ((bytea, b"\\x0061ff"), (integers, b"{1,2}"), (texts, b'{a,"b c"}'),
                                (uuid, b"00000000-0000-0000-0000-00000000000A"))]
    s.ask("DROP TABLE g_shown")
    s.close()
    return told


def tables_are_made_with_parameters():  # parameters
    s = Session()
    s.ask("CREATE TABLE g_source (a integer, d date)")
    s.ask("INSERT INTO g_source VALUES (1, '2024-01-02'), (2, NULL)")
    told = [_told(s, "CREATE TABLE g_made AS SELECT a, d, $1 AS t, $2::numeric(10,2) AS n FROM g_source WHERE a = $3",
                  given=[b"it's", b"1.50", b"1"]),
            _told(s, "SELECT a, $1::text AS t INTO g_into FROM g_source WHERE d = $2 OR $2 IS NULL", [25, 1082], [b"x", None]),
            s.ask("SELECT * FROM g_made"), s.ask("SELECT * FROM g_into ORDER BY a")]
    for table in ("g_made", "g_into", "g_source"):
        s.ask(f"DROP TABLE {table}")
    s.close()
    return told


def numerics_are_rounded_where_integers_are_stored():  # parameters, writing
    numeric, double = 1700, 701
    s = Session()
    s.ask("CREATE TABLE g_rounded (a integer, s smallint, b bigint, n numeric(10,2))")
    told = [_told(s, f"INSERT INTO g_rounded ({column}) VALUES ($1) RETURNING {column}", [oid], [number])
            for column in ("a", "s", "b", "n") for oid in (numeric, double) for number in (b"1999.7", b"-2.5", b"3.5", b"-3.7")]
    told.append(_told(s, "INSERT INTO g_rounded (a, b) VALUES ($1, 1), (2, $2) RETURNING a, b", [numeric, numeric], [b"0.5", b"7.5"]))
    told.append(_told(s, "UPDATE g_rounded SET a = $1 WHERE a = 2 RETURNING a", [numeric], [b"1.5"]))
    told.append(_told(s, "INSERT INTO g_rounded (a) VALUES ($1)", [numeric], [b"3000000000"]))
    s.ask("DROP TABLE g_rounded")
    s.close()
    return told


def blanks_behind_a_char_do_not_count():  # parameters, types
    bpchar, texts, chars = 1042, 1009, 1014
    s = Session()
    s.ask("CREATE TABLE g_padded (a integer, c char(4))")
    s.ask("INSERT INTO g_padded VALUES (1, 'ab')")
    told = [(given, _told(s, f"SELECT a FROM g_padded WHERE {condition}", [oid], [given]))
            for condition in ("c = $1", "$1 = c", "c <> $1", "c IN ($1)", "c BETWEEN $1 AND 'b'", "(c, a) = ($1, 1)",
                              "nullif(c, $1) IS NULL", "CASE c WHEN $1 THEN true ELSE false END")
            for oid in (0, bpchar, TEXT) for given in (b"ab", b"ab  ", b"ab      ")]
    told += [(given, _told(s, "SELECT a FROM g_padded WHERE c = ANY ($1)", [oid], [given]))
             for oid in (0, texts, chars) for given in (b"{ab,c}", b'{"c   ",ab}')]
    s.ask("DROP TABLE g_padded")
    s.close()
    return told
