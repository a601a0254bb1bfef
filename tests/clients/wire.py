"""The protocol by hand: a session that sends exactly what it is told to."""

import base64
import hashlib
import hmac
import os
import socket
import struct

from server import DATABASE, HOST, PASSWORD, PORT, USER


def startup(version=196608, **parameters):
    body = struct.pack("!i", version)
    for name, value in {"user": USER, "database": DATABASE, **parameters}.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message(b"Q", _text(sql))


def parse(sql, name="", types=()):
    return message(b"P", _text(name) + _text(sql) + struct.pack("!h", len(types)) + struct.pack(f"!{len(types)}I", *types))


def bind(values=(), portal="", statement="", formats=(), results=()):
    body = _text(portal) + _text(statement) + struct.pack("!h", len(formats)) + struct.pack(f"!{len(formats)}h", *formats)
    body += struct.pack("!h", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack("!h", len(results)) + struct.pack(f"!{len(results)}h", *results))


def describe(kind, name=""):
    return message(b"D", kind + _text(name))


def execute(rows=0, portal=""):
    return message(b"E", _text(portal) + struct.pack("!i", rows))


def close(kind, name=""):
    return message(b"C", kind + _text(name))


SYNC = message(b"S")
FLUSH = message(b"H")


def _text(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def values(body):
    """Of a DataRow."""
    count, at, found = struct.unpack("!h", body[:2])[0], 2, []
    for _ in range(count):
        length = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        found.append(None if length < 0 else body[at:at + length])
        at += max(length, 0)
    return found


def fields(body):
    """Of an ErrorResponse: code to text."""
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}


class Session:
    """Logged in; `told` is what the server said of itself."""

    def __init__(self, version=196608, **parameters):
        self.socket = socket.create_connection((HOST, PORT), timeout=30)
        self.socket.sendall(startup(version, **parameters))
        self.told, self.key, self.negotiated = {}, None, None
        self._log_in()
        while True:
            kind, body = self.next()
            if kind == b"S":
                name, value = body[:-1].split(b"\0")
                self.told[name.decode()] = value.decode()
            elif kind == b"K":
                self.key = body
            elif kind == b"Z":
                return
            elif kind == b"E":
                raise ConnectionError(fields(body))

    def _log_in(self):
        nonce = base64.b64encode(os.urandom(18))
        first = b"n=,r=" + nonce
        while True:
            kind, body = self.next()
            if kind == b"v":
                self.negotiated = body
                continue
            if kind == b"E":
                raise ConnectionError(fields(body))
            code = struct.unpack("!i", body[:4])[0]
            if code == 10:
                said = b"n,," + first
                self.send(message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(said)) + said))
            elif code == 11:
                asked = body[4:]
                parts = dict(part.split(b"=", 1) for part in asked.split(b","))
                salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"]))
                client = hmac.digest(salted, b"Client Key", "sha256")
                last = b"c=biws,r=" + parts[b"r"]
                signature = hmac.digest(hashlib.sha256(client).digest(), first + b"," + asked + b"," + last, "sha256")
                proof = bytes(a ^ b for a, b in zip(client, signature))
                self.send(message(b"p", last + b",p=" + base64.b64encode(proof)))
            elif code == 0:
                return

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def next(self):
        kind = self._exactly(1)
        return kind, self._exactly(struct.unpack("!i", self._exactly(4))[0] - 4)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    def until(self, last=b"Z"):
        """All messages up to the first of this kind; notices are left out."""
        seen = []
        while True:
            kind, body = self.next()
            if kind != b"N":
                seen.append((kind, body))
            if kind == last:
                return seen

    def kinds(self, *parts, last=b"Z"):
        """Sends, and tells which messages came back."""
        self.send(*parts)
        return b"".join(kind for kind, _ in self.until(last)).decode()

    def ask(self, sql):
        """A simple query: its rows, or the code of its error."""
        self.send(query(sql))
        seen = self.until()
        for kind, body in seen:
            if kind == b"E":
                return fields(body)["C"]
        return [values(body) for kind, body in seen if kind == b"D"]

    def rest(self):
        """What is said until the connection ends."""
        data = b""
        try:
            while more := self.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def close(self):
        self.socket.close()
