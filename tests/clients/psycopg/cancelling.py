"""Stopping a statement stops its work, wherever it is."""

import threading

import psycopg

from server import ENDLESS, becomes_idle, raises, same, stays_busy

# What keeps an engine busy in different operators.
WORK = {
    "join": ENDLESS,
    "aggregate": """SELECT a.source_id || b.source_id || c.source_id AS k, count(*)
                    FROM interactions a, interactions b, interactions c GROUP BY 1""",
    "sort": """SELECT a.quantity + b.quantity + c.quantity
               FROM interactions a, interactions b, interactions c ORDER BY 1""",
    "window": """SELECT max(n) FROM (SELECT row_number() OVER () AS n
                 FROM interactions a, interactions b, interactions c) AS w""",
    "recursion": """WITH RECURSIVE t(n) AS (SELECT min(quantity)::bigint FROM interactions UNION ALL SELECT n + 1 FROM t)
                    SELECT max(n) FROM t""",
    "series": """SELECT count(*) FROM interactions, generate_series(1, 1000000000) AS g(n)
                 WHERE quantity + n = 0""",
    "catalogue": "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c",
    "distinct": """SELECT count(DISTINCT a.source_id || b.source_id || c.source_id)
                   FROM interactions a, interactions b, interactions c""",
}


def _cancelled(sql):
    with psycopg.connect(autocommit=True) as c:
        seen = []

        def run():
            seen.append(raises(psycopg.errors.QueryCanceled, c.execute, sql))

        thread = threading.Thread(target=run)
        thread.start()
        stays_busy()
        c.cancel_safe()
        thread.join(30)
        assert not thread.is_alive(), "the statement was not cancelled within 30 seconds"
        same(str(seen[0]).splitlines()[0], "canceling statement due to user request")
        same(c.execute("SELECT 'alive'").fetchone(), ("alive",))
    becomes_idle()


def a_join_is_cancelled():  # cancel
    _cancelled(WORK["join"])


def an_aggregate_is_cancelled():  # cancel
    _cancelled(WORK["aggregate"])


def a_sort_is_cancelled():  # cancel
    _cancelled(WORK["sort"])


def a_window_is_cancelled():  # cancel
    _cancelled(WORK["window"])


def a_recursion_is_cancelled():  # cancel
    _cancelled(WORK["recursion"])


def a_long_series_is_cancelled():  # cancel
    _cancelled(WORK["series"])


def a_catalogue_query_is_cancelled():  # cancel
    _cancelled(WORK["catalogue"])


def a_distinct_count_is_cancelled():  # cancel
    _cancelled(WORK["distinct"])


def statement_timeout_ends_each_kind_of_work():  # timeout
    with psycopg.connect(autocommit=True) as c:
        c.execute("SET statement_timeout = '400ms'")
        for name, sql in WORK.items():
            error = raises(psycopg.Error, c.execute, sql)
            same((name, error.sqlstate), (name, "57014"))
        c.execute("SET statement_timeout = 0")
        same(c.execute("SELECT 'alive'").fetchone(), ("alive",))
    becomes_idle()


def statement_timeout_ends_a_catalogue_query():  # timeout
    with psycopg.connect(autocommit=True) as c:
        c.execute("SET statement_timeout = '500ms'")
        error = raises(psycopg.Error, c.execute, "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c")
        same(error.sqlstate, "57014")
        c.execute("RESET statement_timeout")
        assert c.execute("SELECT count(*) FROM pg_class").fetchone()[0] > 100
    becomes_idle()


def a_cancel_that_comes_too_late_harms_nothing():  # cancel
    with psycopg.connect(autocommit=True) as c:
        same(c.execute("SELECT 1").fetchone(), (1,))
        c.cancel_safe()
        same(c.execute("SELECT 2").fetchone(), (2,))


