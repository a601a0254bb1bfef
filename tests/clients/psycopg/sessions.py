"""What a session remembers and when it forgets: settings, prepared statements, timeouts."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from server import DATABASE, ENGINE, raises, same


def _connect(**options):
    return psycopg.connect(**{"autocommit": True, **options})


def _show(c, name):
    return c.execute(f"SHOW {name}").fetchone()[0]


def a_rollback_takes_settings_back():  # settings
    with _connect() as c:
        c.execute("SET statement_timeout = '11s'")
        c.execute("BEGIN")
        c.execute("SET statement_timeout = '12s'")
        c.execute("SAVEPOINT s")
        c.execute("SELECT set_config('statement_timeout', '13s', false)")
        same(_show(c, "statement_timeout"), "13s")
        c.execute("ROLLBACK TO s")
        same(_show(c, "statement_timeout"), "12s")
        c.execute("ROLLBACK")
        same(_show(c, "statement_timeout"), "11s")
        c.execute("BEGIN")
        c.execute("SET statement_timeout = '14s'")
        raises(psycopg.Error, c.execute, "SELECT 1/0")
        c.execute("COMMIT")
        same(_show(c, "statement_timeout"), "11s")


def local_settings_end_with_the_block():  # settings
    with _connect() as c:
        c.execute("BEGIN")
        c.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
        c.execute("SELECT set_config('work_mem', '9MB', true)")
        same((_show(c, "TimeZone"), _show(c, "work_mem")), ("Asia/Tokyo", "9MB"))
        c.execute("COMMIT")
        assert _show(c, "TimeZone") != "Asia/Tokyo" and _show(c, "work_mem") != "9MB"
        notices = []
        c.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
        c.execute("SET LOCAL work_mem = '9MB'")
        same(notices, ["25P01"])
        assert _show(c, "work_mem") != "9MB"


def settings_are_read_in_every_way():  # settings
    with _connect() as c:
        c.execute("SET TimeZone = 'Europe/Sofia'")
        same(c.execute("SELECT current_setting('TimeZone')").fetchone(), ("Europe/Sofia",))
        same(c.execute("SELECT setting FROM pg_settings WHERE name = 'TimeZone'").fetchone(), ("Europe/Sofia",))
        same(c.execute("SELECT '2024-07-01 00:00:00+00'::timestamptz::text").fetchone(), ("2024-07-01 03:00:00+03",))
        c.execute("SET my.own = 'mine'")
        same(c.execute("SELECT current_setting('my.own')").fetchone(), ("mine",))
        c.execute("RESET my.own")
        c.execute("SET search_path = pg_catalog, public")
        same(_show(c, "search_path"), "pg_catalog, public")
        c.execute("SET TIME ZONE DEFAULT")
        c.execute("SET SESSION AUTHORIZATION DEFAULT")


def discard_all_forgets_everything():  # pools
    with _connect() as c:
        c.execute("SET statement_timeout = '11s'")
        c.execute("PREPARE d AS SELECT 1")
        c.execute("DECLARE d CURSOR WITH HOLD FOR SELECT 1")
        same(c.execute("DISCARD ALL").statusmessage, "DISCARD ALL")
        same(_show(c, "statement_timeout"), "0")
        same(raises(psycopg.Error, c.execute, "EXECUTE d").sqlstate, "26000")
        same(raises(psycopg.Error, c.execute, "FETCH d").sqlstate, "34000")
        c.execute("BEGIN")
        same(raises(psycopg.Error, c.execute, "DISCARD ALL").sqlstate, "25001")
        c.execute("ROLLBACK")
        for what in ("PLANS", "SEQUENCES", "TEMP"):
            same(c.execute(f"DISCARD {what}").statusmessage, f"DISCARD {what}")


def what_pools_say_between_their_users():  # pools
    with _connect() as c:
        c.execute("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;")
        for sql, tag in [("UNLISTEN news", "UNLISTEN"), ("UNLISTEN *", "UNLISTEN"),
                         ("RESET ALL", "RESET"), ("DEALLOCATE ALL", "DEALLOCATE ALL"), ("CLOSE ALL", "CLOSE CURSOR ALL"),
                         ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET")]:
            same((sql, c.execute(sql).statusmessage), (sql, tag))


def statements_are_prepared_and_executed_in_sql():  # prepared
    with _connect() as c:
        c.execute("PREPARE p (int, text) AS SELECT $1 + 1, $2 || '!'")
        same(c.execute("EXECUTE p (40 + 1, upper('a'))").fetchone(), (42, "A!"))
        c.execute("PREPARE q AS SELECT count(*) FROM interactions WHERE channel = $1 AND customer_id > $2")
        assert c.execute("EXECUTE q ('web', 0)").fetchone()[0] > 0
        same(raises(psycopg.Error, c.execute, "PREPARE p AS SELECT 1").sqlstate, "42P05")
        same(raises(psycopg.Error, c.execute, "EXECUTE p (1)").sqlstate, "42601")
        same(raises(psycopg.Error, c.execute, "EXECUTE p ('x', 'y')").sqlstate, "22P02")
        same(c.execute("DEALLOCATE p").statusmessage, "DEALLOCATE")
        same(raises(psycopg.Error, c.execute, "EXECUTE p (1, 'x')").sqlstate, "26000")
        c.execute("CREATE TABLE se_prepared (a int)")
        c.execute("PREPARE i AS INSERT INTO se_prepared VALUES ($1)")
        same(c.execute("EXECUTE i (7)").statusmessage, "INSERT 0 1")
        c.execute("DEALLOCATE PREPARE ALL")
        same(c.execute("SELECT a FROM se_prepared").fetchall(), [(7,)])
        c.execute("DROP TABLE se_prepared")


def an_idle_transaction_is_ended():  # timeout
    with _connect() as c:
        c.execute("SET idle_in_transaction_session_timeout = '300ms'")
        time.sleep(0.6)
        c.execute("BEGIN")
        c.execute("SELECT 1")
        time.sleep(0.8)
        same(raises(psycopg.Error, c.execute, "SELECT 1").sqlstate, "25P03")
        assert c.broken


def an_idle_session_is_ended():  # timeout
    c = _connect()
    c.execute("SET idle_session_timeout = '300ms'")
    c.execute("BEGIN")
    time.sleep(0.6)
    c.execute("COMMIT")
    time.sleep(0.8)
    same(raises(psycopg.Error, c.execute, "SELECT 1").sqlstate, "57P05")
    assert c.broken


def read_only_transactions_write_nothing():  # transactions
    with _connect() as c:
        c.execute("CREATE TABLE se_read (a int)")
        for begin in ("BEGIN READ ONLY", "BEGIN; SET TRANSACTION READ ONLY", "BEGIN; SET transaction_read_only = on"):
            c.execute(begin)
            same(_show(c, "transaction_read_only"), "on")
            same(raises(psycopg.Error, c.execute, "INSERT INTO se_read VALUES (1)").sqlstate, "25006")
            c.execute("ROLLBACK")
        c.execute("SET default_transaction_read_only = on")
        same(raises(psycopg.Error, c.execute, "DELETE FROM se_read").sqlstate, "25006")
        c.execute("RESET default_transaction_read_only")
        same(c.execute("SELECT count(*) FROM se_read").fetchone(), (0,))
        c.execute("DROP TABLE se_read")


def an_unknown_database_is_3d000():  # connect
    error = raises(psycopg.OperationalError, _connect, dbname="nowhere")
    assert 'database "nowhere" does not exist' in str(error), error
    _connect(dbname=DATABASE).close()


def another_role_is_not_taken_on():  # privileges
    with _connect() as c:
        user = c.info.user
        c.execute(f'SET ROLE "{user}"')
        c.execute("RESET ROLE")
        same(c.execute("SELECT current_user").fetchone(), (user,))
        if ENGINE == "rapport":
            assert raises(psycopg.Error, c.execute, "SET ROLE postgres").sqlstate in ("0A000", "42501")
            assert raises(psycopg.Error, c.execute, "SET SESSION AUTHORIZATION postgres").sqlstate in ("0A000", "42501")


def a_prepared_statement_does_not_change_its_columns():  # prepared
    with _connect() as c:
        c.execute("CREATE TABLE se_changing (a int)")
        c.execute("INSERT INTO se_changing VALUES (1)")
        c.execute("PREPARE se AS SELECT * FROM se_changing")
        same(c.execute("EXECUTE se").fetchall(), [(1,)])
        c.execute("ALTER TABLE se_changing ADD COLUMN b text")
        error = raises(psycopg.Error, c.execute, "EXECUTE se")
        same((error.sqlstate, error.diag.message_primary), ("0A000", "cached plan must not change result type"))
        c.execute("DEALLOCATE se")
        c.execute("PREPARE se AS SELECT * FROM se_changing")
        same(c.execute("EXECUTE se").fetchall(), [(1, None)])
        c.execute("DROP TABLE se_changing")


def who_defines_and_who_asks_do_not_hold_each_other_up():  # definitions
    """Each definition makes the others' sessions ask again for what they may read."""
    last = 8

    def define(number):
        with _connect() as c:
            for _ in range(last):
                with c.transaction():
                    c.execute(f"CREATE TABLE beside_{number} (a integer)")
                    c.execute(f"INSERT INTO beside_{number} VALUES (1)")
                c.execute(f"DROP TABLE beside_{number}")

    def ask(_):
        with _connect() as c:
            for _ in range(3 * last):
                found = c.execute("SELECT count(*) FROM pg_class JOIN interactions ON relname = upper(channel)")
                same(found.fetchone(), (0,))

    with ThreadPoolExecutor(6) as pool:
        for result in [pool.submit(work, number) for number in range(3) for work in (define, ask)]:
            result.result()


