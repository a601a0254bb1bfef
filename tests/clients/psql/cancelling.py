"""Ctrl-C in psql, and a psql that is killed."""

import os
import pty
import select
import signal
import subprocess
import time

from server import ENDLESS, becomes_idle, same, stays_busy


def _until(terminal, words):
    """What psql shows until it has said all of the words."""
    seen, deadline = "", time.monotonic() + 30
    while not all(word in seen for word in words):
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"psql never said {words}, only\n{seen}")
        seen += os.read(terminal, 65536).decode()
    return seen


def ctrl_c_stops_the_work_and_the_session_lives():  # cancel
    # On a terminal, because elsewhere psql ends at an interrupt.
    terminal, other_end = pty.openpty()
    psql = subprocess.Popen(["psql", "-X", "-w", "-n", "-A", "-t", "-P", "pager=off"], stdin=other_end,
                            stdout=other_end, stderr=other_end)
    os.close(other_end)
    os.write(terminal, (" ".join(ENDLESS.split()) + ";\n").encode())
    stays_busy()
    psql.send_signal(signal.SIGINT)
    _until(terminal, ["canceling statement due to user request"])
    os.write(terminal, b"SELECT 'still ' || 'alive';\n")
    _until(terminal, ["still alive"])
    os.write(terminal, b"\\q\n")
    same(psql.wait(30), 0)
    becomes_idle()


def a_vanished_client_stops_the_work():  # cancel
    psql = subprocess.Popen(["psql", "-X", "-w", "-c", ENDLESS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stays_busy()
    psql.kill()
    psql.wait()
    becomes_idle()


def statement_timeout_stops_the_work():  # timeout
    done = subprocess.run(["psql", "-X", "-w", "-v", "VERBOSITY=verbose", "-c", "SET statement_timeout = '300ms'",
                           "-c", ENDLESS], capture_output=True, text=True, timeout=60)
    assert "57014" in done.stderr and "canceling statement due to statement timeout" in done.stderr, done.stderr
    becomes_idle()


def a_client_that_stops_reading_stops_nothing_else():  # streaming
    reader = subprocess.Popen(["psql", "-X", "-w", "-A", "-t", "-c",
                               "COPY (SELECT a.source_id, b.source_id FROM interactions a, interactions b) TO STDOUT"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    reader.stdout.read(100)
    done = subprocess.run(["psql", "-X", "-w", "-A", "-t", "-c", "SELECT count(*) FROM interactions"],
                          capture_output=True, text=True, timeout=30)
    same(done.stdout.strip(), "2000")
    reader.kill()
    reader.wait()
    becomes_idle()
