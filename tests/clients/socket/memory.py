"""What the server holds while it answers much, or many."""

import os
import threading
import time

from server import ENGINE, same, skip
from wire import SYNC, Session, bind, execute, message, parse, query

# 100 million rows for one who asks: RAPPORT_TEST_ROWS=100000000.
ROWS = int(os.environ.get("RAPPORT_TEST_ROWS", 10_000_000))
MANY = f"""SELECT a.source_id, b.customer_id, a.occurred_at, b.amount
           FROM interactions a, interactions b, interactions c LIMIT {ROWS}"""


def _memory():
    with open(f"/proc/{os.environ['SERVER_PROCESS']}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) // 1024


def _flat(what, *parts):
    """Sends, reads to the end, and watches the server's memory meanwhile."""
    if ENGINE == "postgres":
        skip("PostgreSQL's memory is spread over processes")
    if "RAPPORT_TEST_ROUNDS" not in os.environ and "RAPPORT_TEST_ROWS" not in os.environ:
        skip("takes long: asked for with tests/run --long")
    s = Session()
    # What stays from a first time is not what this is about.
    s.send(query("SELECT count(*) FROM (SELECT * FROM interactions a, interactions b LIMIT 100000) AS s"))
    s.until()
    base, most, over = _memory(), 0, threading.Event()

    def watch():
        nonlocal most
        while not over.wait(0.05):
            most = max(most, _memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    s.send(*parts)
    read, tail = 0, b""
    while not tail.endswith(b"Z\0\0\0\x05I"):
        block = s.socket.recv(1 << 20)
        assert block, tail
        read += len(block)
        tail = (tail + block)[-64:]
    seconds = time.monotonic() - began
    over.set()
    watcher.join()
    s.close()
    assert str(ROWS).encode() in tail, tail
    print(f"{what}: {ROWS} rows, {read >> 20} MiB in {seconds:.1f} s, {base} MiB before, {most} MiB at most")
    assert most - base < 64, f"{base} MiB became {most} MiB"


def many_rows_in_a_simple_query_leave_memory_flat():  # streaming
    _flat("simple", query(MANY))


def many_rows_in_the_extended_protocol_leave_memory_flat():  # streaming
    _flat("extended, binary", parse(MANY), bind(results=[1]), execute(), SYNC)


def many_rows_of_a_copy_leave_memory_flat():  # copy
    _flat("copy, binary", query(f"COPY ({MANY}) TO STDOUT (FORMAT binary)"))


def many_rows_in_parts_leave_memory_flat():  # streaming
    _flat("extended, in parts", parse(MANY), bind(portal="p"), *[execute(ROWS // 10, "p") for _ in range(11)], SYNC)


def idle_sessions_are_cheap():  # protocol
    if ENGINE == "postgres":
        skip("PostgreSQL has a process for each")
    first = [Session() for _ in range(10)]
    base = _memory()
    more = [Session() for _ in range(60)]
    each = (_memory() - base) * 1024 / len(more)
    assert each < 300, f"{each:.0f} KiB each"
    for s in first + more:
        same(s.ask("SELECT 1"), [[b"1"]])
        s.send(message(b"X"))
        s.close()
