"""Bytes that no driver sends: nothing before login may cost, hurt or get further than the login."""

import os
import random
import socket
import statistics
import struct
import subprocess
import time

from server import DATABASE, ENGINE, HOST, PORT, USER, same


def _open():
    s = socket.create_connection((HOST, PORT), timeout=20)
    return s


def _start(s, user=USER, version=196608):
    body = struct.pack("!i", version)
    for word in ["user", user, "database", DATABASE]:
        body += word.encode() + b"\0"
    body += b"\0"
    s.sendall(struct.pack("!i", len(body) + 4) + body)


def _exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError(data)
        data += more
    return data


def _message(s):
    kind = _exactly(s, 1)
    return kind, _exactly(s, struct.unpack("!i", _exactly(s, 4))[0] - 4)


def _send(s, kind, body):
    s.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def _rest(s):
    """Everything until the server closes."""
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionResetError:
        return data


def _alive():
    done = subprocess.run(["psql", "-X", "-w", "-A", "-t", "-c", "SELECT 'alive'"], capture_output=True, text=True,
                          timeout=60)
    same((done.stdout.strip(), done.stderr), ("alive", ""))


def _memory():
    with open(f"/proc/{os.environ['SERVER_PROCESS']}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) // 1024


def _asked_for_scram(s, user=USER):
    _start(s, user)
    kind, body = _message(s)
    same((kind, body[:4]), (b"R", struct.pack("!i", 10)))
    assert b"SCRAM-SHA-256\0" in body, body


def a_statement_after_a_failed_login_is_not_executed():  # protocol
    s = _open()
    _asked_for_scram(s)
    first = b"n,,n=,r=abcdefghijklmnop"
    _send(s, b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
    kind, body = _message(s)
    same((kind, body[:4]), (b"R", struct.pack("!i", 11)))
    nonce = dict(part.split(b"=", 1) for part in body[4:].split(b","))[b"r"]
    _send(s, b"p", b"c=biws,r=" + nonce + b",p=" + b"A" * 43 + b"=")
    _send(s, b"Q", b"CREATE TABLE climbed_in (a int)\0")
    said = _rest(s)
    assert b"28P01" in said and b"FATAL" in said, said
    assert b"CommandComplete" not in said and b"CREATE TABLE" not in said and said.count(b"Z\0\0\0\x05") == 0, said
    done = subprocess.run(["psql", "-X", "-w", "-c", "SELECT * FROM climbed_in"], capture_output=True, text=True)
    assert "does not exist" in done.stderr, done


def a_statement_in_place_of_a_password_ends_the_session():  # protocol
    for kind, body in [(b"Q", b"SELECT 1\0"), (b"P", b"\0SELECT 1\0\0\0"), (b"X", b""), (b"d", b"x"), (b"S", b"")]:
        s = _open()
        _asked_for_scram(s)
        _send(s, kind, body)
        said = _rest(s)
        assert b"Z\0\0\0\x05" not in said and b"D\0" not in said[:2], said


def an_unknown_user_is_asked_for_a_password_like_any_other():  # password
    answers = []
    for user in (USER, "nobody_of_that_name"):
        s = _open()
        _asked_for_scram(s, user)
        first = b"n,,n=,r=abcdefghijklmnop"
        _send(s, b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
        _, body = _message(s)
        parts = dict(part.split(b"=", 1) for part in body[4:].split(b","))
        answers.append((len(parts[b"s"]), parts[b"i"]))
        s.close()
    same(answers[0], answers[1])


def _refusal(user):
    """How long a login with a wrong proof takes, and what was said of it."""
    began = time.perf_counter()
    s = _open()
    _asked_for_scram(s, user)
    first = b"n,,n=,r=abcdefghijklmnop"
    _send(s, b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
    _, body = _message(s)
    nonce = dict(part.split(b"=", 1) for part in body[4:].split(b","))[b"r"]
    _send(s, b"p", b"c=biws,r=" + nonce + b",p=" + b"A" * 43 + b"=")
    kind, body = _message(s)
    same(_rest(s), b"")
    return time.perf_counter() - began, (kind, body.replace(user.encode(), b"somebody"))


def a_wrong_password_looks_and_costs_the_same_as_an_unknown_user():  # password
    known, unknown = zip(*((_refusal(USER), _refusal("nobody_of_that_name")) for _ in range(40)))
    same({said for _, said in known}, {said for _, said in unknown})
    known, unknown = (statistics.median(seconds for seconds, _ in times) for times in (known, unknown))
    # Deriving a key from a password takes several milliseconds: whoever did so for one of the two would be found out.
    assert abs(known - unknown) < max(0.002, 0.5 * min(known, unknown)), f"{known:.6f} s and {unknown:.6f} s"


def the_salt_of_an_unknown_user_does_not_change():  # password
    salts = []
    for _ in range(2):
        s = _open()
        _asked_for_scram(s, "nobody_of_that_name")
        first = b"n,,n=,r=abcdefghijklmnop"
        _send(s, b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
        _, body = _message(s)
        salts.append(dict(part.split(b"=", 1) for part in body[4:].split(b","))[b"s"])
        s.close()
    same(salts[0], salts[1])


def an_announced_gigabyte_before_login_is_refused():  # protocol
    before = _memory()
    sockets = []
    for _ in range(8):
        s = _open()
        sockets.append(s)
        try:
            s.sendall(struct.pack("!ii", 1_000_000_000, 196608))
            for _ in range(40):
                s.sendall(b"x" * 1_000_000)
        except OSError:
            pass
    if ENGINE == "rapport":
        assert _memory() - before < 50, f"{before} MB became {_memory()} MB"
    for s in sockets:
        s.close()
    _alive()


def a_long_password_message_is_refused():  # protocol
    before = _memory()
    s = _open()
    _asked_for_scram(s)
    try:
        s.sendall(b"p" + struct.pack("!i", 500_000_000))
        for _ in range(100):
            s.sendall(b"x" * 1_000_000)
    except OSError:
        pass
    if ENGINE == "rapport":
        assert _memory() - before < 50, f"{before} MB became {_memory()} MB"
    s.close()
    _alive()


def ssl_and_gss_requests_are_answered_with_one_byte():  # protocol
    for code in (80877103, 80877104):
        s = _open()
        s.sendall(struct.pack("!ii", 8, code))
        assert _exactly(s, 1) in (b"N", b"S", b"G"), code
        s.close()


def an_old_protocol_is_refused_by_name():  # connect
    s = _open()
    _start(s, version=131072)
    said = _rest(s)
    assert b"unsupported frontend protocol" in said, said


def a_newer_minor_protocol_is_negotiated():  # connect
    s = _open()
    _start(s, version=196608 + 7)
    kind, body = _message(s)
    # 3.0, or the 3.2 of PostgreSQL 18.
    assert (kind, struct.unpack("!i", body[:4])[0] & 0xFFFF) in ((b"v", 0), (b"v", 2)), body


def random_bytes_before_login_do_not_end_the_server():  # protocol
    dice = random.Random(20240229)
    for _ in range(300):
        s = _open()
        try:
            if dice.random() < 0.5:
                _start(s)
            for _ in range(dice.randrange(1, 5)):
                body = dice.randbytes(dice.randrange(0, 60))
                length = dice.choice([len(body) + 4, dice.randrange(-5, 100), dice.randrange(-2**31, 2**31)])
                kind = dice.choice([b"", b"p", b"Q", b"P", b"B", b"E", b"X", b"\0", b"R", b"F", b"d", b"c"])
                s.sendall(kind + struct.pack("!i", length) + body)
        except OSError:
            pass
        s.close()
    _alive()


def a_cancel_with_the_wrong_key_is_answered_with_silence():  # cancel
    s = _open()
    s.sendall(struct.pack("!iiii", 16, 80877102, 12345, 67890))
    same(_rest(s), b"")
    _alive()
