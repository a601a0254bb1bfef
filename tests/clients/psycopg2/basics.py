"""psycopg2: the simple protocol with parameters written into the text, as Superset and Airflow use it."""

import datetime
import decimal
import io

import psycopg2
import psycopg2.extras
import psycopg2.pool

from server import ENDLESS, becomes_idle, raises, same


def _connect(**options):
    c = psycopg2.connect("", **options)
    c.autocommit = True
    return c


def it_logs_in():  # connect
    c = _connect()
    cursor = c.cursor()
    cursor.execute("SELECT 1, 'x', NULL")
    same(cursor.fetchall(), [(1, "x", None)])


def a_wrong_password_is_refused():  # password
    error = raises(psycopg2.OperationalError, psycopg2.connect, "", password="wrong")
    assert "password authentication failed" in str(error), error


def types_arrive():  # types
    cursor = _connect(options="-c TimeZone=UTC").cursor()
    cursor.execute("""SELECT true, 1::smallint, 2, 3::bigint, 1.5::float8, 12.50::numeric(10,2), 'ü'::text,
                      '2024-02-29'::date, '2024-02-29 12:00:00.5'::timestamp, '2024-02-29 12:00:00+02'::timestamptz,
                      '\\x00ff'::bytea, ARRAY[1,2,NULL], '1 day 02:00:00'::interval""")
    row = cursor.fetchone()
    same(row[:9], (True, 1, 2, 3, 1.5, decimal.Decimal("12.50"), "ü", datetime.date(2024, 2, 29),
                   datetime.datetime(2024, 2, 29, 12, 0, 0, 500000)))
    same(row[9].astimezone(datetime.timezone.utc).isoformat(), "2024-02-29T10:00:00+00:00")
    same((bytes(row[10]), row[11], row[12]), (b"\x00\xff", [1, 2, None], datetime.timedelta(days=1, hours=2)))


def parameters_are_quoted_right():  # parameters
    cursor = _connect().cursor()
    for value in ["it's", 'back\\slash', "%s", "ü\n\t", "'; DROP TABLE interactions; --"]:
        cursor.execute("SELECT %s", [value])
        same(cursor.fetchone()[0], value)
    cursor.execute("SELECT %s, %s, %s, %s", [datetime.date(2024, 1, 2), decimal.Decimal("1.10"), [1, 2], b"\x00\x01"])
    row = cursor.fetchone()
    same((row[0], row[1], row[2], bytes(row[3])), (datetime.date(2024, 1, 2), decimal.Decimal("1.10"), [1, 2], b"\x00\x01"))


def execute_values_inserts_in_one_statement():  # writing
    cursor = _connect().cursor()
    cursor.execute("CREATE TABLE g_values (a int, b text)")
    psycopg2.extras.execute_values(cursor, "INSERT INTO g_values VALUES %s", [(n, f"it's {n}") for n in range(500)])
    cursor.execute("SELECT count(*), sum(a), max(b) FROM g_values")
    same(cursor.fetchone(), (500, 124750, "it's 99"))
    cursor.execute("DROP TABLE g_values")


def copy_expert_goes_both_ways():  # copy
    cursor = _connect().cursor()
    cursor.execute("CREATE TABLE g_copy (a int, b text)")
    cursor.copy_expert("COPY g_copy FROM STDIN WITH (FORMAT csv)", io.StringIO("1,x\n2,\n"))
    same(cursor.rowcount, 2)
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT * FROM g_copy ORDER BY a) TO STDOUT", out)
    same(out.getvalue(), "1\tx\n2\t\\N\n")
    cursor.execute("DROP TABLE g_copy")


def errors_are_of_their_class():  # errors
    cursor = _connect().cursor()
    for sql, kind in [("SELECT * FROM nowhere", psycopg2.errors.UndefinedTable),
                      ("SELECT nothing", psycopg2.errors.UndefinedColumn),
                      ("SELECT 1/0", psycopg2.errors.DivisionByZero),
                      ("SELECT 'x'::int", psycopg2.errors.InvalidTextRepresentation),
                      ("SELECT (", psycopg2.errors.SyntaxError)]:
        raises(kind, cursor.execute, sql)


def a_transaction_is_opened_and_ended_by_the_driver():  # transactions
    c = psycopg2.connect("")
    cursor = c.cursor()
    cursor.execute("SELECT 1")
    same(c.get_transaction_status(), psycopg2.extensions.TRANSACTION_STATUS_INTRANS)
    c.rollback()
    same(c.get_transaction_status(), psycopg2.extensions.TRANSACTION_STATUS_IDLE)
    raises(psycopg2.Error, cursor.execute, "SELECT 1/0")
    same(c.get_transaction_status(), psycopg2.extensions.TRANSACTION_STATUS_INERROR)
    c.commit()
    same(c.get_transaction_status(), psycopg2.extensions.TRANSACTION_STATUS_IDLE)


def several_statements_answer_with_the_last():  # several
    cursor = _connect().cursor()
    cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    same(cursor.fetchone(), (3,))


