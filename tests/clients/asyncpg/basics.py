"""asyncpg: everything prepared, everything binary, types looked up in the catalogue."""

import asyncio
import datetime
import decimal
import os
import ssl
import uuid

import asyncpg

from server import ENDLESS, becomes_idle, same

UTC = datetime.timezone.utc


async def _rejected(kind, awaitable):
    try:
        value = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {value!r}")


async def it_logs_in():  # connect
    c = await asyncpg.connect()
    same(await c.fetchval("SELECT 1"), 1)
    assert c.get_server_version().major >= 15, c.get_server_version()
    await c.close()


async def a_wrong_password_is_refused():  # password
    await _rejected(asyncpg.InvalidPasswordError, asyncpg.connect(password="wrong"))


async def types_travel_both_ways():  # types
    c = await asyncpg.connect(server_settings={"timezone": "UTC"})
    for name, values in [
        ("bool", [True, False]), ("int2", [-5]), ("int4", [2**31 - 1]), ("int8", [-2**63]), ("float4", [0.5]),
        ("float8", [0.1]), ("text", ["", "ü"]), ("bytea", [b"\x00\xff"]), ("date", [datetime.date(2024, 2, 29)]),
        ("timestamp", [datetime.datetime(2024, 2, 29, 1, 2, 3, 4)]),
        ("timestamptz", [datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)]),
        ("numeric", [decimal.Decimal("12345678901234.5678"), decimal.Decimal("-0.01"), decimal.Decimal("0")]),
        ("uuid", [uuid.UUID(int=5)]), ("interval", [datetime.timedelta(days=2, seconds=3)]),
        ("time", [datetime.time(1, 2, 3)]), ("int4[]", [[1, None, 3], []]), ("text[]", [["a", None]]),
        ("json", ['{"a": 1}']), ("jsonb", ['{"a": 1}']),
    ]:
        for value in [*values, None]:
            same((name, await c.fetchval(f"SELECT $1::{name}", value)), (name, value))
    await c.close()


async def own_tables_take_parameters_of_every_type():  # types, parameters
    c = await asyncpg.connect(server_settings={"timezone": "UTC"})
    kinds = {
        "b": ("bool", True, False), "i2": ("int2", -5, 7), "i4": ("int4", 1, 2**31 - 1), "i8": ("int8", -2**63, 3),
        "f4": ("float4", 0.5, -1.25), "f8": ("float8", 0.1, 1e300), "t": ("text", "ü", ""), "v": ("varchar(5)", "abc", "x"),
        "k": ("char(3)", "ab ", "abc"), "y": ("bytea", b"\x00\xff", b""),
        "d": ("date", datetime.date(2024, 2, 29), datetime.date(1969, 12, 31)),
        "ts": ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime(1969, 1, 1)),
        "tz": ("timestamptz", datetime.datetime(2024, 2, 29, 1, tzinfo=UTC), datetime.datetime(1969, 1, 1, tzinfo=UTC)),
        "tm": ("time", datetime.time(1, 2, 3), datetime.time(23, 59, 59, 999999)),
        "iv": ("interval", datetime.timedelta(days=2, seconds=3), datetime.timedelta(microseconds=-1)),
        "n": ("numeric(20,4)", decimal.Decimal("123456789.5678"), decimal.Decimal("-0.0100")),
        "u": ("uuid", uuid.UUID(int=5), uuid.UUID(int=2**127)), "j": ("json", '{"a": 1}', "[]"),
        "jb": ("jsonb", '{"a": 1}', "[]"), "ia": ("int4[]", [1, None, 3], []), "ta": ("text[]", ["a", None], []),
    }
    columns = ", ".join(f"{name} {kind[0]}" for name, kind in kinds.items())
    await c.execute(f"CREATE TABLE every_kind (id integer, {columns})")
    places = ", ".join(f"${at + 2}" for at in range(len(kinds)))
    names = ", ".join(kinds)
    for row in (1, 2):
        values = [kind[row] for kind in kinds.values()]
        await c.execute(f"INSERT INTO every_kind (id, {names}) VALUES ($1, {places})", row, *values)
    row = await c.fetchrow("SELECT * FROM every_kind WHERE id = 1")
    same(list(row.values())[1:], [kind[1] for kind in kinds.values()])
    for name, (kind, one, two) in kinds.items():
        await c.execute(f"UPDATE every_kind SET {name} = $1 WHERE id = $2", two, 1)
        same((name, await c.fetchval(f"SELECT {name} FROM every_kind WHERE id = 1")), (name, two))
        if kind == "json":
            continue
        same((name, await c.execute(f"UPDATE every_kind SET {name} = NULL WHERE {name} = $1", two)), (name, "UPDATE 2"))
        await c.execute(f"UPDATE every_kind SET {name} = $1", one)
        if not kind.endswith("[]"):
            same((name, await c.fetchval(f"SELECT count(*) FROM every_kind WHERE {name} = ANY ($1)", [one, two])), (name, 2))
        same((name, await c.fetchval(f"SELECT count(*) FROM every_kind WHERE {name} > $1", one)), (name, 0))
    await c.execute("DROP TABLE every_kind")
    await c.close()


