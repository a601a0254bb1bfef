"""psycopg2: the simple protocol with parameters written into the text, as Superset and Airflow use it."""

import datetime
import decimal
import io

import psycopg2
import psycopg2.extras

from server import ENDLESS, becomes_idle, raises, same


def _connect(**options):
    c = psycopg2.connect("", **options)
    c.autocommit = True
    return c


def it_logs_in():
    c = _connect()
    cursor = c.cursor()
    cursor.execute("SELECT 1, 'x', NULL")
    same(cursor.fetchall(), [(1, "x", None)])


def a_wrong_password_is_refused():
    error = raises(psycopg2.OperationalError, psycopg2.connect, "", password="wrong")
    assert "password authentication failed" in str(error), error


def types_arrive():
    cursor = _connect(options="-c TimeZone=UTC").cursor()
    cursor.execute("""SELECT true, 1::smallint, 2, 3::bigint, 1.5::float8, 12.50::numeric(10,2), 'ü'::text,
                      '2024-02-29'::date, '2024-02-29 12:00:00.5'::timestamp, '2024-02-29 12:00:00+02'::timestamptz,
                      '\\x00ff'::bytea, ARRAY[1,2,NULL], '1 day 02:00:00'::interval""")
    row = cursor.fetchone()
    same(row[:9], (True, 1, 2, 3, 1.5, decimal.Decimal("12.50"), "ü", datetime.date(2024, 2, 29),
                   datetime.datetime(2024, 2, 29, 12, 0, 0, 500000)))
    same(row[9].astimezone(datetime.timezone.utc).isoformat(), "2024-02-29T10:00:00+00:00")
    same((bytes(row[10]), row[11], row[12]), (b"\x00\xff", [1, 2, None], datetime.timedelta(days=1, hours=2)))


def parameters_are_quoted_right():
    cursor = _connect().cursor()
    for value in ["it's", 'back\\slash', "%s", "ü\n\t", "'; DROP TABLE interactions; --"]:
        cursor.execute("SELECT %s", [value])
        same(cursor.fetchone()[0], value)
    cursor.execute("SELECT %s, %s, %s, %s", [datetime.date(2024, 1, 2), decimal.Decimal("1.10"), [1, 2], b"\x00\x01"])
    row = cursor.fetchone()
    same((row[0], row[1], row[2], bytes(row[3])), (datetime.date(2024, 1, 2), decimal.Decimal("1.10"), [1, 2], b"\x00\x01"))


def execute_values_inserts_in_one_statement():
    cursor = _connect().cursor()
    cursor.execute("CREATE TABLE g_values (a int, b text)")
    psycopg2.extras.execute_values(cursor, "INSERT INTO g_values VALUES %s", [(n, f"it's {n}") for n in range(500)])
    cursor.execute("SELECT count(*), sum(a), max(b) FROM g_values")
    same(cursor.fetchone(), (500, 124750, "it's 99"))
    cursor.execute("DROP TABLE g_values")


def copy_expert_goes_both_ways():
    cursor = _connect().cursor()
    cursor.execute("CREATE TABLE g_copy (a int, b text)")
    cursor.copy_expert("COPY g_copy FROM STDIN WITH (FORMAT csv)", io.StringIO("1,x\n2,\n"))
    same(cursor.rowcount, 2)
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT * FROM g_copy ORDER BY a) TO STDOUT", out)
    same(out.getvalue(), "1\tx\n2\t\\N\n")
    cursor.execute("DROP TABLE g_copy")


def errors_are_of_their_class():
    cursor = _connect().cursor()
    for sql, kind in [("SELECT * FROM nowhere", psycopg2.errors.UndefinedTable),
                      ("SELECT nothing", psycopg2.errors.UndefinedColumn),
                      ("SELECT 1/0", psycopg2.errors.DivisionByZero),
                      ("SELECT 'x'::int", psycopg2.errors.InvalidTextRepresentation),
                      ("SELECT (", psycopg2.errors.SyntaxError)]:
        raises(kind, cursor.execute, sql)


def a_transaction_is_opened_and_ended_by_the_driver():
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


def several_statements_answer_with_the_last():
    cursor = _connect().cursor()
    cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    same(cursor.fetchone(), (3,))


def statement_timeout_is_a_query_canceled():
    cursor = _connect(options="-c statement_timeout=300").cursor()
    raises(psycopg2.errors.QueryCanceled, cursor.execute, ENDLESS)
    becomes_idle()


def cancel_from_another_thread_works():
    import threading
    c = _connect()
    timer = threading.Timer(0.5, c.cancel)
    timer.start()
    raises(psycopg2.errors.QueryCanceled, c.cursor().execute, ENDLESS)
    timer.join()
    becomes_idle()


def tls_is_verified():
    c = psycopg2.connect("", sslmode="verify-full")
    same(c.info.ssl_in_use, True)
    c.close()
