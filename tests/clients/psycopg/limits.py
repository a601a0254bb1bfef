"""What one client can do to the others: as little as possible."""

import os
import random
import struct
import threading

import psycopg

from server import ENGINE, same
from wire import Session


def the_hundred_and_first_client_is_53300():  # connect
    sessions, refused = [], None
    try:
        while refused is None and len(sessions) < 130:
            try:
                sessions.append(Session())
            except ConnectionError as error:
                refused = error.args[0]
        same((refused["S"], refused["C"], refused["M"]), ("FATAL", "53300", "sorry, too many clients already"))
        assert len(sessions) > 80, f"only {len(sessions)} sessions were opened"
        same(sessions[0].ask("SELECT 1"), [[b"1"]])
    finally:
        for session in sessions:
            session.close()
    # The places are free again.
    for _ in range(100):
        try:
            psycopg.connect().close()
            return
        except psycopg.OperationalError:
            threading.Event().wait(0.1)
    raise AssertionError("no place became free")


def random_messages_after_login_end_at_most_the_session():  # protocol
    dice = random.Random(7)
    for _ in range(60):
        c = psycopg.connect()
        handle = os.dup(c.fileno())
        try:
            for _ in range(4):
                body = dice.randbytes(dice.randrange(0, 80))
                length = dice.choice([len(body) + 4, len(body) + 4, dice.randrange(-5, 300)])
                kind = dice.choice([b"Q", b"P", b"B", b"D", b"E", b"C", b"S", b"H", b"d", b"c", b"f", b"p", b"z"])
                os.write(handle, kind + struct.pack("!i", length) + body)
        except OSError:
            pass
        os.close(handle)
        c.close()
    with psycopg.connect() as c:
        same(c.execute("SELECT 'alive'").fetchone(), ("alive",))


def a_deep_statement_is_an_error_and_not_the_end():  # queries
    deep = [
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT " + "1+" * 20000 + "1",
        "SELECT count(*) FROM interactions WHERE " + " OR ".join(f"quantity = {n}" for n in range(20000)),
        "SELECT " + "NOT " * 20000 + "true",
        "SELECT " + "-" * 0 + "- " * 20000 + "1",
        "SELECT " + "CASE WHEN true THEN " * 3000 + "1" + " END" * 3000,
        " UNION ALL ".join(["SELECT 1"] * 5000),
        "SELECT * FROM " + "(SELECT * FROM " * 1000 + "interactions" + ") AS t" * 1000,
        "SELECT '" + "[" * 100000 + "'::jsonb",
        "SELECT " + "abs(" * 3000 + "1" + ")" * 3000,
    ]
    for sql in deep:
        with psycopg.connect(autocommit=True) as c:
            c.execute("SET statement_timeout = '20s'")
            try:
                c.execute(sql)
            except psycopg.OperationalError as error:
                # An error of this statement, not of the connection.
                assert error.sqlstate is not None, f"{sql[:60]}: {error}"
            except psycopg.Error:
                pass
            same(c.execute("SELECT 1").fetchone(), (1,))


def a_long_in_list_is_answered():  # queries
    with psycopg.connect() as c:
        values = ", ".join(str(n) for n in range(5000))
        row = c.execute(f"SELECT count(*) FROM interactions WHERE quantity IN ({values})").fetchone()
        same(row, (2000,))


def a_big_sort_and_join_leave_the_server_alive():  # queries
    with psycopg.connect(autocommit=True) as c:
        c.execute("SET statement_timeout = '30s'")
        for sql in [
            "SELECT count(*) FROM (SELECT a.source_id || b.source_id AS k FROM interactions a, interactions b ORDER BY 1) AS s",
            "SELECT count(*) FROM (SELECT DISTINCT a.source_id || b.source_id FROM interactions a, interactions b) AS s",
        ]:
            try:
                same(c.execute(sql).fetchone(), (4_000_000,))
            except psycopg.Error as error:
                assert error.sqlstate in ("53200", "57014"), error
            same(c.execute("SELECT 1").fetchone(), (1,))


def a_sort_beyond_its_memory_goes_to_disk():  # queries
    # 4 million texts of 150 bytes: more than the 512 MB that one statement may hold here.
    with psycopg.connect(autocommit=True) as c:
        c.execute("SET statement_timeout = '100s'")
        row = c.execute("""SELECT count(*), min(n), max(n) FROM (
                             SELECT row_number() OVER (ORDER BY k) AS n FROM (
                               SELECT a.source_id || b.source_id || repeat('x', 130) AS k
                               FROM interactions a, interactions b) AS s) AS t""").fetchone()
        same(row, (4_000_000, 1, 4_000_000))


def an_endless_result_of_one_client_does_not_grow_the_server():  # protocol
    if ENGINE == "postgres":
        return

    def memory():
        with open(f"/proc/{os.environ['SERVER_PROCESS']}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) // 1024

    before = memory()
    c = psycopg.connect(autocommit=True)
    stream = c.cursor().stream("SELECT a.source_id, b.source_id, c.source_id FROM interactions a, interactions b, interactions c")
    for _ in range(20_000):
        next(stream)
    # The client does not read on: what the server makes meanwhile is bounded.
    for _ in range(20):
        threading.Event().wait(0.1)
        assert memory() - before < 400, f"{before} MB became {memory()} MB"
    stream.close()
    c.close()
