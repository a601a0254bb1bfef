"""Cursors: named, held, binary, with parameters, forward."""

import psycopg

from server import becomes_idle, raises, same

ALL = "SELECT quantity FROM interactions"


def _connect(**options):
    return psycopg.connect(**{"autocommit": True, **options})


def a_server_side_cursor_takes_parameters():  # cursors
    with psycopg.connect() as c:
        for values in (["web"], ["phone"]):
            with c.cursor("p_cursor") as cursor:
                cursor.itersize = 50
                cursor.execute("SELECT channel FROM interactions WHERE channel = %s", values)
                same(cursor.description[0].name, "channel")
                rows = list(cursor)
                assert len(rows) > 100 and set(rows) == {tuple(values)}, len(rows)
        with c.cursor("p_numbers", binary=True) as cursor:
            cursor.execute("SELECT n, n * %s FROM generate_series(1, 5) AS g(n)", [10])
            same(cursor.fetchmany(2), [(1, 10), (2, 20)])
            same(cursor.fetchall(), [(3, 30), (4, 40), (5, 50)])


def a_server_side_cursor_outlives_its_transaction_if_it_is_held():  # cursors
    with psycopg.connect() as c:
        cursor = c.cursor("p_held", withhold=True)
        cursor.execute(ALL)
        same(len(cursor.fetchmany(100)), 100)
        c.commit()
        same(len(cursor.fetchall()), 1900)
        cursor.close()
        c.rollback()


def a_held_cursor_of_a_block_that_failed_is_gone():  # cursors, transactions
    with _connect() as c:
        c.execute("BEGIN")
        c.execute(f"DECLARE p_lost CURSOR WITH HOLD FOR {ALL}")
        c.execute("ROLLBACK")
        same(raises(psycopg.Error, c.execute, "FETCH p_lost").sqlstate, "34000")
        c.execute(f"DECLARE p_kept CURSOR WITH HOLD FOR {ALL}")
        c.execute("BEGIN")
        c.execute("ROLLBACK")
        same(len(c.execute("FETCH 10 p_kept").fetchall()), 10)
        c.execute("CLOSE p_kept")


def a_held_cursor_keeps_what_it_saw():  # cursors
    with _connect() as c:
        c.execute("CREATE TABLE cu_seen (a int)")
        c.execute("INSERT INTO cu_seen VALUES (1), (2)")
        c.execute("DECLARE cu CURSOR WITH HOLD FOR SELECT a FROM cu_seen ORDER BY a")
        c.execute("INSERT INTO cu_seen VALUES (3)")
        same(c.execute("FETCH ALL cu").fetchall(), [(1,), (2,)])
        c.execute("CLOSE cu")
        c.execute("DROP TABLE cu_seen")


def a_cursor_needs_a_block_unless_it_is_held():  # cursors
    with _connect() as c:
        same(raises(psycopg.Error, c.execute, f"DECLARE x CURSOR FOR {ALL}").sqlstate, "25P01")
        # Several statements in one message are a block of their own.
        cursor = c.execute("DECLARE x CURSOR FOR SELECT 7; FETCH x")
        cursor.nextset()
        same(cursor.fetchall(), [(7,)])
        same(raises(psycopg.Error, c.execute, "FETCH x").sqlstate, "34000")


def fetch_goes_forward_in_every_way():  # cursors
    steps = [
        ("FETCH c", [1]), ("FETCH NEXT FROM c", [2]), ("FETCH 2 IN c", [3, 4]), ("FETCH FORWARD c", [5]),
        ("FETCH FORWARD 2 FROM c", [6, 7]), ("FETCH RELATIVE 2 c", [9]), ("FETCH ABSOLUTE 12 c", [12]),
        ("FETCH BACKWARD -1 c", [13]), ("FETCH ALL c", [14, 15, 16, 17, 18, 19, 20]), ("FETCH c", []),
        ("FETCH FORWARD ALL c", []), ("FETCH ABSOLUTE 30 c", []),
    ]
    with _connect() as c:
        for source in ("generate_series(1, 20) AS g(n)",
                       "(SELECT row_number() OVER () AS n FROM interactions LIMIT 20) AS s"):
            c.execute("BEGIN")
            c.execute(f"DECLARE c NO SCROLL CURSOR FOR SELECT n FROM {source} ORDER BY n")
            for sql, expected in steps:
                cursor = c.execute(sql)
                same((sql, [row[0] for row in cursor.fetchall()]), (sql, expected))
                same(cursor.statusmessage, f"FETCH {len(expected)}")
            c.execute("COMMIT")


def move_skips_rows_and_counts_them():  # cursors
    with _connect() as c:
        c.execute("BEGIN")
        c.execute(f"DECLARE c NO SCROLL CURSOR FOR {ALL}")
        for sql, tag in [("MOVE 0 c", "MOVE 0"), ("MOVE 10 c", "MOVE 10"), ("MOVE 0 c", "MOVE 1"),
                         ("MOVE RELATIVE 5 c", "MOVE 1"), ("MOVE ABSOLUTE 100 c", "MOVE 1"),
                         ("MOVE FORWARD ALL IN c", "MOVE 1900"), ("MOVE c", "MOVE 0"), ("MOVE 0 c", "MOVE 0")]:
            same((sql, c.execute(sql).statusmessage), (sql, tag))
        same(c.execute("FETCH ALL c").fetchall(), [])
        c.execute("COMMIT")


