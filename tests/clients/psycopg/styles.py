"""How values are written, as the session asks: styles and encodings."""

import psycopg
from psycopg import pq

from server import raises, same

# A row of the lake in every type that has styles.
ROW = """SELECT d, p, z, i, b, f, r FROM st_row"""


def _connect(**options):
    return psycopg.connect(**{"autocommit": True, **options})


def _texts(c, sql):
    result = c.pgconn.exec_(sql.encode())
    same((sql, result.status, result.error_message), (sql, pq.ExecStatus.TUPLES_OK, b""))
    return [result.get_value(0, n).decode() for n in range(result.nfields)]


def _with_row(check):
    with _connect() as c:
        c.execute("CREATE TABLE st_row (d date, p timestamp, z timestamptz, i interval, b bytea, f float8, r real)")
        c.execute("""INSERT INTO st_row VALUES ('2024-02-29', '2024-02-29 12:34:56.5', '2024-02-29 12:34:56.5+00',
                     '1 year 2 mons 3 days 04:05:06.7', '\\x615c00ff', 0.1::float8 + 0.2::float8, 3.14159265)""")
        try:
            check(c)
        finally:
            c.execute("RESET ALL")
            c.execute("DROP TABLE st_row")


def date_styles():  # types
    def check(c):
        c.execute("SET TimeZone = 'Europe/Berlin'")
        for style, date, plain, zoned in [
            ("ISO, MDY", "2024-02-29", "2024-02-29 12:34:56.5", "2024-02-29 13:34:56.5+01"),
            ("ISO, DMY", "2024-02-29", "2024-02-29 12:34:56.5", "2024-02-29 13:34:56.5+01"),
            ("German", "29.02.2024", "29.02.2024 12:34:56.5", "29.02.2024 13:34:56.5 CET"),
            ("SQL, MDY", "02/29/2024", "02/29/2024 12:34:56.5", "02/29/2024 13:34:56.5 CET"),
            ("SQL, DMY", "29/02/2024", "29/02/2024 12:34:56.5", "29/02/2024 13:34:56.5 CET"),
            ("Postgres, MDY", "02-29-2024", "Thu Feb 29 12:34:56.5 2024", "Thu Feb 29 13:34:56.5 2024 CET"),
            ("Postgres, DMY", "29-02-2024", "Thu 29 Feb 12:34:56.5 2024", "Thu 29 Feb 13:34:56.5 2024 CET"),
        ]:
            c.execute(f"SET DateStyle = '{style}'")
            same((style, *_texts(c, "SELECT d, p, z FROM st_row")), (style, date, plain, zoned))
        c.execute("SET DateStyle = 'SQL, DMY'")
        for zone, text in [("UTC", "29/02/2024 12:34:56.5 UTC"), ("Asia/Kolkata", "29/02/2024 18:04:56.5 IST"),
                           ("America/Sao_Paulo", "29/02/2024 09:34:56.5 -03"), ("-3.5", "29/02/2024 09:04:56.5 -03:30")]:
            c.execute(f"SET TimeZone = '{zone}'")
            same(_texts(c, "SELECT z FROM st_row"), [text])

    _with_row(check)


def interval_styles():  # types
    def check(c):
        for style, text in [("postgres", "1 year 2 mons 3 days 04:05:06.7"),
                            ("postgres_verbose", "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs"),
                            ("sql_standard", "+1-2 +3 +4:05:06.7"), ("iso_8601", "P1Y2M3DT4H5M6.7S")]:
            c.execute(f"SET IntervalStyle = '{style}'")
            same((style, *_texts(c, "SELECT i FROM st_row")), (style, text))

    _with_row(check)


def bytes_and_floats():  # types
    def check(c):
        c.execute("SET bytea_output = 'escape'")
        same(_texts(c, "SELECT b FROM st_row"), ["a\\\\\\000\\377"])
        c.execute("SET bytea_output = 'hex'")
        same(_texts(c, "SELECT b FROM st_row"), ["\\x615c00ff"])
        for digits, wide, narrow in [(1, "0.30000000000000004", "3.1415927"), (3, "0.30000000000000004", "3.1415927"),
                                     (0, "0.3", "3.14159"), (-12, "0.3", "3")]:
            c.execute(f"SET extra_float_digits = {digits}")
            same((digits, *_texts(c, "SELECT f, r FROM st_row")), (digits, wide, narrow))

    _with_row(check)


def copy_writes_in_the_same_styles():  # copy
    def check(c):
        c.execute("SET DateStyle = 'German'")
        c.execute("SET IntervalStyle = 'iso_8601'")
        with c.cursor().copy("COPY (SELECT d, i FROM st_row) TO STDOUT") as copy:
            same(b"".join(bytes(block) for block in copy), b"29.02.2024\tP1Y2M3DT4H5M6.7S\n")

    _with_row(check)


def arrays_hold_values_in_the_same_styles():  # types
    def check(c):
        c.execute("SET DateStyle = 'German'")
        same(_texts(c, "SELECT array_agg(d) FROM st_row"), ["{29.02.2024}"])

    _with_row(check)


