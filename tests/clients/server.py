"""The server under test, as the scripts see it."""

import os
import time

HOST = os.environ["PGHOST"]
PORT = int(os.environ["PGPORT"])
USER = os.environ["PGUSER"]
PASSWORD = os.environ["PGPASSWORD"]
DATABASE = os.environ["PGDATABASE"]
# Who signed the server's certificate, which is for localhost.
CA = os.environ["SERVER_CA"]
# `rapport`, or `postgres` where the scripts themselves are tried on the real thing.
ENGINE = os.environ["SERVER_ENGINE"]

# 2,000 interactions three times with themselves: no server finishes this while a test waits.
ENDLESS = """SELECT count(*) FROM interactions a, interactions b, interactions c
             WHERE a.quantity + b.quantity > c.quantity + 1000000"""


# Purchases of 600 customers, who stop within two years; as many times as many as are asked for.
PURCHASES = """
    CREATE TABLE {table} AS
    SELECT n * 600 + c AS customer_id, TIMESTAMPTZ '2024-01-01 12:00:00+00'
               + (c * 7 % 400 + floor(k * (4 + 40 * u) + c * k * 31 % 5)::integer) * interval '1 day' AS occurred_at,
           (10 + c * 31 % 90 + c * k % 7)::numeric(18,2) AS amount
    FROM (SELECT c, (c * 104729 + 7) * 2246822519 % 4294967296 / 4294967296.0 AS u,
                 ((c * 7919 + 13) * 2654435761 % 4294967296 + 0.5) / 4294967296.0 AS v
          FROM generate_series(1, 600) AS g (c)) AS customers, generate_series(0, 40) AS k, generate_series(0, {times} - 1) AS n
    WHERE k <= floor(ln(v) / ln(0.85)) AND c * 7 % 400 + floor(k * (4 + 40 * u) + c * k * 31 % 5)::integer < 731"""


class Skipped(Exception):
    """Why a test cannot run here."""


def skip(reason):
    raise Skipped(reason)


def raises(kind, action, *args, **kwargs):
    """The exception of that kind that the action must raise."""
    try:
        result = action(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {result!r}")


def same(actual, expected):
    assert actual == expected, f"\nexpected {expected!r}\n     got {actual!r}"


def _fields(process):
    """Of /proc, from the state on: the parent is the second, processor times are the twelfth and thirteenth."""
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _processes():
    """The server and its children: the catalogue is a process of its own."""
    server = os.environ["SERVER_PROCESS"]
    yield server
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if _fields(process)[1] == server:
                yield process
        except OSError:  # it has just ended
            pass


def _cpu_seconds():
    ticks = 0
    for process in _processes():
        try:
            ticks += int(_fields(process)[11]) + int(_fields(process)[12])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def stays_busy():
    """The server works: only then does being idle afterwards mean something."""
    if ENGINE == "postgres":  # its work is done by other processes
        time.sleep(0.3)
        return
    # Counted from the beginning: on a busy machine it gets only a little of the processor.
    before = _cpu_seconds()
    for _ in range(300):
        time.sleep(0.1)
        if _cpu_seconds() - before > 0.1:
            return
    raise AssertionError("the server never began to work")


def becomes_idle():
    """The work has ended, not only the answer. All scripts share the server, so it gets some time for theirs."""
    if ENGINE == "postgres":
        return
    for _ in range(60):
        before = _cpu_seconds()
        time.sleep(0.25)
        # A child that was ended takes its seconds with it.
        if abs(_cpu_seconds() - before) < 0.05:
            return
    raise AssertionError("the server goes on working")
