"""Encrypted connections: who is on the other side, and that everything works the same."""

import psycopg
from psycopg import pq

from server import CA, ENDLESS, ENGINE, becomes_idle, raises, same, skip, stays_busy


def _connect(**options):
    # The certificate is for this name.
    return psycopg.connect(**{"host": "localhost", "hostaddr": "127.0.0.1", "autocommit": True, "sslmode": "verify-full",
                              "sslrootcert": CA, **options})


def the_certificate_is_verified():  # tls
    with _connect() as c:
        assert c.pgconn.ssl_in_use
        same(c.execute("SELECT 1").fetchone(), (1,))


def a_stranger_s_certificate_is_not_trusted():  # tls
    error = raises(psycopg.OperationalError, _connect, sslrootcert=CA.replace("ca.crt", "other.crt"))
    assert "certificate verify failed" in str(error), error


def a_certificate_for_another_name_is_not_trusted():  # tls
    error = raises(psycopg.OperationalError, _connect, host="somewhere.example")
    assert "does not match host name" in str(error), error
    _connect(host="somewhere.example", sslmode="verify-ca").close()


def tls_1_2_and_1_3_are_spoken():  # tls
    for version in ("TLSv1.2", "TLSv1.3"):
        with _connect(ssl_min_protocol_version=version, ssl_max_protocol_version=version) as c:
            same(c.execute("SELECT 1").fetchone(), (1,))


def an_unencrypted_connection_is_allowed_too():  # tls
    with psycopg.connect(sslmode="disable") as c:
        assert not c.pgconn.ssl_in_use
        same(c.execute("SELECT 1").fetchone(), (1,))


def the_login_is_bound_to_the_certificate():  # tls
    with _connect(channel_binding="require") as c:
        same(c.execute("SELECT 1").fetchone(), (1,))
    raises(psycopg.OperationalError, psycopg.connect, sslmode="disable", channel_binding="require")


def a_wrong_password_is_refused_within_tls():  # tls, password
    for binding in ("require", "disable"):
        error = raises(psycopg.OperationalError, _connect, password="wrong", channel_binding=binding)
        assert "password authentication failed for user" in str(error), error


def a_connection_may_begin_with_tls_at_once():  # tls
    if ENGINE == "postgres":
        skip("PostgreSQL can since 17")
    if pq.version() < 170000:
        skip("libpq can since 17")
    with _connect(sslnegotiation="direct", channel_binding="require") as c:
        same(c.execute("SELECT 1").fetchone(), (1,))


def much_goes_both_ways():  # tls
    with _connect() as c:
        c.execute("CREATE TABLE tls_much (a int, b text)")
        cursor = c.cursor()
        with cursor.copy("COPY tls_much FROM STDIN") as copy:
            for n in range(20_000):
                copy.write_row([n, "x" * 50])
        same(cursor.rowcount, 20_000)
        same(sum(len(b) for _, b in c.cursor().stream("SELECT a, b FROM tls_much")), 1_000_000)
        c.execute("DROP TABLE tls_much")


def an_encrypted_client_that_goes_stops_the_work():  # tls, cancel
    c = _connect()
    c.pgconn.send_query(ENDLESS.encode())
    stays_busy()
    c.close()
    becomes_idle()


def a_statement_is_cancelled_within_tls():  # tls, cancel
    import threading
    with _connect() as c:
        seen = []
        thread = threading.Thread(target=lambda: seen.append(raises(psycopg.errors.QueryCanceled, c.execute, ENDLESS)))
        thread.start()
        stays_busy()
        c.cancel_safe()
        thread.join(30)
        same(len(seen), 1)
    becomes_idle()


def the_session_tells_how_it_is_encrypted():  # tls, metadata
    told = []
    for mode, version in [("require", "TLSv1.3"), ("require", "TLSv1.2"), ("disable", "TLSv1.3")]:
        with psycopg.connect(sslmode=mode, ssl_max_protocol_version=version) as c:
            row = c.execute("SELECT ssl, version, cipher IS NOT NULL, bits >= 128, client_dn FROM pg_stat_ssl "
                            "WHERE pid = pg_backend_pid()").fetchone()
            told.append(str(row))
    return "\n".join(told)
