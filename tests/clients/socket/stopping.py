"""A cancel request and a client that vanishes end the work itself within a second, whatever kind it is."""

import socket
import struct
import time

import server
from server import ENDLESS, ENGINE, HOST, PORT, skip
from wire import Session, fields, query

_THREE = "FROM interactions a, interactions b, interactions c"
# One row of the lake's, so that it is not the catalogue's question.
_MANY = "(SELECT count(*) AS one FROM offers) AS o, generate_series(1, 300000) AS g (v)"
_WORK = {
    "a join": ENDLESS,
    "a hash join": f"SELECT count(*) FROM (SELECT v FROM {_MANY}) AS x JOIN (SELECT v FROM {_MANY}) AS y ON x.v % 3 = y.v % 3",
    "a sort": f"SELECT a.quantity + b.quantity + c.quantity {_THREE} ORDER BY 1",
    "an aggregate": f"SELECT a.source_id || b.source_id || c.source_id AS k, count(*) {_THREE} GROUP BY 1",
    "a distinct count": f"SELECT count(DISTINCT a.source_id || b.source_id || c.source_id) {_THREE}",
    "a window": f"SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY a.quantity * b.quantity) AS n {_THREE}) AS w",
    "a wide frame": "SELECT sum(n) FROM (SELECT sum(a.quantity) OVER (ORDER BY a.source_id, b.source_id "
                    f"ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) AS n {_THREE}) AS w",
    "a recursion": "WITH RECURSIVE t (n) AS (SELECT min(quantity)::bigint FROM interactions UNION ALL SELECT n + 1 FROM t) "
                   "SELECT max(n) FROM t",
    "a fit of purchases": f"SELECT (pnbd_fit(2 + v % 5, 1 + v % 997 / 7.0 + v / 1e7, 200 + v / 1e6)).r FROM {_MANY}",
    "clusters": f"SELECT (kmeans_fit(500, v::bigint * 7919 % 100003, v::bigint * 104729 % 99991, v::bigint * 31 % 9973)).inertia "
                f"FROM {_MANY}",
    "names compared": f"SELECT max(jaro_winkler(a.source_id || b.source_id, c.source_id || a.channel)) {_THREE}",
    "funnels": f"SELECT a.source_id, window_funnel(3600, c.occurred_at, c.quantity = 1, b.quantity = 2) {_THREE} GROUP BY 1",
}


def _stops(name, end):
    s = Session()
    s.send(query(_WORK[name]))
    server.stays_busy()
    began = time.perf_counter()
    end(s)
    took = time.perf_counter() - began
    assert took < 5, f"{name}: the client waits {took:.1f} s"
    time.sleep(max(0, 1 - took))
    # The server is this check's alone while it runs.
    before = server._cpu_seconds()
    time.sleep(1)
    used = server._cpu_seconds() - before
    assert used < 0.25, f"{name}: {used:.2f} s of the processor's in the second after the first"


def _cancel(s):
    with socket.create_connection((HOST, PORT), timeout=30) as other:
        other.sendall(struct.pack("!ii", 8 + len(s.key), 80877102) + s.key)
        other.recv(1)
    codes = [fields(body)["C"] for kind, body in s.until() if kind == b"E"]
    assert codes == ["57014"], codes
    s.close()


def _vanish(s):
    # Without a word, as a machine does whose cable is pulled and that is asked again.
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def a_cancel_ends_each_kind_of_work():  # cancel
    if ENGINE == "postgres":
        skip("its work is done by other processes")
    for name in _WORK:
        _stops(name, _cancel)


def a_client_that_vanishes_ends_each_kind_of_work():  # cancel
    if ENGINE == "postgres":
        skip("its work is done by other processes")
    for name in _WORK:
        _stops(name, _vanish)
