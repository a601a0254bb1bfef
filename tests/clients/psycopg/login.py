"""Logging in, and being refused."""

import psycopg
from psycopg import pq

from server import ENGINE, HOST, PASSWORD, raises, same


def the_right_password_opens_a_session():  # connect
    with psycopg.connect() as c:
        same(c.execute("SELECT current_user").fetchone()[0], c.info.user)


def a_wrong_password_is_refused():  # password
    error = raises(psycopg.OperationalError, psycopg.connect, password="wrong")
    assert "password authentication failed for user" in str(error), error


def an_unknown_user_is_refused_with_the_same_words():  # password
    error = raises(psycopg.OperationalError, psycopg.connect, user="nobody_here")
    assert 'password authentication failed for user "nobody_here"' in str(error), error


def an_empty_password_is_refused():  # password
    raises(psycopg.OperationalError, psycopg.connect, password="")


def a_password_is_never_asked_for_in_clear():  # password
    with psycopg.connect("require_auth=scram-sha-256") if pq.version() >= 160000 else psycopg.connect() as c:
        assert c.info.backend_pid > 0
        same(c.info.password, PASSWORD)


def what_drivers_read_at_connect_is_there():  # connect
    with psycopg.connect(application_name="a test") as c:
        status = c.info.parameter_status
        assert status("server_version")[0].isdigit(), status("server_version")
        assert c.info.server_version >= 150000, c.info.server_version
        for name, value in [("server_encoding", "UTF8"), ("client_encoding", "UTF8"), ("integer_datetimes", "on"),
                            ("standard_conforming_strings", "on"), ("IntervalStyle", "postgres"),
                            ("application_name", "a test"), ("session_authorization", c.info.user)]:
            same(status(name), value)
        assert status("DateStyle").startswith("ISO"), status("DateStyle")
        assert status("TimeZone"), "TimeZone is empty"
        assert status("is_superuser") in ("on", "off"), status("is_superuser")
        if ENGINE == "rapport":
            same(status("is_superuser"), "off")


def version_begins_as_postgresql_s():  # connect
    with psycopg.connect() as c:
        version = c.execute("SELECT version()").fetchone()[0]
        assert version.startswith("PostgreSQL 1"), version


def a_changed_setting_is_told_to_the_client():  # settings
    with psycopg.connect() as c:
        c.execute("SET TimeZone = 'Asia/Tokyo'")
        same(c.info.parameter_status("TimeZone"), "Asia/Tokyo")


def settings_of_the_start_packet_hold():  # settings
    with psycopg.connect(options="-c TimeZone=Europe/Sofia -c statement_timeout=7s") as c:
        same(c.execute("SHOW TimeZone").fetchone()[0], "Europe/Sofia")
        same(c.execute("SHOW statement_timeout").fetchone()[0], "7s")


def many_sessions_at_once_do_not_mix():  # pools
    sessions = [psycopg.connect(autocommit=True) for _ in range(12)]
    for n, c in enumerate(sessions):
        c.execute(f"SET statement_timeout = {1001 + n}")
    for n, c in enumerate(sessions):
        same(c.execute("SELECT current_setting('statement_timeout')").fetchone()[0], f"{1001 + n}ms")
        c.close()


def tls_is_verified():  # tls
    with psycopg.connect(sslmode="verify-full") as c:
        assert c.pgconn.ssl_in_use
        same(c.execute("SELECT 1").fetchone()[0], 1)


def tls_of_another_name_is_refused():  # tls
    error = raises(psycopg.OperationalError, psycopg.connect, sslmode="verify-full", host="another.example",
                   hostaddr=HOST)
    assert "does not match host name" in str(error), error


def tls_is_spoken_in_both_versions():  # tls
    for version in ["TLSv1.2", "TLSv1.3"]:
        with psycopg.connect(sslmode="require", ssl_min_protocol_version=version, ssl_max_protocol_version=version) as c:
            same(c.execute("SELECT 1").fetchone()[0], 1)


def the_password_is_bound_to_the_channel():  # tls
    with psycopg.connect(sslmode="require", channel_binding="require") as c:
        same(c.execute("SELECT 1").fetchone()[0], 1)
