"""pg8000: pure Python, unnamed statements with text parameters whose types the server infers."""

import datetime
import decimal
import os
import ssl

import pg8000.native

from server import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, raises, same


def _connect(password=PASSWORD):
    return pg8000.native.Connection(USER, host=HOST, port=PORT, database=DATABASE, password=password)


def it_logs_in():  # connect
    same(_connect().run("SELECT 1, 'x'"), [[1, "x"]])


def a_wrong_password_is_refused():  # password
    error = raises(pg8000.exceptions.DatabaseError, _connect, "wrong")
    same(error.args[0]["C"], "28P01")


def types_arrive():  # types
    c = _connect()
    c.run("SET TimeZone = 'UTC'")
    same(c.run("""SELECT true, 1::smallint, 3::bigint, 1.5::float8, 12.50::numeric(10,2), 'ü'::text, '2024-02-29'::date,
                         '2024-02-29 12:00:00.5'::timestamp, '2024-02-29 12:00:00+02'::timestamptz,
                         '\\x00ff'::bytea, ARRAY[1,2,NULL]"""),
         [[True, 1, 3, 1.5, decimal.Decimal("12.50"), "ü", datetime.date(2024, 2, 29),
           datetime.datetime(2024, 2, 29, 12, 0, 0, 500000),
           datetime.datetime(2024, 2, 29, 10, 0, tzinfo=datetime.timezone.utc), b"\x00\xff", [1, 2, None]]])


def parameters_get_their_type_from_their_place():  # parameters
    c = _connect()
    same(c.run("SELECT count(*) > 0 FROM interactions WHERE customer_id = :id AND occurred_at > :since",
               id=1, since=datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)), [[True]])
    same(c.run("SELECT CAST(:n AS int) + 1", n=41), [[42]])


def a_prepared_statement_runs_many_times():  # prepared
    c = _connect()
    statement = c.prepare("SELECT CAST(:n AS bigint) * 2")
    for n in range(20):
        same(statement.run(n=n), [[n * 2]])
    statement.close()


def columns_are_described():  # metadata
    c = _connect()
    c.run("SELECT customer_id, count(*) FROM interactions GROUP BY 1 LIMIT 1")
    same([(column["name"], column["type_oid"]) for column in c.columns], [("customer_id", 20), ("count", 20)])


def a_failed_transaction_can_be_rolled_back():  # transactions
    c = _connect()
    c.run("START TRANSACTION")
    error = raises(pg8000.exceptions.DatabaseError, c.run, "SELECT 1/0")
    same(error.args[0]["C"], "22012")
    error = raises(pg8000.exceptions.DatabaseError, c.run, "SELECT 1")
    same(error.args[0]["C"], "25P02")
    c.run("ROLLBACK")
    same(c.run("SELECT 1"), [[1]])


def copy_goes_in():  # copy
    import io
    c = _connect()
    c.run("CREATE TABLE e_copy (a int, b text)")
    c.run("COPY e_copy FROM STDIN WITH (FORMAT csv)", stream=io.StringIO("1,x\n2,y\n"))
    same(c.run("SELECT count(*), max(b) FROM e_copy"), [[2, "y"]])
    out = io.StringIO()
    c.run("COPY e_copy TO STDOUT WITH (FORMAT csv)", stream=out)
    same(sorted(out.getvalue().split()), ["1,x", "2,y"])
    c.run("DROP TABLE e_copy")


def tls_is_verified():  # tls
    trusted = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    c = pg8000.native.Connection(USER, host=HOST, port=PORT, database=DATABASE, password=PASSWORD, ssl_context=trusted)
    same(c.run("SELECT 1"), [[1]])
    raises(ssl.SSLCertVerificationError, pg8000.native.Connection, USER, host=HOST, port=PORT, database=DATABASE, password=PASSWORD,
           ssl_context=ssl.create_default_context())


def a_table_of_every_type_is_read():  # types
    c = _connect()
    c.run("SET TimeZone = 'UTC'")
    return "\n".join(map(str, c.run("SELECT * FROM every_type ORDER BY id")))


def a_cursor_reads_in_parts():  # cursors, streaming
    c = _connect()
    c.run("BEGIN")
    c.run("DECLARE parts CURSOR FOR SELECT id FROM sales ORDER BY id")
    sizes = []
    while rows := c.run("FETCH 300 FROM parts"):
        sizes.append(len(rows))
    same(sizes, [300, 300, 300, 100])
    c.run("CLOSE parts")
    c.run("COMMIT")


def several_statements_are_run():  # several
    same(_connect().run("SELECT 1; SELECT 2"), [[1], [2]])


def changed_rows_are_counted():  # writing
    c = _connect()
    c.run("CREATE TABLE e_counts (a int, b text)")
    c.run("INSERT INTO e_counts VALUES (:a, :b), (2, 'y')", a=1, b="x")
    same(c.row_count, 2)
    same(c.run("UPDATE e_counts SET b = :b WHERE a = :a RETURNING a, b", a=2, b="z"), [[2, "z"]])
    c.run("DELETE FROM e_counts")
    same(c.row_count, 2)
    c.run("DROP TABLE e_counts")


def tables_are_made_changed_and_dropped():  # definitions
    c = _connect()
    c.run("CREATE TABLE e_changed (a int)")
    c.run("ALTER TABLE e_changed ADD COLUMN b text")
    c.run("SELECT * FROM e_changed")
    same([column["name"] for column in c.columns], ["a", "b"])
    c.run("DROP TABLE e_changed")
    same(raises(pg8000.exceptions.DatabaseError, c.run, "SELECT * FROM e_changed").args[0]["C"], "42P01")


def a_temporary_table_is_of_the_session():  # temporary
    c = _connect()
    c.run("CREATE TEMPORARY TABLE e_temporary (a int)")
    c.run("INSERT INTO e_temporary VALUES (:a), (2)", a=1)
    same(c.run("SELECT sum(a) FROM e_temporary"), [[3]])
    same(raises(pg8000.exceptions.DatabaseError, _connect().run, "SELECT * FROM e_temporary").args[0]["C"], "42P01")


def errors_carry_their_sqlstate():  # errors
    c = _connect()
    for sql, code in [("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM shops", "42703"), ("SELEC", "42601"),
                      ("SELECT 'x'::int", "22P02")]:
        same((sql, raises(pg8000.exceptions.DatabaseError, c.run, sql).args[0]["C"]), (sql, code))
    same(c.run("SELECT 1"), [[1]])


def notices_are_kept():  # notices
    c = _connect()
    c.run("DROP TABLE IF EXISTS e_nowhere")
    same([(notice[b"S"], notice[b"M"]) for notice in c.notices], [(b"NOTICE", b'table "e_nowhere" does not exist, skipping')])


def a_statement_timeout_ends_the_work():  # timeout
    c = _connect()
    c.run("SET statement_timeout = 300")
    same(raises(pg8000.exceptions.DatabaseError, c.run, ENDLESS).args[0]["C"], "57014")
    same(c.run("SELECT 1"), [[1]])


def settings_are_told():  # settings
    c = _connect()
    c.run("SET TimeZone = 'Asia/Tokyo'")
    same((c.parameter_statuses["TimeZone"], c.run("SHOW TimeZone")), ("Asia/Tokyo", [["Asia/Tokyo"]]))
