"""Parameters, prepared statements, pipelines, errors and transactions."""

import psycopg
from psycopg.rows import dict_row

from server import raises, same


def _connect(**options):
    return psycopg.connect(**{"autocommit": True, **options})


def parameters_filter_a_scan():  # parameters
    with _connect() as c:
        total = c.execute("SELECT count(*) FROM interactions").fetchone()[0]
        web = c.execute("SELECT count(*) FROM interactions WHERE channel = %s", ["web"]).fetchone()[0]
        rest = c.execute("SELECT count(*) FROM interactions WHERE channel <> %s", ["web"]).fetchone()[0]
        assert 0 < web < total and web + rest == total, (web, rest, total)
        some = c.execute("SELECT count(*) FROM interactions WHERE channel = ANY(%s)", [["web", "phone"]]).fetchone()[0]
        assert some > web, (some, web)


def a_prepared_statement_runs_many_times():  # prepared
    with _connect() as c:
        for n in range(50):
            same(c.execute("SELECT %s::int + 1, %s::text", [n, str(n)], prepare=True).fetchone(), (n + 1, str(n)))


def types_of_parameters_are_inferred_from_their_place():  # parameters
    with _connect() as c:
        cursor = c.execute("SELECT count(*) FROM interactions WHERE customer_id = %t AND amount > %t AND occurred_at > %t",
                           ["1", "0", "1999-01-01"])
        assert cursor.fetchone()[0] >= 0


def a_pipeline_answers_in_order():  # several
    with _connect() as c, c.pipeline():
        cursors = [c.execute("SELECT %s::int", [n]) for n in range(100)]
        same([cursor.fetchone()[0] for cursor in cursors], list(range(100)))


def an_error_in_a_pipeline_ends_only_it():  # several, errors
    with _connect() as c:
        try:
            with c.pipeline():
                c.execute("SELECT 1")
                c.execute("SELECT 1/0")
                c.execute("SELECT 2")
        except psycopg.Error as error:
            same(error.sqlstate, "22012")
        same(c.execute("SELECT 3").fetchone(), (3,))


def errors_carry_their_sqlstate():  # errors
    cases = [
        ("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM interactions", "42703"), ("SELEC 1", "42601"),
        ("SELECT 1/0", "22012"), ("SELECT 'x'::int", "22P02"), ("SELECT 3000000000::int", "22003"),
        ("SELECT nofunction(1)", "42883"), ("SELECT 1; SELECT 2", "42601"), ("SELECT 'x' + 1", "22P02"),
        ("SELECT channel, count(*) FROM interactions", "42803"), ("SELECT count(*) FROM interactions GROUP BY 2", "42P10"),
        ("SELECT '2024-13-01'::date", "22008"), ("SELECT true + 1", "42883"),
        ("SELECT a.channel FROM interactions a, interactions b WHERE channel = 'x'", "42702"),
    ]
    wrong = []
    with _connect() as c:
        for sql, code in cases:
            error = raises(psycopg.Error, c.execute, sql, [] if ";" not in sql else None, prepare=True)
            if error.sqlstate != code:
                wrong.append(f"{sql}: expected {code}, got {error.sqlstate} {error}")
            same(c.execute("SELECT 1").fetchone(), (1,))
    assert not wrong, "\n".join(wrong)


def a_failed_transaction_refuses_everything_until_it_ends():  # transactions
    with psycopg.connect() as c:
        raises(psycopg.errors.DivisionByZero, c.execute, "SELECT 1/0")
        error = raises(psycopg.Error, c.execute, "SELECT 1")
        same(error.sqlstate, "25P02")
        c.rollback()
        same(c.execute("SELECT 1").fetchone(), (1,))


def a_block_sees_one_version_from_its_first_statement():  # transactions
    with _connect() as writer, psycopg.connect() as reader:
        writer.execute("CREATE TABLE p_block (a int)")
        writer.execute("INSERT INTO p_block VALUES (1)")
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ") if reader.info.transaction_status == 0 else None
        same(reader.execute("SELECT count(*) FROM p_block").fetchone(), (1,))
        writer.execute("INSERT INTO p_block VALUES (2)")
        same(reader.execute("SELECT count(*) FROM p_block").fetchone(), (1,))
        reader.commit()
        same(reader.execute("SELECT count(*) FROM p_block").fetchone(), (2,))
        reader.commit()
        writer.execute("DROP TABLE p_block")


