"""What goes wrong on the way into TLS, byte by byte."""

import base64
import socket
import ssl
import struct

from server import CA, DATABASE, ENGINE, HOST, PORT, USER, same, skip

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)


def _open():
    return socket.create_connection((HOST, PORT), timeout=20)


def _startup():
    body = struct.pack("!i", 196608)
    for word in ["user", USER, "database", DATABASE]:
        body += word.encode() + b"\0"
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _encrypt(s, alpn=None):
    context = ssl.create_default_context(cafile=CA)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(s, server_hostname="localhost")


def _encrypted():
    s = _open()
    s.sendall(SSL_REQUEST)
    same(s.recv(1), b"S")
    return _encrypt(s)


def _rest(s):
    data = b""
    try:
        while more := s.recv(65536):
            data += more
    except (ConnectionResetError, ssl.SSLError):
        pass
    return data


def _message(s):
    def exactly(n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    kind = exactly(1)
    return kind, exactly(struct.unpack("!i", exactly(4))[0] - 4)


def _send(s, kind, body):
    s.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def what_is_sent_behind_the_request_is_not_taken_as_encrypted():  # tls
    s = _open()
    s.sendall(SSL_REQUEST + _startup())
    s.shutdown(socket.SHUT_WR)
    said = _rest(s)
    assert b"SCRAM" not in said and not said.startswith(b"R"), said


def tls_follows_a_refused_gss_request():  # tls
    if ENGINE == "postgres":
        skip("PostgreSQL may have Kerberos")
    s = _open()
    s.sendall(GSS_REQUEST)
    same(s.recv(1), b"N")
    s.sendall(SSL_REQUEST)
    same(s.recv(1), b"S")
    s = _encrypt(s)
    s.sendall(_startup())
    same(_message(s)[0], b"R")


def a_second_request_for_tls_is_refused():  # tls
    s = _encrypted()
    s.sendall(SSL_REQUEST)
    said = _rest(s)
    assert said.startswith(b"E") and b"FATAL" in said, said


def a_plain_startup_where_tls_was_agreed_on_is_no_login():  # tls
    s = _open()
    s.sendall(SSL_REQUEST)
    same(s.recv(1), b"S")
    s.sendall(_startup())
    said = _rest(s)
    assert b"SCRAM" not in said, said


def tls_at_once_needs_the_protocol_s_name():  # tls
    if ENGINE == "postgres":
        skip("PostgreSQL takes TLS at once since 17")
    s = _encrypt(_open(), ["postgresql"])
    same(s.selected_alpn_protocol(), "postgresql")
    s.sendall(_startup())
    kind, body = _message(s)
    same(kind, b"R")
    assert b"SCRAM-SHA-256-PLUS\0" in body, body
    s = _encrypt(_open())
    said = _rest(s)
    assert b"ALPN" in said and b"FATAL" in said, said
    try:
        _encrypt(_open(), ["h2"])
        raise AssertionError("another protocol was agreed on")
    except (ssl.SSLError, ConnectionResetError):
        pass


def plus_is_offered_within_tls_only():  # tls
    s = _encrypted()
    s.sendall(_startup())
    assert b"SCRAM-SHA-256-PLUS\0" in _message(s)[1]
    s = _open()
    s.sendall(_startup())
    body = _message(s)[1]
    assert b"SCRAM-SHA-256\0" in body and b"PLUS" not in body, body


def a_login_cannot_be_talked_out_of_its_binding():  # tls
    for mechanism, first in [
        # The client knows of bindings, and believes that the server does not.
        (b"SCRAM-SHA-256", b"y,,n=,r=abcdefghijklmnop"),
        # The mechanism and the message do not say the same.
        (b"SCRAM-SHA-256-PLUS", b"n,,n=,r=abcdefghijklmnop"),
        (b"SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abcdefghijklmnop"),
        (b"SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abcdefghijklmnop"),
    ]:
        s = _encrypted()
        s.sendall(_startup())
        same(_message(s)[0], b"R")
        _send(s, b"p", mechanism + b"\0" + struct.pack("!i", len(first)) + first)
        said = _rest(s)
        assert said.startswith(b"E") and b"FATAL" in said, (mechanism, first, said)


def a_login_bound_to_another_certificate_is_refused():  # tls
    s = _encrypted()
    s.sendall(_startup())
    _message(s)
    first = b"p=tls-server-end-point,,n=,r=abcdefghijklmnop"
    _send(s, b"p", b"SCRAM-SHA-256-PLUS\0" + struct.pack("!i", len(first)) + first)
    kind, body = _message(s)
    same((kind, body[:4]), (b"R", struct.pack("!i", 11)))
    nonce = dict(part.split(b"=", 1) for part in body[4:].split(b","))[b"r"]
    bound = base64.b64encode(b"p=tls-server-end-point,," + b"x" * 32)
    _send(s, b"p", b"c=" + bound + b",r=" + nonce + b",p=" + base64.b64encode(b"y" * 32))
    said = _rest(s)
    assert said.startswith(b"E") and b"FATAL" in said, said
