"""What INSERT, UPDATE and DELETE return, and arrays as parameters, described and in both forms."""

import datetime
import decimal
import uuid

import psycopg

from server import raises, same

TABLE = "CREATE TABLE {} (id integer NOT NULL, name text, code varchar(8), price numeric(10,2), who uuid, day date, at timestamptz)"


def _connect(**options):
    return psycopg.connect(**{"autocommit": True, **options})


def _described(c, sql):
    """Parameters' types, and the columns' names and types, of a statement that nobody has told anything."""
    c.pgconn.prepare(b"described", sql.encode())
    result = c.pgconn.describe_prepared(b"described")
    same(result.error_message, b"")
    c.pgconn.exec_(b"DEALLOCATE described")
    columns = [(result.fname(n).decode(), result.ftype(n)) for n in range(result.nfields)]
    return [result.param_type(n) for n in range(result.nparams)], columns


def rows_that_are_written_are_returned():  # writing
    with _connect() as c:
        c.execute(TABLE.format("p_returning"))
        try:
            for binary in (False, True):
                cursor = c.cursor(binary=binary)
                cursor.execute("INSERT INTO p_returning (id, name) VALUES (%s, %s), (%s, %s) RETURNING id, upper(name) AS up, price",
                               [1, "a", 2, "b"])
                same((cursor.statusmessage, cursor.rowcount), ("INSERT 0 2", 2))
                same(cursor.fetchall(), [(1, "A", None), (2, "B", None)])
                cursor.execute("UPDATE p_returning SET price = id + %s WHERE id > %s RETURNING id, price, price * %s::int", [decimal.Decimal("0.5"), 1, 2])
                same(cursor.statusmessage, "UPDATE 1")
                same([str(value) for value in cursor.fetchone()], ["2", "2.50", "5.00"])
                cursor.execute("DELETE FROM p_returning RETURNING id, %s::text", ["gone"])
                same(cursor.statusmessage, "DELETE 2")
                same(sorted(cursor.fetchall()), [(1, "gone"), (2, "gone")])
                cursor.execute("DELETE FROM p_returning RETURNING *")
                same((cursor.statusmessage, len(cursor.description), cursor.fetchall()), ("DELETE 0", 7, []))
        finally:
            c.execute("DROP TABLE p_returning")


def returned_rows_are_described():  # writing, metadata
    with _connect() as c:
        c.execute(TABLE.format("p_described"))
        try:
            same(_described(c, "INSERT INTO p_described (id, name) VALUES ($1, $2) RETURNING id, who, id + $3 AS more"),
                 ([23, 25, 23], [("id", 23), ("who", 2950), ("more", 23)]))
            same(_described(c, "UPDATE p_described SET day = NULL WHERE id = $1 RETURNING day, at"),
                 ([23], [("day", 1082), ("at", 1184)]))
            same(_described(c, "DELETE FROM p_described WHERE who = $1 RETURNING p_described.*")[1],
                 [("id", 23), ("name", 25), ("code", 1043), ("price", 1700), ("who", 2950), ("day", 1082), ("at", 1184)])
            same(_described(c, "DELETE FROM p_described"), ([], []))
        finally:
            c.execute("DROP TABLE p_described")


def returned_rows_are_fetched_in_a_block():  # writing
    with _connect(autocommit=False) as c:
        c.execute(TABLE.format("p_block"))
        same(c.execute("INSERT INTO p_block (id) VALUES (7) RETURNING id").fetchone(), (7,))
        raises(psycopg.errors.DivisionByZero, c.execute, "UPDATE p_block SET id = 8 RETURNING id / 0")
        c.rollback()
        raises(psycopg.errors.UndefinedTable, c.execute, "SELECT * FROM p_block")


def array_parameters_filter_each_type():  # parameters
    one, other = uuid.UUID(int=1), uuid.UUID(int=2)
    at = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
    with _connect() as c:
        c.execute(TABLE.format("p_arrays"))
        try:
            c.execute("INSERT INTO p_arrays VALUES (1, 'a', 'x', 1.5, %s, '2024-02-29', %s), (2, 'b', 'y', 2, %s, '2024-03-01', NULL), (3, NULL, NULL, NULL, NULL, NULL, NULL)",
                      [one, at, other])
            for column, values, expected in [
                ("id", [1, 3, 70000], [1, 3]), ("name", ["a", None], [1]), ("code", ["y"], [2]), ("price", [1, 2], [2]),
                ("who", [other, one], [1, 2]), ("day", [at.date()], [1]), ("at", [at, None], [1]), ("id", [2, None], [2]),
            ]:
                for binary in ("%s", "%b", "%t"):
                    found = c.execute(f"SELECT id FROM p_arrays WHERE {column} = ANY({binary}) ORDER BY id", [values]).fetchall()
                    same([row[0] for row in found], expected)
            same(c.execute("SELECT id FROM p_arrays WHERE name <> ALL(%s) ORDER BY id", [["a"]]).fetchall(), [(2,)])
            same(c.execute("SELECT id FROM p_arrays WHERE name <> ALL(%s)", [["a", None]]).fetchall(), [])
            same(c.execute("SELECT id FROM p_arrays WHERE id = ANY(%s::int[])", [[]]).fetchall(), [])
            same(c.execute("SELECT count(*) FROM p_arrays WHERE id <> ALL(%s::int[])", [[]]).fetchone(), (3,))
        finally:
            c.execute("DROP TABLE p_arrays")


def array_parameters_are_described():  # parameters, metadata
    with _connect() as c:
        c.execute(TABLE.format("p_any"))
        try:
            for column, oid in [("id", 1007), ("name", 1009), ("code", 1009), ("price", 1231), ("who", 2951), ("day", 1182), ("at", 1185)]:
                same(_described(c, f"SELECT 1 FROM p_any WHERE {column} = ANY($1)")[0], [oid])
                same(_described(c, f"DELETE FROM p_any WHERE {column} <> ALL ($1)")[0], [oid])
        finally:
            c.execute("DROP TABLE p_any")