def wrong_styles_are_refused_as_postgresql_does():  # settings
    with _connect() as c:
        for sql in ("SET DateStyle = 'Martian'", "SET IntervalStyle = 'long'", "SET bytea_output = 'base64'",
                    "SET extra_float_digits = 4", "SET client_encoding = 'EBCDIC'", "SET TimeZone = 'Mars/Base'"):
            same((sql, raises(psycopg.Error, c.execute, sql).sqlstate), (sql, "22023"))
        same(raises(psycopg.Error, c.execute, "SET no_such_setting = 1").sqlstate, "42704")
        same(raises(psycopg.Error, c.execute, "SHOW no_such_setting").sqlstate, "42704")
        same(raises(psycopg.Error, c.execute, "RESET no_such_setting").sqlstate, "42704")


ENCODINGS = [("LATIN1", "latin-1", "Käse"), ("LATIN2", "iso8859-2", "zażółć"), ("WIN1250", "cp1250", "źdźbło €"),
             ("WIN1251", "cp1251", "привет"), ("WIN1252", "cp1252", "„Käse“ €"), ("KOI8R", "koi8-r", "привет"),
             ("LATIN9", "iso8859-15", "œuvre €")]


def text_travels_in_the_client_s_encoding():  # settings
    for name, codec, text in ENCODINGS:
        with _connect(client_encoding=name) as c:
            same((name, c.info.parameter_status("client_encoding")), (name, name))
            # In the text of a statement, as a parameter in text and in binary, from the catalogue and from the lake.
            raw = c.pgconn.exec_(f"SELECT '{text}' AS \"{text}\"".encode(codec))
            same((name, raw.get_value(0, 0), raw.fname(0)), (name, text.encode(codec), text.encode(codec)))
            same(c.execute("SELECT %s::text || '!'", [text]).fetchone(), (text + "!",))
            same(c.execute("SELECT %b::text || channel FROM interactions LIMIT 1", [text]).fetchone()[0][:len(text)], text)
            cursor = c.cursor(binary=True)
            same(cursor.execute("SELECT %s::text || channel FROM interactions WHERE channel = 'web' LIMIT 1",
                                [text]).fetchone(), (text + "web",))
            error = raises(psycopg.Error, c.execute, f'SELECT "{text}" FROM interactions')
            assert text in error.diag.message_primary, error


def tables_and_copies_are_in_the_client_s_encoding():  # settings
    for name, codec, text in ENCODINGS:
        with _connect(client_encoding=name) as c:
            c.execute("CREATE TABLE st_coded (a text)")
            with c.cursor().copy("COPY st_coded FROM STDIN") as copy:
                copy.write(f"{text}\n".encode(codec))
            with c.cursor().copy("COPY st_coded FROM STDIN (FORMAT csv, ENCODING 'UTF8')") as copy:
                copy.write(f'"{text}"\n'.encode())
            same((name, c.execute("SELECT DISTINCT a FROM st_coded").fetchall()), (name, [(text,)]))
            with c.cursor().copy("COPY (SELECT DISTINCT a FROM st_coded) TO STDOUT") as copy:
                same(b"".join(bytes(block) for block in copy), f"{text}\n".encode(codec))
            with c.cursor().copy("COPY (SELECT DISTINCT a FROM st_coded) TO STDOUT (ENCODING 'UTF8')") as copy:
                same(b"".join(bytes(block) for block in copy), f"{text}\n".encode())
            c.execute("DROP TABLE st_coded")


def what_an_encoding_cannot_say_is_an_error():  # errors
    with _connect(client_encoding="LATIN1") as c:
        for sql in ("SELECT E'\\u20AC'", "SELECT E'\\u20AC' || channel FROM interactions"):
            error = raises(psycopg.Error, c.execute, sql)
            same((error.sqlstate, str(error).splitlines()[0]), ("22P05", 'character with byte sequence 0xe2 0x82 0xac in '
                 'encoding "UTF8" has no equivalent in encoding "LATIN1"'))
        same(c.execute("SELECT 1").fetchone(), (1,))
        c.execute("SET client_encoding = 'UTF8'")
        same(c.execute("SELECT E'\\u20AC'").fetchone(), ("€",))


def bytes_that_are_no_text_are_refused():  # errors
    with _connect() as c:
        result = c.pgconn.exec_(b"SELECT '\xff'")
        same(result.error_field(pq.DiagnosticField.SQLSTATE), b"22021")
        same(c.execute("SELECT 1").fetchone(), (1,))


def text_made_inside_a_query_is_in_the_same_style_or_refused():  # types
    def check(c):
        for setting, sql, text in [
            ("DateStyle = 'German'", "d::text", "29.02.2024"), ("DateStyle = 'German'", "'on ' || d", "on 29.02.2024"),
            ("DateStyle = 'German'", "concat(p)", "29.02.2024 12:34:56.5"), ("extra_float_digits = 0", "f::text", "0.3"),
            ("bytea_output = 'escape'", "b::text", "a\\\\\\000\\377"), ("DateStyle = 'ISO, DMY'", "d::text", "2024-02-29"),
        ]:
            c.execute("RESET ALL")
            c.execute(f"SET {setting}")
            try:
                same((sql, *_texts(c, f"SELECT {sql} FROM st_row")), (sql, text))
            except AssertionError as error:
                assert "not supported" in str(error) and setting != "DateStyle = 'ISO, DMY'", error

    _with_row(check)
