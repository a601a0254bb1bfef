"""Models in psycopg: parameters, notices, types, and the ways to end a refresh."""

import threading
import time

import psycopg
from psycopg import errors

from server import ENGINE, PURCHASES, becomes_idle, raises, same, skip


class _Model:
    """A clv model over a table of its own, and a connection."""

    def __init__(self, name, times=1):
        if ENGINE == "postgres":
            skip("PostgreSQL has no models")
        self.name, self.times = name, times
        self.c = psycopg.connect(autocommit=True)

    def __enter__(self):
        self._drop()
        self.c.execute(PURCHASES.format(table=f"{self.name}_purchases", times=self.times))
        self.c.execute(f"CREATE MODEL {self.name} TYPE clv OPTIONS (horizon = 90, scores = {self.name}) "
                       f"AS SELECT * FROM {self.name}_purchases WITH NO DATA")
        # Before the last 90 days: the next version can be judged beside it.
        self.c.execute(f"REFRESH MODEL {self.name} AS OF '2025-09-30'")
        return self.c

    def __exit__(self, *_):
        self._drop()
        self.c.close()

    def _drop(self):
        self.c.execute(f"DROP MODEL IF EXISTS {self.name}")
        self.c.execute(f"DROP TABLE IF EXISTS {self.name}_purchases")


def a_model_is_made_refreshed_and_read():  # models
    with _Model("y_worth") as c:
        row = c.execute("REFRESH MODEL y_worth").fetchone()
        same((row[0], row[1], row[2], row[10]), ("y_worth", 2, 600, True))
        same(c.execute("SELECT count(*), max(version) FROM scores.y_worth").fetchone(), (600, 2))
        asked = c.execute("SELECT clv('y_worth', %s), (SELECT clv FROM scores.y_worth WHERE customer_id = %s)", (7, 7))
        asked = asked.fetchone()
        same(asked[0], float(asked[1]))


def parameters_are_texts_numbers_and_moments():  # models
    import datetime

    with _Model("y_given") as c:
        refresh = "SELECT * FROM refresh_model(%s, %s)"
        for n, moment in enumerate(["2025-12-01", datetime.date(2025, 12, 1),
                                    datetime.datetime(2025, 12, 1, tzinfo=datetime.timezone.utc)]):
            for binary in (False, True):
                row = c.execute(refresh, ("y_given", moment), binary=binary).fetchone()
                same(row[1], 2 + 2 * n + binary)
        for version in (6, "7"):
            row = c.execute("SELECT * FROM promote_model(%s, %s, %s)", ("y_given", version, "to try")).fetchone()
            same(row[1], int(version))
        row = c.execute("SELECT * FROM promote_model(%s, %b, %t)", ("y_given", 6, "again")).fetchone()
        same((row[1], row[10]), (6, True))
        raises(errors.NullValueNotAllowed, c.execute, "SELECT * FROM refresh_model(%s)", (None,))
        raises(errors.UndefinedObject, c.execute, "SELECT * FROM refresh_model(%s)", ("nobody",))


def it_is_described_before_it_is_run():  # models
    with _Model("y_told") as c:
        described = c.execute("SELECT * FROM show_models()", prepare=True).description
        kinds = {column.name: column.type_code for column in described}
        same((kinds["model"], kinds["version"], kinds["value"], kinds["as_of"]), (25, 20, 701, 1082))
        same(c.execute("SELECT max(version) FROM models.versions WHERE model = 'y_told'").fetchone(), (1,))
        names = [column.name for column in c.execute("DESCRIBE MODEL y_told", prepare=True, binary=True).description]
        same(names, ["part", "name", "value"])


def rows_may_be_taken_in_parts():  # models
    with _Model("y_parts") as c:
        with c.transaction(), c.cursor(name="in_parts") as cursor:
            cursor.execute("SELECT * FROM describe_model(%s)", ("y_parts",))
            first = cursor.fetchmany(2)
            rest = cursor.fetchall()
        same(first + rest, c.execute("DESCRIBE MODEL y_parts").fetchall())


def notices_tell_the_phases():  # models, notices
    with _Model("y_watched") as c:
        said = []
        c.add_notice_handler(lambda notice: said.append((notice.severity, notice.message_primary)))
        c.execute("REFRESH MODEL y_watched")
        phases = [message.split(": ")[1].split(" (")[0] for severity, message in said if severity == "NOTICE"]
        for phase in ("reading the history", "fitting", "judging", "scoring", "publishing"):
            assert phase in phases, (phase, said)


def a_transaction_is_no_place_for_it():  # models
    with _Model("y_block") as c:
        with psycopg.connect() as block:
            error = raises(errors.ActiveSqlTransaction, block.execute, "REFRESH MODEL y_block")
            same(error.diag.message_primary, "REFRESH MODEL cannot run inside a transaction block")
            block.rollback()
            # What only asks may stand anywhere.
            same(block.execute("SHOW MODELS").description[0].name, "model")
        same(c.execute("SELECT max(version) FROM models.versions WHERE model = 'y_block'").fetchone(), (1,))


