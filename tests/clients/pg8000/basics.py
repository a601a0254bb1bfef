"""pg8000: pure Python, unnamed statements with text parameters whose types the server infers."""

import datetime
import decimal
import os
import ssl

import pg8000.native

from server import DATABASE, HOST, PASSWORD, PORT, USER, raises, same


def _connect(password=PASSWORD):
    return pg8000.native.Connection(USER, host=HOST, port=PORT, database=DATABASE, password=password)


def it_logs_in():
    same(_connect().run("SELECT 1, 'x'"), [[1, "x"]])


def a_wrong_password_is_refused():
    error = raises(pg8000.exceptions.DatabaseError, _connect, "wrong")
    same(error.args[0]["C"], "28P01")


def types_arrive():
    c = _connect()
    c.run("SET TimeZone = 'UTC'")
    same(c.run("""SELECT true, 1::smallint, 3::bigint, 1.5::float8, 12.50::numeric(10,2), 'ü'::text, '2024-02-29'::date,
                         '2024-02-29 12:00:00.5'::timestamp, '2024-02-29 12:00:00+02'::timestamptz,
                         '\\x00ff'::bytea, ARRAY[1,2,NULL]"""),
         [[True, 1, 3, 1.5, decimal.Decimal("12.50"), "ü", datetime.date(2024, 2, 29),
           datetime.datetime(2024, 2, 29, 12, 0, 0, 500000),
           datetime.datetime(2024, 2, 29, 10, 0, tzinfo=datetime.timezone.utc), b"\x00\xff", [1, 2, None]]])


def parameters_get_their_type_from_their_place():
    c = _connect()
    same(c.run("SELECT count(*) > 0 FROM interactions WHERE customer_id = :id AND occurred_at > :since",
               id=1, since=datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)), [[True]])
    same(c.run("SELECT CAST(:n AS int) + 1", n=41), [[42]])


def a_prepared_statement_runs_many_times():
    c = _connect()
    statement = c.prepare("SELECT CAST(:n AS bigint) * 2")
    for n in range(20):
        same(statement.run(n=n), [[n * 2]])
    statement.close()


def columns_are_described():
    c = _connect()
    c.run("SELECT customer_id, count(*) FROM interactions GROUP BY 1 LIMIT 1")
    same([(column["name"], column["type_oid"]) for column in c.columns], [("customer_id", 20), ("count", 20)])


def a_failed_transaction_can_be_rolled_back():
    c = _connect()
    c.run("START TRANSACTION")
    error = raises(pg8000.exceptions.DatabaseError, c.run, "SELECT 1/0")
    same(error.args[0]["C"], "22012")
    error = raises(pg8000.exceptions.DatabaseError, c.run, "SELECT 1")
    same(error.args[0]["C"], "25P02")
    c.run("ROLLBACK")
    same(c.run("SELECT 1"), [[1]])


def copy_goes_in():
    import io
    c = _connect()
    c.run("CREATE TABLE e_copy (a int, b text)")
    c.run("COPY e_copy FROM STDIN WITH (FORMAT csv)", stream=io.StringIO("1,x\n2,y\n"))
    same(c.run("SELECT count(*), max(b) FROM e_copy"), [[2, "y"]])
    out = io.StringIO()
    c.run("COPY e_copy TO STDOUT WITH (FORMAT csv)", stream=out)
    same(sorted(out.getvalue().split()), ["1,x", "2,y"])
    c.run("DROP TABLE e_copy")


def tls_is_verified():
    trusted = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    c = pg8000.native.Connection(USER, host=HOST, port=PORT, database=DATABASE, password=PASSWORD, ssl_context=trusted)
    same(c.run("SELECT 1"), [[1]])