def a_cancel_of_one_session_leaves_the_others():  # cancel
    with psycopg.connect(autocommit=True) as a, psycopg.connect(autocommit=True) as b:
        seen = []
        thread = threading.Thread(target=lambda: seen.append(raises(psycopg.Error, a.execute, ENDLESS)))
        thread.start()
        stays_busy()
        same(b.execute("SELECT count(*) FROM interactions").fetchone(), (2000,))
        b.cancel_safe()
        assert thread.is_alive()
        a.cancel_safe()
        thread.join(30)
        same(seen[0].sqlstate, "57014")
    becomes_idle()


def a_closed_connection_stops_the_work():  # cancel
    c = psycopg.connect(autocommit=True)
    c.pgconn.send_query(ENDLESS.encode())
    stays_busy()
    c.close()
    becomes_idle()


def a_stream_that_is_closed_early_stops_the_work():  # cancel
    with psycopg.connect(autocommit=True) as c:
        stream = c.cursor().stream("SELECT a.source_id FROM interactions a, interactions b, interactions c")
        next(stream)
        stream.close()
    becomes_idle()


def an_insert_is_cancelled_and_leaves_nothing():  # cancel
    with psycopg.connect(autocommit=True) as c:
        c.execute("CREATE TABLE x_insert (a text)")
        c.execute("SET statement_timeout = '500ms'")
        error = raises(psycopg.Error, c.execute,
                       "INSERT INTO x_insert SELECT a.source_id FROM interactions a, interactions b, interactions c")
        same(error.sqlstate, "57014")
        c.execute("RESET statement_timeout")
        same(c.execute("SELECT count(*) FROM x_insert").fetchone(), (0,))
        c.execute("DROP TABLE x_insert")
    becomes_idle()


def a_copy_out_is_cancelled():  # cancel, copy
    with psycopg.connect(autocommit=True) as c:
        def read():
            with c.cursor().copy("COPY (SELECT a.source_id FROM interactions a, interactions b, interactions c) TO STDOUT") as copy:
                for n, _ in enumerate(copy):
                    if n == 1000:
                        c.cancel_safe()

        same(raises(psycopg.Error, read).sqlstate, "57014")
        same(c.execute("SELECT 'alive'").fetchone(), ("alive",))
    becomes_idle()


def a_copy_in_that_waits_is_cancelled():  # cancel, copy
    with psycopg.connect(autocommit=True) as c:
        c.execute("CREATE TABLE x_copy (a int)")
        c.execute("SET statement_timeout = '500ms'")

        def write():
            with c.cursor().copy("COPY x_copy FROM STDIN") as copy:
                copy.write("1\n")
                threading.Event().wait(1)
                for _ in range(1000):
                    copy.write("2\n" * 1000)

        same(raises(psycopg.Error, write).sqlstate, "57014")
        c.execute("RESET statement_timeout")
        same(c.execute("SELECT count(*) FROM x_copy").fetchone(), (0,))
        c.execute("DROP TABLE x_copy")


def pg_cancel_backend_cancels_another_session():  # cancel, notices
    with psycopg.connect(autocommit=True) as c, psycopg.connect(autocommit=True) as other:
        same(c.execute("SELECT pg_backend_pid()").fetchone(), (c.info.backend_pid,))
        seen, told = [], []
        thread = threading.Thread(target=lambda: seen.append(raises(psycopg.errors.QueryCanceled, c.execute, ENDLESS)))
        thread.start()
        stays_busy()
        same(other.execute("SELECT pg_cancel_backend(%s)", [c.info.backend_pid]).fetchone(), (True,))
        thread.join(30)
        assert seen, "the statement was not cancelled within 30 seconds"
        same(c.execute("SELECT 'alive'").fetchone(), ("alive",))
        other.add_notice_handler(lambda notice: told.append((notice.severity_nonlocalized, notice.message_primary)))
        same(other.execute("SELECT pg_cancel_backend(2147483647) AS done").fetchone(), (False,))
        same(told, [("WARNING", "PID 2147483647 is not a PostgreSQL backend process")])
        for binary in (False, True):
            same(other.execute("SELECT pg_cancel_backend(%b)" if binary else "SELECT pg_cancel_backend(%t)", [None]).fetchone(), (None,))
    becomes_idle()