def a_temporary_table_is_of_the_session():  # temporary
    with _connect() as c, _connect() as other:
        c.execute("CREATE TEMPORARY TABLE p_temporary (a int, b text)")
        with c.cursor().copy("COPY p_temporary FROM STDIN") as copy:
            copy.write_row((1, "x"))
            copy.write_row((2, None))
        same(c.execute("UPDATE p_temporary SET b = %s WHERE a = %s RETURNING b", ["y", 2]).fetchall(), [("y",)])
        raises(psycopg.errors.UndefinedTable, other.execute, "SELECT * FROM p_temporary")
        c.execute("DISCARD TEMP")
        raises(psycopg.errors.UndefinedTable, c.execute, "SELECT * FROM p_temporary")


def a_temporary_table_ends_with_its_transaction():  # temporary
    with _connect() as c:
        with c.transaction():
            c.execute("CREATE TEMPORARY TABLE p_dropped (a int) ON COMMIT DROP")
            c.execute("INSERT INTO p_dropped VALUES (1)")
            same(c.execute("SELECT * FROM p_dropped").fetchall(), [(1,)])
        raises(psycopg.errors.UndefinedTable, c.execute, "SELECT * FROM p_dropped")
        c.execute("CREATE TEMPORARY TABLE p_emptied (a int) ON COMMIT DELETE ROWS")
        with c.transaction():
            c.execute("INSERT INTO p_emptied VALUES (1)")
        same(c.execute("SELECT * FROM p_emptied").fetchall(), [])