def rows_come_as_they_are_made():  # streaming
    with _connect() as c:
        cursor = c.cursor()
        stream = cursor.stream("SELECT a.source_id FROM interactions a, interactions b, interactions c")
        same(len([next(stream) for _ in range(100)]), 100)
        stream.close()
        same(c.execute("SELECT 1").fetchone(), (1,))


def a_result_with_three_columns_of_one_name_is_legal():  # queries
    with _connect() as c:
        cursor = c.execute("SELECT NULL, NULL, NULL")
        same(([d.name for d in cursor.description], cursor.fetchone()), (["?column?"] * 3, (None, None, None)))


def rows_by_name_work():  # queries
    with _connect(row_factory=dict_row) as c:
        row = c.execute("SELECT channel, count(*), sum(quantity) FROM interactions GROUP BY channel LIMIT 1").fetchone()
        same(sorted(row), ["channel", "count", "sum"])


def many_parameters_are_taken():  # parameters
    with _connect() as c:
        row = c.execute(f"SELECT {' + '.join(['%s::bigint'] * 200)}", list(range(200))).fetchone()
        same(row, (19900,))
        places = ", ".join(["%s"] * 3000)
        row = c.execute(f"SELECT count(*) FROM interactions WHERE quantity IN ({places})", list(range(3000))).fetchone()
        same(row, (2000,))


def a_filter_of_many_or_terms_is_answered():  # queries
    with _connect() as c:
        terms = " OR ".join(f"channel = 'channel {n}'" for n in range(700))
        row = c.execute(f"SELECT count(*) FROM interactions WHERE channel = 'web' OR {terms}").fetchone()
        same(row, c.execute("SELECT count(*) FROM interactions WHERE channel = 'web'").fetchone())
        terms = " AND ".join(f"channel <> 'channel {n}'" for n in range(700))
        same(c.execute(f"SELECT count(*) FROM interactions WHERE {terms}").fetchone(), (2000,))


def executemany_inserts_every_row():  # writing
    with _connect() as c:
        c.execute("CREATE TABLE p_many (a int, b text)")
        c.cursor().executemany("INSERT INTO p_many VALUES (%s, %s)", [(n, str(n)) for n in range(20)])
        same(c.execute("SELECT count(*), sum(a) FROM p_many").fetchone(), (20, 190))
        c.execute("DROP TABLE p_many")


def a_statement_without_rows_tells_how_many_it_touched():  # writing
    with _connect() as c:
        c.execute("CREATE TABLE p_count (a int)")
        same(c.execute("INSERT INTO p_count SELECT n FROM generate_series(1, 10) AS g(n)").rowcount, 10)
        same(c.execute("UPDATE p_count SET a = a + %s WHERE a > %s", [1, 5]).rowcount, 5)
        same(c.execute("DELETE FROM p_count WHERE a < %s", [3]).rowcount, 2)
        same(c.execute("SELECT a FROM p_count").rowcount, 8)
        c.execute("DROP TABLE p_count")


def writes_take_parameters_beside_a_query():  # writing, parameters
    with psycopg.connect(autocommit=True) as c:
        c.execute("CREATE TABLE upserts (id integer, v varchar(3), k char(2), n numeric(6,2))")
        c.execute("INSERT INTO upserts (id, v) SELECT a.id, a.v FROM (VALUES (%s::int, %s), (%s, %s)) AS a (id, v)", (1, "a", 2, "b"))
        merge = """MERGE INTO upserts AS t USING (VALUES (%s, %s), (%s, %s)) AS s (id, v) ON t.id = s.id
                   WHEN MATCHED THEN UPDATE SET v = s.v, n = %s WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)"""
        same(c.execute(merge, (2, "B", 3, "C", 1.5)).statusmessage, "MERGE 2")
        c.execute("UPDATE upserts AS t SET k = %s FROM (SELECT %s AS id) AS s WHERE t.id = s.id", ("kk", 3))
        c.execute("INSERT INTO upserts (id) SELECT a.id FROM (VALUES (%s), (%s)) AS a (id) "
                  "WHERE NOT EXISTS (SELECT 1 FROM upserts AS p WHERE p.id = a.id)", (3, 4))
        for change in ("UPDATE upserts SET v = %s", "UPDATE upserts SET k = %s", "INSERT INTO upserts (v) VALUES (%s)"):
            raises(psycopg.errors.StringDataRightTruncation, c.execute, change, ("abcdef",))
        told = c.execute("SELECT id, v, k, n FROM upserts ORDER BY id").fetchall()
        c.execute("DROP TABLE upserts")
    return repr(told)