def pg_terminate_backend_ends_other_sessions():  # cancel, notices
    with psycopg.connect(autocommit=True) as c:
        others = [psycopg.connect(autocommit=True, application_name="to be ended") for _ in range(2)]
        busy = threading.Thread(target=lambda: ended.append(raises(psycopg.errors.AdminShutdown, others[0].execute, ENDLESS)))
        ended = []
        busy.start()
        stays_busy()
        sql = ("SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
               "WHERE application_name = %s AND pid <> pg_backend_pid() ORDER BY pid")
        pids = sorted(one.info.backend_pid for one in others)
        same(c.execute(sql, ["to be ended"]).fetchall(), [(pid, True) for pid in pids])
        busy.join(30)
        assert ended, "the statement was not ended within 30 seconds"
        error = raises(psycopg.OperationalError, others[1].execute, "SELECT 1")
        assert "terminating connection due to administrator command" in str(error), error
        left = "SELECT pid FROM pg_stat_activity WHERE application_name = 'to be ended'"
        for _ in range(300):
            if not c.execute(left).fetchall():
                break
            threading.Event().wait(0.1)
        same(c.execute(left).fetchall(), [])
        same(c.execute("SELECT pg_terminate_backend(2147483647)").fetchone(), (False,))
        error = raises(psycopg.errors.AdminShutdown, c.execute, "SELECT pg_terminate_backend(pg_backend_pid())")
        same(error.diag.severity_nonlocalized, "FATAL")
    becomes_idle()


def pg_stat_activity_tells_what_sessions_do():  # metadata
    with psycopg.connect(autocommit=True, application_name="told") as c, psycopg.connect(autocommit=True) as other:
        def told(what):
            return other.execute(f"SELECT {what} FROM pg_stat_activity WHERE pid = %s", [c.info.backend_pid]).fetchone()

        c.execute("SELECT count(*) FROM products")
        same(told("application_name, state, query, usename = current_user, datname = current_database()"),
             ("told", "idle", "SELECT count(*) FROM products", True, True))
        same(told("backend_start <= query_start, query_start <= state_change, state_change <= now(), xact_start"),
             (True, True, True, None))
        same(told("client_addr IS NOT NULL OR client_port = -1, backend_type, leader_pid, client_hostname"),
             (True, "client backend", None, None))
        c.execute("BEGIN")
        c.execute("SELECT count(*) FROM products LIMIT 1")
        same(told("state, xact_start <= query_start, query"),
             ("idle in transaction", True, "SELECT count(*) FROM products LIMIT 1"))
        raises(psycopg.errors.UndefinedColumn, c.execute, "SELECT nothing FROM products")
        same(told("state, query"), ("idle in transaction (aborted)", "SELECT nothing FROM products"))
        c.execute("ROLLBACK")
        c.execute("SET application_name = 'told anew'")
        same(told("application_name, state"), ("told anew", "idle"))
        long = "SELECT '" + "ä" * 1000 + "'"
        c.execute(long)
        same(told("octet_length(query), query"), (1022, long[:515]))
        thread = threading.Thread(target=lambda: raises(psycopg.errors.QueryCanceled, c.execute, ENDLESS))
        thread.start()
        stays_busy()
        same(told("state, query, pg_cancel_backend(pid)"), ("active", ENDLESS[:1023], True))
        thread.join(30)
        mine = "SELECT query FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()"
        same(c.execute(mine).fetchone(), (mine,))
        with c.cursor().copy("COPY (SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()) TO STDOUT") as copy:
            same(b"".join(copy), b"told anew\n")
    becomes_idle()
