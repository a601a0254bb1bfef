"""Statements as psql sends them: the simple protocol, several at a time, with their tags and column names."""

import subprocess

from server import raises, same


def _psql(*arguments, stdin=None):
    return subprocess.run(["psql", "-X", "-w", *arguments], capture_output=True, text=True, timeout=60, input=stdin)


def _answer(sql):
    done = _psql("-A", "-t", "-c", sql)
    same(done.stderr, "")
    return done.stdout.strip()


def command_tags_are_postgresql_s():  # queries
    done = _psql(stdin="""
        CREATE TABLE s_tags (a int, b text);
        INSERT INTO s_tags VALUES (1, 'x'), (2, 'y'), (3, 'z');
        UPDATE s_tags SET b = 'w' WHERE a > 1;
        DELETE FROM s_tags WHERE a = 1;
        COMMENT ON TABLE s_tags IS 'of no use';
        CREATE VIEW s_view AS SELECT a FROM s_tags;
        DROP VIEW s_view;
        TRUNCATE s_tags;
        CREATE TABLE s_made AS SELECT 1 AS a UNION ALL SELECT 2;
        DROP TABLE s_made, s_tags;
        BEGIN;
        COMMIT;
        SET statement_timeout = '10s';
        RESET statement_timeout;
    """)
    same(done.stderr, "")
    same(done.stdout.split("\n"), [
        "CREATE TABLE", "INSERT 0 3", "UPDATE 2", "DELETE 1", "COMMENT", "CREATE VIEW", "DROP VIEW", "TRUNCATE TABLE",
        "SELECT 2", "DROP TABLE", "BEGIN", "COMMIT", "SET", "RESET", ""])


def columns_without_a_name_get_postgresql_s():  # queries
    sql = """SELECT 1, 'x', count(*), sum(quantity), max(amount) + 1, lower(channel), coalesce(channel, ''),
                    extract(year FROM occurred_at), occurred_at::date, cast(quantity AS text),
                    CASE WHEN channel = 'web' THEN 1 END, now(), current_date, NOT true, -quantity, 1 + 1
             FROM interactions GROUP BY channel, occurred_at, quantity LIMIT 1"""
    done = _psql("-A", "-F,", "-c", sql)
    same(done.stderr, "")
    same(done.stdout.split("\n")[0], "?column?,?column?,count,sum,?column?,lower,coalesce,extract,occurred_at,quantity,"
                                     "case,now,current_date,?column?,?column?,?column?")


def an_error_drops_only_what_follows_in_the_same_message():  # several, errors
    done = _psql("-A", "-t", "-c", "SELECT 'first'; SELECT 1/0; SELECT 'third'")
    same((done.stdout.strip(), done.returncode), ("first", 1))
    assert "division by zero" in done.stderr, done.stderr


def the_session_lives_after_an_error():  # errors
    done = _psql("-A", "-t", stdin="SELECT nonsense;\nSELECT 'alive';\n")
    assert 'column "nonsense" does not exist' in done.stderr, done.stderr
    same(done.stdout.strip(), "alive")


def an_error_shows_its_place_in_the_statement():  # errors
    done = _psql("-c", "SELECT * FROM interactions WHERE chanel = 'web'")
    assert "LINE 1: " in done.stderr and "^" in done.stderr, done.stderr


def verbose_errors_carry_the_sqlstate():  # errors
    done = _psql("-v", "VERBOSITY=verbose", "-c", "SELECT * FROM nowhere")
    assert 'ERROR:  42P01: relation "nowhere" does not exist' in done.stderr, done.stderr


def on_error_stop_gives_exit_code_3():  # errors
    same(_psql("-v", "ON_ERROR_STOP=1", stdin="SELECT 1/0;\n").returncode, 3)


def an_empty_statement_is_answered():  # queries
    done = _psql("-c", ";")
    same((done.stdout, done.stderr, done.returncode), ("", "", 0))


def gdesc_describes_without_running():  # metadata
    done = _psql("-A", "-t", stdin="SELECT customer_id, amount, occurred_at, 1/0 AS never FROM interactions \\gdesc\n")
    same(done.stderr, "")
    same(done.stdout.split(), ["customer_id|bigint", "amount|numeric(18,2)", "occurred_at|timestamp", "with", "time",
                               "zone", "never|integer"])


def gset_and_gexec_work():  # queries
    done = _psql("-A", "-t", stdin="SELECT 40 AS n \\gset\nSELECT :n + 2;\nSELECT 'SELECT 7' \\gexec\n")
    same((done.stdout.split(), done.stderr), (["42", "7"], ""))


def a_comment_and_a_semicolon_in_a_text_do_not_end_it():  # queries
    same(_answer("SELECT 'a;b' /* ; */ || 'c' -- ;\n || 'd'"), "a;bcd")