async def a_row_of_the_history_arrives():  # queries
    c = await asyncpg.connect()
    row = await c.fetchrow("SELECT * FROM interactions WHERE customer_id = $1 ORDER BY occurred_at LIMIT 1", 1)
    same(type(row["interaction_id"]), asyncpg.pgproto.pgproto.UUID)
    same(row["customer_id"], 1)
    assert row["occurred_at"].tzinfo is not None
    await c.close()


async def a_prepared_statement_tells_its_types():  # prepared, metadata
    c = await asyncpg.connect()
    statement = await c.prepare("SELECT channel, sum(amount) AS total FROM interactions WHERE customer_id = $1 "
                                "AND occurred_at >= $2 GROUP BY channel")
    same([p.name for p in statement.get_parameters()], ["int8", "timestamptz"])
    same([(a.name, a.type.name) for a in statement.get_attributes()], [("channel", "text"), ("total", "numeric")])
    for _ in range(3):
        await statement.fetch(1, datetime.datetime(2000, 1, 1, tzinfo=UTC))
    await c.close()


async def a_pool_is_reset_between_its_users():  # pools
    async with asyncpg.create_pool(min_size=2, max_size=3) as pool:
        async with pool.acquire() as c:
            await c.execute("SET statement_timeout = '9s'")
        answers = await asyncio.gather(*(pool.fetchval("SHOW statement_timeout") for _ in range(6)))
        same(set(answers), {"0"})


async def a_cursor_reads_in_parts():  # cursors, streaming
    c = await asyncpg.connect()
    async with c.transaction():
        seen = 0
        async for _ in c.cursor("SELECT source_id FROM interactions", prefetch=300):
            seen += 1
        same(seen, 2000)
    await c.close()


async def a_cursor_can_be_left_early():  # cursors
    c = await asyncpg.connect()
    async with c.transaction():
        cursor = await c.cursor("SELECT a.source_id FROM interactions a, interactions b, interactions c")
        same(len(await cursor.fetch(10)), 10)
        same(len(await cursor.fetch(5)), 5)
    same(await c.fetchval("SELECT 1"), 1)
    await c.close()
    await asyncio.to_thread(becomes_idle)


async def a_timeout_cancels_the_work():  # timeout
    c = await asyncpg.connect()
    await _rejected(asyncio.TimeoutError, c.fetchval(ENDLESS, timeout=0.5))
    same(await c.fetchval("SELECT 1"), 1)
    await c.close()
    await asyncio.to_thread(becomes_idle)


async def copy_goes_both_ways_in_binary():  # copy
    c = await asyncpg.connect()
    await c.execute("CREATE TABLE q_copy (a int8, b text, at timestamptz)")
    at = datetime.datetime(2024, 1, 1, tzinfo=UTC)
    same(await c.copy_records_to_table("q_copy", records=[(n, str(n), at) for n in range(1000)]), "COPY 1000")
    out = []

    async def keep(data):
        out.append(data)

    same(await c.copy_from_query("SELECT a FROM q_copy WHERE a > $1", 989, output=keep, format="csv"), "COPY 10")
    same(len(b"".join(out).split()), 10)
    await c.execute("DROP TABLE q_copy")
    await c.close()


async def errors_are_of_their_class():  # errors
    c = await asyncpg.connect()
    await _rejected(asyncpg.UndefinedTableError, c.fetch("SELECT * FROM nowhere"))
    await _rejected(asyncpg.UndefinedColumnError, c.fetch("SELECT nothing FROM interactions"))
    await _rejected(asyncpg.DivisionByZeroError, c.fetch("SELECT 1/$1::int", 0))
    await _rejected(asyncpg.PostgresSyntaxError, c.fetch("SELEC"))
    same(await c.fetchval("SELECT 1"), 1)
    await c.close()


