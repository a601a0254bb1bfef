"""Every type in both directions, as text and as binary."""

import datetime
import decimal
import ipaddress
import uuid

import psycopg
from psycopg.types.json import Json, Jsonb

from server import same

UTC = datetime.timezone.utc
D = decimal.Decimal

VALUES = [
    ("boolean", [True, False]),
    ("smallint", [0, -32768, 32767]),
    ("integer", [0, -2147483648, 2147483647]),
    ("bigint", [0, -9223372036854775808, 9223372036854775807]),
    ("real", [0.0, 1.5, -0.25, float("inf"), float("-inf")]),
    ("double precision", [0.0, 0.1, -1e-300, 1.7976931348623157e308, float("inf")]),
    ("numeric", [D("0"), D("-1"), D("0.0001"), D("12345678901234567890.12345"), D("10000"), D("0.00010000")]),
    ("numeric(18,2)", [D("0.00"), D("-0.01"), D("9999999999999999.99"), D("100000000.00")]),
    ("text", ["", "x", "Grüße, Иван, 漢字 🙂", "tab\tline\nback\\slash'quote\"", "x" * 100_000]),
    ("varchar(20)", ["", "short"]),
    ("bytea", [b"", b"\x00\xff\\", bytes(range(256))]),
    ("date", [datetime.date(2024, 2, 29), datetime.date(1900, 1, 1), datetime.date(9999, 12, 31)]),
    ("timestamp", [datetime.datetime(2024, 2, 29, 23, 59, 59, 999999), datetime.datetime(1900, 1, 1)]),
    ("timestamptz", [datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
                     datetime.datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)]),
    ("time", [datetime.time(0, 0), datetime.time(23, 59, 59, 999999)]),
    ("interval", [datetime.timedelta(0), datetime.timedelta(days=3, hours=4, microseconds=5),
                  datetime.timedelta(days=-1)]),
    ("uuid", [uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")]),
    ("integer[]", [[], [1, None, -3]]),
    ("text[]", [[], ["a", None, "", 'quote " comma , brace } back \\', "NULL"]]),
    ("double precision[]", [[0.5, None]]),
    ("smallint[]", [[], [1, None, -32768]]),
    ("bigint[]", [[9223372036854775807, None]]),
    ("real[]", [[1.5, None, float("inf")]]),
    ("numeric(10,2)[]", [[D("1.50"), None, D("-2.25")]]),
    ("boolean[]", [[True, None, False]]),
    ("bytea[]", [[b"\x00\xff\\", None, b""]]),
    ("date[]", [[datetime.date(2024, 2, 29), None]]),
    ("time[]", [[datetime.time(23, 59, 59, 999999), None]]),
    ("timestamp[]", [[datetime.datetime(2024, 2, 29, 23, 59, 59, 999999), None]]),
    ("timestamptz[]", [[datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC), None]]),
    ("uuid[]", [[uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), None]]),
    ("varchar(5)[]", [["short", None, ""]]),
    ("char(3)[]", [["abc", None]]),
    ("jsonb[]", [[]]),
]


def _connect():
    return psycopg.connect(autocommit=True, options="-c TimeZone=UTC")


def _both_ways(binary):
    mark = "%b" if binary else "%t"
    with _connect() as c:
        cursor = c.cursor(binary=binary)
        for name, values in VALUES:
            for value in [*values, None]:
                got = cursor.execute(f"SELECT {mark}::{name}", [value]).fetchone()[0]
                assert got == value and type(got) is type(value), f"{name}: sent {value!r:.80}, got {got!r:.80}"


def values_travel_both_ways_as_text():  # types
    _both_ways(False)


def values_travel_both_ways_in_binary():  # types
    _both_ways(True)


def _through_a_table(binary):
    columns = [(name, values) for name, values in VALUES]
    table = f"t_types_{'binary' if binary else 'text'}"
    mark = "%b" if binary else "%t"
    with _connect() as c:
        cursor = c.cursor(binary=binary)
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TABLE {table} (n int, {', '.join(f'c{i} {name}' for i, (name, _) in enumerate(columns))})")
        rows = []
        for n in range(2):
            rows.append([n, *(values[min(n, len(values) - 1)] for _, values in columns)])
        rows.append([2, *(None for _ in columns)])
        for row in rows:
            cursor.execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", row)
        got = cursor.execute(f"SELECT * FROM {table} ORDER BY n").fetchall()
        for expected, actual in zip(rows, got, strict=True):
            for (name, _), e, a in zip([("n", None), *columns], expected, actual, strict=True):
                assert e == a, f"{name}: stored {e!r:.80}, got {a!r:.80}"
        cursor.execute(f"DROP TABLE {table}")


def values_are_kept_by_a_table_as_text():  # types
    _through_a_table(False)


def values_are_kept_by_a_table_in_binary():  # types
    _through_a_table(True)


def json_travels_both_ways():  # types
    document = {"a": [1, 2.5, None, True, "ü"], "b": {"c": {}}}
    with _connect() as c:
        for binary in (False, True):
            cursor = c.cursor(binary=binary)
            same(cursor.execute("SELECT %s::jsonb", [Jsonb(document)]).fetchone()[0], document)
            same(cursor.execute("SELECT %s::json", [Json(document)]).fetchone()[0], document)


def a_column_tells_its_name_type_and_size():  # types, metadata
    with _connect() as c:
        cursor = c.execute("SELECT customer_id, amount, occurred_at, channel, 1 AS one, 1.5 AS n FROM interactions LIMIT 0")
        same([(d.name, d.type_code, d.precision, d.scale) for d in cursor.description],
             [("customer_id", 20, None, None), ("amount", 1700, 18, 2), ("occurred_at", 1184, None, None),
              ("channel", 25, None, None), ("one", 23, None, None), ("n", 1700, None, None)])


def the_built_in_columns_arrive_in_their_types():  # types
    with _connect() as c:
        for binary in (False, True):
            row = c.cursor(binary=binary).execute(
                "SELECT interaction_id, customer_id, occurred_at, channel, amount FROM interactions "
                "WHERE amount IS NOT NULL ORDER BY occurred_at LIMIT 1").fetchone()
            same([type(v) for v in row], [uuid.UUID, int, datetime.datetime, str, D])


def a_time_is_shown_in_the_session_s_zone():  # types
    with psycopg.connect(options="-c TimeZone=Europe/Vienna") as c:
        for binary in (False, True):
            got = c.cursor(binary=binary).execute("SELECT '2024-07-01 12:00:00+00'::timestamptz").fetchone()[0]
            same(got.isoformat(), "2024-07-01T14:00:00+02:00")


def an_address_is_refused_or_comes_back_the_same():  # types
    # No type of ours: whatever happens, it must not come back as something else.
    with _connect() as c:
        try:
            got = c.execute("SELECT %s::inet", [ipaddress.ip_address("10.0.0.1")]).fetchone()[0]
        except psycopg.Error:
            pass
        else:
            same(got, ipaddress.ip_address("10.0.0.1"))