def savepoints_are_nested_transactions():  # transactions
    with _connect() as c:
        c.execute("CREATE TABLE p_nested (a int)")
        with c.transaction():
            c.execute("INSERT INTO p_nested VALUES (1)")
            with c.transaction(force_rollback=True):
                c.execute("INSERT INTO p_nested VALUES (2)")
            try:
                with c.transaction():
                    c.execute("INSERT INTO p_nested VALUES (4)")
                    c.execute("SELECT 1/0")
            except psycopg.errors.DivisionByZero:
                pass
            c.execute("INSERT INTO p_nested VALUES (8)")
        same(c.execute("SELECT sum(a) FROM p_nested").fetchone(), (9,))
        c.execute("DROP TABLE p_nested")


def notices_are_told_as_much_as_is_asked_for():  # notices
    with _connect() as c:
        told = []
        c.add_notice_handler(lambda notice: told.append((notice.severity_nonlocalized, notice.sqlstate, notice.message_primary)))
        c.execute("DROP TABLE IF EXISTS p_nowhere")
        c.execute("COMMIT")
        same(told, [("NOTICE", "00000", 'table "p_nowhere" does not exist, skipping'),
                    ("WARNING", "25P01", "there is no transaction in progress")])
        c.execute("SET client_min_messages = error")
        c.execute("DROP TABLE IF EXISTS p_nowhere")
        c.execute("COMMIT")
        same(len(told), 2)


def tables_are_made_changed_and_dropped():  # definitions
    with _connect() as c:
        c.execute("CREATE TABLE p_changed (a int)")
        same(c.execute("SELECT * FROM p_changed", prepare=True).fetchall(), [])
        c.execute("ALTER TABLE p_changed ADD COLUMN b text")
        c.execute("INSERT INTO p_changed VALUES (%s, %s)", [1, "x"])
        same(c.execute("SELECT b, a FROM p_changed").fetchall(), [("x", 1)])
        c.execute("DROP TABLE p_changed")
        raises(psycopg.errors.UndefinedTable, c.execute, "SELECT * FROM p_changed")