async def executemany_inserts():  # writing
    c = await asyncpg.connect()
    await c.execute("CREATE TABLE q_many (a int, b text)")
    await c.executemany("INSERT INTO q_many VALUES ($1, $2)", [(n, str(n)) for n in range(20)])
    same(await c.fetchval("SELECT sum(a) FROM q_many"), 190)
    await c.execute("DROP TABLE q_many")
    await c.close()


async def tls_is_verified():  # tls
    trusted = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    c = await asyncpg.connect(ssl=trusted)
    same(await c.fetchval("SELECT 1"), 1)
    await c.close()


async def a_stranger_s_certificate_is_not_trusted():  # tls
    await _rejected(ssl.SSLCertVerificationError, asyncpg.connect(ssl=ssl.create_default_context()))


async def columns_of_every_type_are_described():  # metadata
    c = await asyncpg.connect()
    statement = await c.prepare("SELECT e.*, 1 AS one, count(*) OVER () FROM every_type e")
    told = "\n".join(f"{a.name} {a.type.name} {a.type.kind} {a.type.schema}" for a in statement.get_attributes())
    await c.close()
    return told


async def several_statements_are_run():  # several
    c = await asyncpg.connect()
    same(await c.execute("CREATE TABLE q_several (a int); INSERT INTO q_several VALUES (1), (2); DELETE FROM q_several"), "DELETE 2")
    same(await c.execute("DROP TABLE q_several"), "DROP TABLE")
    await c.close()


async def transactions_are_nested():  # transactions
    c = await asyncpg.connect()
    await c.execute("CREATE TABLE q_nested (a int)")
    async with c.transaction(isolation="repeatable_read"):
        await c.execute("INSERT INTO q_nested VALUES (1)")
        inner = c.transaction()
        await inner.start()
        await c.execute("INSERT INTO q_nested VALUES (2)")
        await inner.rollback()
        await c.execute("INSERT INTO q_nested VALUES (4)")
    same(await c.fetchval("SELECT sum(a) FROM q_nested"), 5)
    await c.execute("DROP TABLE q_nested")
    await c.close()


async def a_temporary_table_is_of_the_session():  # temporary
    c, other = await asyncpg.connect(), await asyncpg.connect()
    await c.execute("CREATE TEMPORARY TABLE q_temporary (a int)")
    await c.copy_records_to_table("q_temporary", records=[(1,), (2,)])
    same(await c.fetchval("SELECT sum(a) FROM q_temporary"), 3)
    await _rejected(asyncpg.UndefinedTableError, other.fetch("SELECT * FROM q_temporary"))
    await c.close()
    await other.close()


async def tables_are_made_changed_and_dropped():  # definitions
    c = await asyncpg.connect()
    await c.execute("CREATE TABLE q_changed (a int)")
    same(await c.fetch("SELECT * FROM q_changed"), [])
    await c.execute("ALTER TABLE q_changed ADD COLUMN b text")
    await c.execute("INSERT INTO q_changed VALUES ($1, $2)", 1, "x")
    same([tuple(row) for row in await c.fetch("SELECT * FROM q_changed")], [(1, "x")])
    same(await c.execute("DROP TABLE q_changed"), "DROP TABLE")
    await c.close()


async def notices_are_told():  # notices
    c = await asyncpg.connect()
    told = []
    c.add_log_listener(lambda _, notice: told.append((notice.severity_en, notice.message, notice.sqlstate)))
    await c.execute("DROP TABLE IF EXISTS q_nowhere")
    await asyncio.sleep(0)
    same(told, [("NOTICE", 'table "q_nowhere" does not exist, skipping', "00000")])
    await c.close()


async def a_cancelled_task_cancels_the_work():  # cancel
    c = await asyncpg.connect()
    running = asyncio.ensure_future(c.fetchval(ENDLESS))
    await asyncio.sleep(0.5)
    running.cancel()
    await _rejected(asyncio.CancelledError, running)
    same(await c.fetchval("SELECT 1"), 1)
    await c.close()
    await asyncio.to_thread(becomes_idle)


async def settings_hold():  # settings
    c = await asyncpg.connect(server_settings={"timezone": "Asia/Tokyo", "application_name": "a check"})
    same((await c.fetchval("SHOW timezone"), await c.fetchval("SHOW application_name")), ("Asia/Tokyo", "a check"))
    await c.execute("SET timezone = 'UTC'")
    same(c.get_settings().TimeZone, "UTC")
    await c.close()