def a_cancelled_refresh_ends_within_a_second():  # models, cancel
    with _Model("y_cancelled", times=40) as c:
        with psycopg.connect(autocommit=True) as other:
            fitting = threading.Event()
            other.add_notice_handler(lambda notice: "fitting" in notice.message_primary and fitting.set())
            seen = []

            def run():
                error = raises(errors.QueryCanceled, other.execute, "REFRESH MODEL y_cancelled")
                seen.append((time.monotonic(), str(error)))

            thread = threading.Thread(target=run)
            thread.start()
            assert fitting.wait(30), "it never fitted"
            time.sleep(0.3)
            at = time.monotonic()
            other.cancel_safe()
            thread.join(30)
            assert seen and seen[0][0] - at < 1.5, (seen, at)
            same(seen[0][1], "canceling statement due to user request")
            same(other.execute("SELECT 1").fetchone(), (1,))
        becomes_idle()
        same(c.execute("SELECT DISTINCT version FROM scores.y_cancelled").fetchall(), [(1,)])
        same(c.execute("REFRESH MODEL y_cancelled").fetchone()[1], 2)


def a_timeout_ends_a_refresh():  # models, timeout
    with _Model("y_late", times=40) as c:
        c.execute("SET statement_timeout = '900ms'")
        at = time.monotonic()
        error = raises(errors.QueryCanceled, c.execute, "REFRESH MODEL y_late")
        assert time.monotonic() - at < 2.5, time.monotonic() - at
        same(str(error), "canceling statement due to statement timeout")
        c.execute("RESET statement_timeout")
        same(c.execute("SELECT DISTINCT version FROM scores.y_late").fetchall(), [(1,)])


def a_vanished_client_ends_its_refresh():  # models
    with _Model("y_gone", times=40) as c:
        fitting = threading.Event()
        gone = psycopg.connect(autocommit=True)
        gone.add_notice_handler(lambda notice: "fitting" in notice.message_primary and fitting.set())
        thread = threading.Thread(target=lambda: raises(psycopg.Error, gone.execute, "REFRESH MODEL y_gone"))
        thread.start()
        assert fitting.wait(30), "it never fitted"
        import os
        import socket

        socket.socket(fileno=os.dup(gone.fileno())).shutdown(socket.SHUT_RDWR)
        thread.join(30)
        time.sleep(1.5)
        last = "SELECT status FROM models.runs WHERE model = 'y_gone' ORDER BY started_at DESC LIMIT 1"
        same(c.execute(last).fetchone(), ("cancelled",))
        same(c.execute("REFRESH MODEL y_gone").fetchone()[1], 2)


def two_refreshers_are_one_too_many():  # models
    with _Model("y_busy", times=40) as c:
        fitting = threading.Event()
        with psycopg.connect(autocommit=True) as first:
            first.add_notice_handler(lambda notice: "fitting" in notice.message_primary and fitting.set())
            done = []
            thread = threading.Thread(target=lambda: done.append(first.execute("REFRESH MODEL y_busy").fetchone()))
            thread.start()
            assert fitting.wait(30), "it never fitted"
            error = raises(errors.LockNotAvailable, c.execute, "REFRESH MODEL y_busy")
            assert error.diag.message_primary.startswith('model "y_busy" is being refreshed by rapport serve'), error
            thread.join(60)
            same(done[0][1], 2)


def only_the_owner_may_change_it():  # models, privileges
    with _Model("y_owned") as c:
        with psycopg.connect(user="admin", autocommit=True) as admin:
            admin.execute("DROP ROLE IF EXISTS y_reader")
            admin.execute("CREATE ROLE y_reader LOGIN PASSWORD 'a long password'")
            admin.execute("GRANT rapport_reader TO y_reader")
            with psycopg.connect(user="y_reader", password="a long password", autocommit=True) as reader:
                same(reader.execute("SELECT count(*) FROM scores.y_owned").fetchone(), (600,))
                same(reader.execute("SELECT clv('y_owned', 7) IS NOT NULL").fetchone(), (True,))
                for sql in ("REFRESH MODEL y_owned", "DROP MODEL y_owned", "PROMOTE MODEL y_owned VERSION 1",
                            "CREATE MODEL y_theirs TYPE clv"):
                    raises(errors.InsufficientPrivilege, reader.execute, sql)
            same(admin.execute("REFRESH MODEL y_owned").fetchone()[1], 2)
            admin.execute("DROP ROLE y_reader")
        same(c.execute("SELECT owner FROM models.models WHERE model = 'y_owned'").fetchone(), (c.info.user,))