def dollar_quotes_and_escapes_are_read():  # queries
    same(_answer("SELECT $x$it's$x$ || E'\\t' || U&'\\0041'"), "it's\tA")


def single_transaction_rolls_back_reads():  # transactions
    done = _psql("-A", "-t", "-1", "-c", "SELECT 1", "-c", "SELECT 2")
    same((done.stdout.split(), done.stderr), (["1", "2"], ""))


def show_and_set_are_of_the_session():  # settings
    done = _psql("-A", "-t", stdin="SET TimeZone = 'Europe/Vienna';\nSHOW TimeZone;\n"
                                   "SELECT '2024-07-01 12:00:00+00'::timestamptz;\n")
    same(done.stdout.split("\n")[:3], ["SET", "Europe/Vienna", "2024-07-01 14:00:00+02"])
    same(_answer("SHOW TimeZone") == "Europe/Vienna", False)


def an_unknown_setting_is_refused():  # settings
    done = _psql("-c", "SET no_such_setting = 1")
    assert "unrecognized configuration parameter" in done.stderr, done.stderr


def fetch_count_reads_in_parts():  # streaming, cursors
    done = _psql("-A", "-t", "-v", "FETCH_COUNT=100", "-c",
                 "SELECT quantity FROM interactions")
    same((done.stderr, len(done.stdout.split())), ("", 2000))


def a_wrong_password_is_refused():  # password
    import os
    done = subprocess.run(["psql", "-X", "-w", "-c", "SELECT 1"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PGPASSWORD": "wrong"})
    same(done.returncode, 2)
    assert "password authentication failed for user" in done.stderr, done.stderr
    raises(AssertionError, same, done.stdout, "1")


def tls_is_verified():  # tls
    done = _psql("sslmode=verify-full", "-c", "\\conninfo")
    same(done.stderr, "")
    assert "SSL connection (protocol: TLSv1." in done.stdout, done.stdout


def a_prepared_statement_takes_parameters():  # prepared, parameters
    same(_answer("PREPARE named (int, text) AS SELECT name || $2 FROM shops WHERE id = $1; EXECUTE named (2, '!'); DEALLOCATE named"),
         "PREPARE\nMarket!\nDEALLOCATE")


def rows_are_returned_by_what_writes_them():  # writing
    done = _psql("-A", "-t", stdin="""
        CREATE TABLE s_returned (a int, b text);
        INSERT INTO s_returned VALUES (1, 'x'), (2, 'y') RETURNING a + 1, b;
        UPDATE s_returned SET b = 'z' WHERE a = 2 RETURNING *;
        DELETE FROM s_returned RETURNING a;
        DROP TABLE s_returned;
    """)
    same(done.stderr, "")
    same(done.stdout.split("\n"), ["CREATE TABLE", "2|x", "3|y", "INSERT 0 2", "2|z", "UPDATE 1", "1", "2", "DELETE 2", "DROP TABLE", ""])


def a_temporary_table_is_of_the_session():  # temporary
    done = _psql("-A", "-t", "-q", stdin="CREATE TEMPORARY TABLE s_temporary (a int);\nINSERT INTO s_temporary VALUES (1), (2);\n"
                 "SELECT sum(a) FROM s_temporary;\n\\c\nSELECT * FROM s_temporary;\n")
    same(done.stdout.split("\n")[0], "3")
    assert 'relation "s_temporary" does not exist' in done.stderr, done.stderr


def a_savepoint_is_rolled_back():  # transactions
    done = _psql("-A", "-t", "-q", "-v", "ON_ERROR_ROLLBACK=on", stdin="""
        CREATE TABLE s_saved (a int);
        BEGIN;
        INSERT INTO s_saved VALUES (1);
        SELECT 1/0;
        INSERT INTO s_saved VALUES (2);
        SAVEPOINT here;
        INSERT INTO s_saved VALUES (4);
        ROLLBACK TO SAVEPOINT here;
        COMMIT;
        SELECT sum(a) FROM s_saved;
        DROP TABLE s_saved;
    """)
    same(done.stdout.strip(), "3")


def notices_are_shown():  # notices
    done = _psql("-c", "DROP TABLE IF EXISTS s_nowhere")
    same((done.stdout, done.stderr), ("DROP TABLE\n", 'NOTICE:  table "s_nowhere" does not exist, skipping\n'))
    same(_psql("-c", "SET client_min_messages = warning", "-c", "DROP TABLE IF EXISTS s_nowhere").stderr, "")


def a_cursor_is_declared_and_read():  # cursors
    same(_answer("BEGIN; DECLARE c CURSOR FOR SELECT id FROM shops ORDER BY id; FETCH 2 FROM c; MOVE 1 FROM c; FETCH ALL FROM c; COMMIT"),
         "BEGIN\nDECLARE CURSOR\n1\n2\nMOVE 1\n4\n5\nCOMMIT")
