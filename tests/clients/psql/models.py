"""Models in psql: made, watched, cancelled, read."""

import os
import pty
import select
import signal
import subprocess
import time

from server import ENGINE, PURCHASES, same, skip


def _psql(*arguments):
    return subprocess.run(["psql", "-X", "-w", "-A", "-t", *arguments], capture_output=True, text=True, timeout=60)


def _answer(sql):
    done = _psql("-c", sql)
    same(done.stderr, "")
    return done.stdout.strip()


class _Model:
    """A clv model over a table of its own."""

    def __init__(self, name, times=1):
        if ENGINE == "postgres":
            skip("PostgreSQL has no models")
        self.name, self.times = name, times

    def __enter__(self):
        self.__exit__()
        made = _psql("-c", PURCHASES.format(table=f"{self.name}_purchases", times=self.times), "-c",
                     f"CREATE MODEL {self.name} TYPE clv OPTIONS (horizon = 90, scores = {self.name}) "
                     f"AS SELECT * FROM {self.name}_purchases WITH NO DATA",
                     # Before the last 90 days: the next version can be judged beside it.
                     "-c", f"REFRESH MODEL {self.name} AS OF '2025-09-30'")
        same(made.returncode, 0)
        return made

    def __exit__(self, *_):
        _psql("-c", f"DROP MODEL IF EXISTS {self.name}", "-c", f"DROP TABLE IF EXISTS {self.name}_purchases")


def a_model_is_made_refreshed_and_read():  # models
    with _Model("p_worth") as made:
        line = made.stdout.strip().splitlines()[-1].split("|")
        same((line[0], line[1], line[2], line[10]), ("p_worth", "1", "600", "t"))
        assert "WARNING" not in made.stderr, made.stderr
        done = _psql("-c", "REFRESH MODEL p_worth")
        same(done.stdout.split("|")[:2], ["p_worth", "2"])
        same(_answer("SELECT count(*), max(version) FROM scores.p_worth"), "600|2")
        same(_answer("SELECT bool_and(clv = clv('p_worth', customer_id)) FROM scores.p_worth"), "t")
        assert "p_worth|clv|2|" in _psql("-c", "SHOW MODELS").stdout
        assert "version in use|2" in _psql("-c", "DESCRIBE MODEL p_worth").stdout
        same(_psql("-c", "PROMOTE MODEL p_worth VERSION 1 BECAUSE 'it was better'").returncode, 0)
        same(_answer("SELECT version, status FROM models.versions WHERE model = 'p_worth' ORDER BY 1"), "1|in use\n2|replaced")


def progress_comes_as_notices_while_it_runs():  # models, notices
    with _Model("p_watched", times=10):
        psql = subprocess.Popen(["psql", "-X", "-w", "-q", "-c", "REFRESH MODEL p_watched"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        said = [(time.monotonic(), line.strip()) for line in psql.stderr]
        same(psql.wait(60), 0)
        lines = [line for _, line in said if line.startswith("NOTICE")]
        assert lines[0].startswith("NOTICE:  p_watched: reading the history (phase 1 of "), lines
        for phase in ("fitting", "judging", "scoring", "publishing"):
            assert any(f": {phase} (phase " in line for line in lines), (phase, lines)
        assert any("6,000 rows" in line for line in lines), lines
        assert said[-1][0] - said[0][0] > 0.2, "all notices came at the end"
        quiet = _psql("-c", "SET client_min_messages = error", "-c", "REFRESH MODEL p_watched")
        same(quiet.stderr, "")


def what_is_not_published_is_a_warning():  # models, notices
    if ENGINE == "postgres":
        skip("PostgreSQL has no models")
    done = _psql(
        "-c", "DROP MODEL IF EXISTS p_steady", "-c", "DROP TABLE IF EXISTS p_steady_purchases",
        "-c", """CREATE TABLE p_steady_purchases AS
                 SELECT c AS customer_id, TIMESTAMPTZ '2025-01-01 12:00:00+00' + (c % 20 + k * (5 + c % 3)) * interval '1 day' AS occurred_at,
                        20.00::numeric(18,2) AS amount
                 FROM generate_series(1, 300) AS g (c), generate_series(0, 80) AS k WHERE c % 20 + k * (5 + c % 3) < 365""",
        "-c", "CREATE MODEL p_steady TYPE clv OPTIONS (scores = p_steady) AS SELECT * FROM p_steady_purchases")
    same(done.returncode, 0)
    assert 'WARNING:  version 1 of model "p_steady" is not published: on the holdout' in done.stderr, done.stderr
    assert "|f|on the holdout the customer's own past rate" in done.stdout, done.stdout
    _psql("-c", "DROP MODEL p_steady", "-c", "DROP TABLE p_steady_purchases")


def it_stands_outside_of_transactions():  # models
    with _Model("p_alone"):
        done = _psql("-c", "BEGIN; REFRESH MODEL p_alone")
        assert "REFRESH MODEL cannot run inside a transaction block" in done.stderr, done.stderr
        done = _psql("-c", "SELECT 1; SELECT * FROM refresh_model('p_alone')")
        assert "REFRESH MODEL cannot run inside a transaction block" in done.stderr, done.stderr
        done = _psql("-c", "CREATE TABLE p_beside (a int); DROP MODEL p_alone; DROP TABLE p_beside")
        assert "DROP MODEL cannot run inside a transaction block" in done.stderr, done.stderr
        _psql("-c", "DROP TABLE IF EXISTS p_beside")
        same(_answer("SELECT max(version) FROM models.versions WHERE model = 'p_alone'"), "1")


def ctrl_c_ends_a_refresh_within_a_second():  # models, cancel
    with _Model("p_slow", times=40):
        terminal, other_end = pty.openpty()
        psql = subprocess.Popen(["psql", "-X", "-w", "-n", "-A", "-t", "-P", "pager=off"], stdin=other_end,
                                stdout=other_end, stderr=other_end)
        os.close(other_end)
        os.write(terminal, b"REFRESH MODEL p_slow;\n")
        _until(terminal, "p_slow: fitting")
        time.sleep(0.5)
        at = time.monotonic()
        psql.send_signal(signal.SIGINT)
        _until(terminal, "canceling statement due to user request")
        assert time.monotonic() - at < 1.5, time.monotonic() - at
        os.write(terminal, b"\\q\n")
        same(psql.wait(30), 0)
        same(_answer("SELECT DISTINCT version FROM scores.p_slow"), "1")
        # Nobody holds it any more.
        same(_psql("-c", "REFRESH MODEL p_slow").stdout.split("|")[:2], ["p_slow", "2"])


def _until(terminal, words):
    """What psql shows until it has said the words."""
    seen, deadline = "", time.monotonic() + 30
    while words not in seen:
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"psql never said {words}, only\n{seen}")
        seen += os.read(terminal, 65536).decode()
    return seen