def statement_timeout_is_a_query_canceled():  # timeout
    cursor = _connect(options="-c statement_timeout=300").cursor()
    raises(psycopg2.errors.QueryCanceled, cursor.execute, ENDLESS)
    becomes_idle()


def cancel_from_another_thread_works():  # cancel
    import threading
    c = _connect()
    timer = threading.Timer(0.5, c.cancel)
    timer.start()
    raises(psycopg2.errors.QueryCanceled, c.cursor().execute, ENDLESS)
    timer.join()
    becomes_idle()


def tls_is_verified():  # tls
    c = psycopg2.connect("", sslmode="verify-full")
    same(c.info.ssl_in_use, True)
    c.close()
    error = raises(psycopg2.OperationalError, psycopg2.connect, "", sslmode="verify-full", sslrootcert="/nowhere")
    assert "does not exist" in str(error), error


def columns_are_described():  # metadata
    cursor = _connect().cursor()
    cursor.execute("SELECT * FROM every_type WHERE id < 0")
    return "\n".join(str((c.name, c.type_code, c.internal_size, c.precision, c.scale)) for c in cursor.description)


def a_table_of_every_type_is_read():  # types
    cursor = _connect(options="-c TimeZone=UTC").cursor()
    cursor.execute("SELECT * FROM every_type ORDER BY id")
    return "\n".join(str([bytes(v) if isinstance(v, memoryview) else v for v in row]) for row in cursor)


def a_named_cursor_reads_in_parts():  # cursors, streaming
    with psycopg2.connect("") as c, c.cursor("named") as cursor:
        cursor.itersize = 77
        cursor.execute("SELECT id FROM sales WHERE shop_id = %s ORDER BY id", [2])
        same(len(cursor.fetchmany(5)), 5)
        same([row[0] for row in cursor][-1], 996)


def a_prepared_statement_runs_many_times():  # prepared
    cursor = _connect().cursor()
    cursor.execute("PREPARE twice (int) AS SELECT $1 * 2")
    for n in range(8):
        cursor.execute("EXECUTE twice (%s)", [n])
        same(cursor.fetchone(), (n * 2,))
    cursor.execute("DEALLOCATE twice")


def savepoints_are_taken_and_left():  # transactions
    with psycopg2.connect("") as c, c.cursor() as cursor:
        cursor.execute("SAVEPOINT here")
        raises(psycopg2.errors.DivisionByZero, cursor.execute, "SELECT 1/0")
        cursor.execute("ROLLBACK TO SAVEPOINT here")
        cursor.execute("SELECT 1")
        same(cursor.fetchone(), (1,))


def a_temporary_table_is_of_the_session():  # temporary
    cursor, other = _connect().cursor(), _connect().cursor()
    cursor.execute("CREATE TEMPORARY TABLE g_temporary (a int)")
    cursor.execute("INSERT INTO g_temporary VALUES (1), (2)")
    cursor.execute("SELECT sum(a) FROM g_temporary")
    same(cursor.fetchone(), (3,))
    raises(psycopg2.errors.UndefinedTable, other.execute, "SELECT * FROM g_temporary")


def tables_are_made_changed_and_dropped():  # definitions
    cursor = _connect().cursor()
    cursor.execute("CREATE TABLE g_changed (a int)")
    cursor.execute("ALTER TABLE g_changed ADD COLUMN b text")
    cursor.execute("ALTER TABLE g_changed RENAME TO g_renamed")
    cursor.execute("SELECT * FROM g_renamed")
    same([c.name for c in cursor.description], ["a", "b"])
    cursor.execute("DROP TABLE g_renamed")
    raises(psycopg2.errors.UndefinedTable, cursor.execute, "SELECT * FROM g_renamed")


def notices_are_kept():  # notices
    c = _connect()
    c.cursor().execute("DROP TABLE IF EXISTS g_nowhere")
    same(c.notices, ['NOTICE:  table "g_nowhere" does not exist, skipping\n'])


def settings_hold():  # settings
    c = _connect(options="-c TimeZone=Asia/Tokyo", application_name="a check")
    c.set_session(isolation_level="REPEATABLE READ", readonly=True)
    cursor = c.cursor()
    for name, value in [("TimeZone", "Asia/Tokyo"), ("application_name", "a check"), ("default_transaction_read_only", "on"),
                        ("default_transaction_isolation", "repeatable read")]:
        cursor.execute(f"SHOW {name}")
        same((name, cursor.fetchone()[0]), (name, value))
    same(c.get_parameter_status("TimeZone"), "Asia/Tokyo")


def a_pool_s_connection_is_reset():  # pools
    c = _connect()
    c.cursor().execute("SET statement_timeout = '9s'")
    c.reset()
    cursor = c.cursor()
    cursor.execute("SHOW statement_timeout")
    same(cursor.fetchone(), ("0",))
    pool = psycopg2.pool.ThreadedConnectionPool(1, 4, "")
    taken = [pool.getconn() for _ in range(4)]
    for c in taken:
        pool.putconn(c)
    pool.closeall()