def there_is_no_way_back():  # cursors
    with _connect() as c:
        for sql in ["FETCH PRIOR c", "FETCH BACKWARD c", "FETCH BACKWARD ALL c", "FETCH -1 c", "FETCH ABSOLUTE 2 c",
                    "FETCH FIRST c", "FETCH LAST c", "FETCH ABSOLUTE -1 c", "FETCH RELATIVE -1 c", "FETCH 0 c",
                    "MOVE BACKWARD 1 c", "MOVE FORWARD -2 c"]:
            c.execute("BEGIN")
            c.execute(f"DECLARE c NO SCROLL CURSOR FOR {ALL}")
            c.execute("FETCH 5 c")
            error = raises(psycopg.Error, c.execute, sql)
            same((sql, error.sqlstate), (sql, "55000"))
            assert "scan forward" in str(error), error
            c.execute("ROLLBACK")


def a_binary_cursor_answers_simple_queries_in_binary():  # cursors
    with _connect() as c:
        c.execute("BEGIN")
        for source in ("SELECT 258 AS n", "SELECT 258 AS n FROM interactions LIMIT 1"):
            c.execute(f"DECLARE b BINARY CURSOR FOR {source}")
            result = c.pgconn.exec_(b"FETCH b")
            same((result.fformat(0), result.get_value(0, 0)), (1, b"\0\0\1\2"))
            c.execute("CLOSE b")
        c.execute("COMMIT")


def a_cursor_goes_with_the_savepoint_that_is_rolled_back():  # cursors, transactions
    with _connect() as c:
        c.execute("BEGIN")
        c.execute(f"DECLARE before CURSOR FOR {ALL}")
        c.execute("SAVEPOINT s")
        c.execute(f"DECLARE after CURSOR FOR {ALL}")
        c.execute("ROLLBACK TO s")
        same(len(c.execute("FETCH 3 before").fetchall()), 3)
        same(raises(psycopg.Error, c.execute, "FETCH after").sqlstate, "34000")
        c.execute("ROLLBACK")


def names_are_taken_once_and_close_frees_them():  # cursors
    with _connect() as c:
        c.execute("BEGIN")
        c.execute(f"DECLARE twice CURSOR FOR {ALL}")
        c.execute("SAVEPOINT s")
        same(raises(psycopg.Error, c.execute, f"DECLARE twice CURSOR FOR {ALL}").sqlstate, "42P03")
        c.execute("ROLLBACK TO s")
        same(c.execute("CLOSE twice").statusmessage, "CLOSE CURSOR")
        c.execute(f"DECLARE twice CURSOR FOR {ALL}")
        same(c.execute("CLOSE ALL").statusmessage, "CLOSE CURSOR ALL")
        c.execute("SAVEPOINT s")
        same(raises(psycopg.Error, c.execute, "CLOSE twice").sqlstate, "34000")
        c.execute("ROLLBACK")


def an_error_in_the_query_of_a_cursor_points_to_its_place():  # cursors, errors
    with _connect() as c:
        c.execute("BEGIN")
        error = raises(psycopg.Error, c.execute, "DECLARE c CURSOR FOR SELECT nothing FROM interactions")
        same((error.sqlstate, error.diag.statement_position), ("42703", "29"))
        c.execute("ROLLBACK")


def statement_timeout_does_not_run_between_two_fetches():  # timeout
    import time
    with _connect() as c:
        c.execute("SET statement_timeout = '700ms'")
        c.execute("BEGIN")
        c.execute(f"DECLARE c CURSOR FOR SELECT a.source_id FROM interactions a, interactions b")
        same(len(c.execute("FETCH 10 c").fetchall()), 10)
        time.sleep(0.8)
        same(len(c.execute("FETCH 10 c").fetchall()), 10)
        c.execute("ROLLBACK")


def a_cursor_that_is_closed_stops_its_work():  # cursors
    with _connect() as c:
        c.execute("BEGIN")
        c.execute("DECLARE c CURSOR FOR SELECT a.source_id FROM interactions a, interactions b, interactions d")
        same(len(c.execute("FETCH 1000 c").fetchall()), 1000)
        c.execute("CLOSE c")
        becomes_idle()
        c.execute("COMMIT")


def isolation_levels_are_told_as_they_were_asked_for():  # transactions
    with _connect() as c:
        def level():
            return c.execute("SHOW transaction_isolation").fetchone()[0]

        same(level(), "read committed")
        c.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        same(level(), "serializable")
        c.execute("COMMIT")
        c.execute("BEGIN")
        c.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        same(c.execute("SHOW TRANSACTION ISOLATION LEVEL").fetchone()[0], "repeatable read")
        c.execute("COMMIT AND CHAIN")
        same(level(), "repeatable read")
        c.execute("ROLLBACK")
        same(level(), "read committed")
        c.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        same(level(), "repeatable read")
        c.execute("BEGIN")
        same(level(), "repeatable read")
        c.execute("COMMIT")
        same(raises(psycopg.Error, c.execute, "SET default_transaction_isolation = 'perfect'").sqlstate, "22023")
