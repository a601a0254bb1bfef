"""The two query protocols, message by message."""

import struct
import time

from server import ENGINE, same
from wire import FLUSH, SYNC, Session, bind, close, describe, execute, fields, message, parse, query, values

NUMBERS = "SELECT quantity FROM interactions"


def any_number_of_rows_may_be_asked_for():  # streaming
    s = Session()
    for rows, expected in [(0, 2000), (-1, 2000), (-2**31, 2000), (2**31 - 1, 2000), (2000, 2000), (1, 1), (1999, 1999)]:
        s.send(parse(NUMBERS), bind(), execute(rows), SYNC)
        seen = s.until()
        same((rows, sum(kind == b"D" for kind, _ in seen)), (rows, expected))
        # Whether there is more is known only when more is asked for.
        end = b"C" if rows <= 0 or rows > 2000 else b"s"
        same((rows, seen[-2][0]), (rows, end))
    s.close()


def a_portal_is_suspended_and_goes_on():  # streaming
    s = Session()
    same(s.kinds(query("BEGIN")), "CZ")
    s.send(parse(NUMBERS), bind(portal="p"), execute(1500, "p"), execute(400, "p"), execute(400, "p"), execute(5, "p"), SYNC)
    kinds = b"".join(kind for kind, _ in s.until()).decode()
    same(kinds, "12" + "D" * 1500 + "s" + "D" * 400 + "s" + "D" * 100 + "C" + "CZ")
    same(s.kinds(query("COMMIT")), "CZ")
    # The portal has gone with its transaction.
    s.send(execute(1, "p"), SYNC)
    same(fields(s.until()[0][1])["C"], "34000")
    s.close()


def a_portal_outside_of_a_block_ends_at_sync():  # streaming
    s = Session()
    same(s.kinds(parse(NUMBERS), bind(portal="p"), execute(1, "p"), SYNC), "12DsZ")
    s.send(execute(1, "p"), SYNC)
    same(fields(s.until()[0][1])["C"], "34000")
    s.close()


def statements_of_the_catalogue_are_suspended_too():  # streaming
    s = Session()
    s.send(parse("SELECT n FROM generate_series(1, 5) AS g(n)"), bind(), execute(2), execute(2), execute(2), SYNC)
    same(b"".join(kind for kind, _ in s.until()).decode(), "12DDsDDsDCZ")
    s.close()


def flush_brings_the_answers_so_far():  # protocol
    s = Session()
    s.send(parse("SELECT 1"), FLUSH)
    same(s.next()[0], b"1")
    s.send(bind(), describe(b"P"), FLUSH)
    same([s.next()[0] for _ in range(2)], [b"2", b"T"])
    s.send(execute(), FLUSH)
    same([s.next()[0] for _ in range(2)], [b"D", b"C"])
    same(s.kinds(SYNC), "Z")
    s.close()


def an_error_skips_all_up_to_sync():  # errors
    s = Session()
    s.send(parse("SELECT 1/0"), bind(), execute(), parse("SELECT 2"), bind(), execute(), SYNC, parse("SELECT 3"), bind(),
           execute(), SYNC)
    first = b"".join(kind for kind, _ in s.until()).decode()
    # PostgreSQL divides while it plans, we may while we run.
    assert first in ("1EZ", "12EZ", "EZ"), first
    same(b"".join(kind for kind, _ in s.until()).decode(), "12DCZ")
    s.close()


def an_empty_query_is_answered_in_both_protocols():  # protocol
    s = Session()
    for sql in ("", " ", ";", "-- nothing", "/* nothing */ ;; "):
        same((sql, s.kinds(query(sql))), (sql, "IZ"))
        same((sql, s.kinds(parse(sql), bind(), describe(b"P"), execute(), SYNC)), (sql, "12nIZ"))
    s.close()


def several_statements_in_one_query_are_answered_one_by_one():  # several
    s = Session()
    same(s.kinds(query("SELECT 1; SELECT 2;; SELECT 3")), "TDCTDCTDCZ")
    same(s.kinds(query("SELECT 1; SELECT 1/0; SELECT 3")), "TDCEZ")
    s.close()


def several_statements_in_one_parse_are_refused():  # several
    s = Session()
    s.send(parse("SELECT 1; SELECT 2"), bind(), execute(), SYNC)
    seen = s.until()
    same(([kind for kind, _ in seen], fields(seen[0][1])["C"]), ([b"E", b"Z"], "42601"))
    s.close()


def everything_can_be_described():  # metadata
    s = Session()
    same(s.kinds(parse("SELECT $1::int, channel FROM interactions", "d"), describe(b"S", "d"), SYNC), "1tTZ")
    for sql in ("SET DateStyle = 'ISO'", "BEGIN", "ROLLBACK", "CREATE TABLE m_never (a int)", "COPY interactions TO STDOUT",
                "DECLARE c CURSOR FOR SELECT 1", "DEALLOCATE ALL"):
        same((sql, s.kinds(parse(sql), describe(b"S"), SYNC)), (sql, "1tnZ"))
    for sql in ("SHOW DateStyle", "EXPLAIN SELECT 1", "VALUES (1)", NUMBERS):
        same((sql, s.kinds(parse(sql), describe(b"S"), SYNC)), (sql, "1tTZ"))
    s.send(describe(b"S", "nowhere"), SYNC)
    same(fields(s.until()[0][1])["C"], "26000")
    s.send(describe(b"P", "nowhere"), SYNC)
    same(fields(s.until()[0][1])["C"], "34000")
    s.close()


def what_is_closed_is_gone_and_what_never_was_is_no_error():  # prepared
    s = Session()
    same(s.kinds(close(b"S", "never"), close(b"P", "never"), SYNC), "33Z")
    same(s.kinds(parse("SELECT 1", "a"), close(b"S", "a"), parse("SELECT 2", "a"), SYNC), "131Z")
    s.send(parse("SELECT 1", "a"), SYNC)
    same(fields(s.until()[0][1])["C"], "42P05")
    s.close()


def names_of_statements_live_on_after_an_error():  # prepared
    s = Session()
    same(s.kinds(parse("SELECT $1::int + 1", "kept"), SYNC), "1Z")
    s.send(parse("SELEC"), SYNC)
    same(s.until()[0][0], b"E")
    s.send(bind([b"41"], statement="kept"), execute(), SYNC)
    same(values(s.until()[1][1]), [b"42"])
    s.close()


def wrong_counts_in_bind_are_protocol_errors():  # errors
    s = Session()
    for wrong in (bind([b"1", b"2"]), bind([]), bind([b"1"], formats=[0, 0]), bind([b"1"], results=[0, 0, 0])):
        s.send(parse("SELECT $1::int"), wrong, execute(), SYNC)
        code = next(fields(body)["C"] for kind, body in s.until() if kind == b"E")
        same(code, "08P01")
    s.close()


def formats_are_chosen_column_by_column():  # types
    s = Session()
    s.send(parse("SELECT customer_id, customer_id FROM interactions WHERE customer_id > 0 LIMIT 1"), bind(results=[0, 1]), describe(b"P"), execute(), SYNC)
    seen = s.until()
    text, binary = values(next(body for kind, body in seen if kind == b"D"))
    same(struct.pack("!q", int(text)), binary)
    s.close()


def a_sync_without_anything_is_answered():  # protocol
    s = Session()
    same(s.kinds(SYNC), "Z")
    same(s.kinds(SYNC, SYNC), "Z")
    same(b"".join(kind for kind, _ in s.until()).decode(), "Z")
    s.close()


def the_state_of_the_transaction_is_told():  # transactions
    s = Session()
    states = []
    for sql in ("BEGIN", "SELECT 1/0", "SELECT 1", "ROLLBACK"):
        s.send(query(sql))
        states.append(s.until()[-1][1])
    same(states, [b"T", b"E", b"E", b"I"])
    s.close()


def copy_data_out_of_place_does_no_harm():  # copy
    s = Session()
    same(s.kinds(message(b"d", b"1\n"), message(b"c"), message(b"f", b"no\0"), query("SELECT 1")), "TDCZ")
    s.close()


def another_message_in_the_middle_of_a_copy_ends_it():  # copy
    s = Session()
    same(s.kinds(query("CREATE TABLE m_copy (a int)")), "CZ")
    s.send(query("COPY m_copy FROM STDIN"))
    same(s.next()[0], b"G")
    s.send(message(b"d", b"1\n"), query("SELECT 1"))
    # 08P01, and whether the session goes on is up to the server.
    kind, body = s.next()
    same((kind, fields(body)["C"]), (b"E", "08P01"))
    s.close()
    s = Session()
    same(s.ask("SELECT count(*) FROM m_copy"), [[b"0"]])
    same(s.kinds(query("DROP TABLE m_copy")), "CZ")
    s.close()


def a_client_that_goes_in_the_middle_of_a_copy_leaves_nothing():  # copy
    s = Session()
    same(s.kinds(query("CREATE TABLE m_gone (a int)")), "CZ")
    s.send(query("COPY m_gone FROM STDIN"), message(b"d", b"1\n2\n3\n"))
    same(s.next()[0], b"G")
    s.close()
    s = Session()
    same(s.ask("SELECT count(*) FROM m_gone"), [[b"0"]])
    same(s.kinds(query("DROP TABLE m_gone")), "CZ")
    s.close()


def the_settings_that_postgresql_reports_are_reported():  # settings
    s = Session(application_name="by hand")
    for name in ("server_version", "server_encoding", "client_encoding", "application_name", "is_superuser",
                 "session_authorization", "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes",
                 "standard_conforming_strings", "default_transaction_read_only", "in_hot_standby"):
        assert name in s.told, f"{name} is not in {s.told}"
    same(s.told["application_name"], "by hand")
    s.close()


def changes_of_settings_are_reported_and_taken_back():  # settings
    s = Session()

    def changes(sql):
        s.send(query(sql))
        return [body[:-1].decode().split("\0") for kind, body in s.until() if kind == b"S"]

    zone = s.told["TimeZone"]
    same(changes("SET TimeZone = 'Asia/Tokyo'"), [["TimeZone", "Asia/Tokyo"]])
    same(changes("SET TimeZone = 'Asia/Tokyo'"), [])
    same(changes("BEGIN; SET LOCAL TimeZone = 'UTC'"), [["TimeZone", "UTC"]])
    same(changes("COMMIT"), [["TimeZone", "Asia/Tokyo"]])
    same(changes("BEGIN; SET IntervalStyle = 'iso_8601'"), [["IntervalStyle", "iso_8601"]])
    same(changes("ROLLBACK"), [["IntervalStyle", "postgres"]])
    same(changes("RESET ALL"), [["TimeZone", zone]])
    same(changes("SELECT set_config('DateStyle', 'German', false)"), [["DateStyle", "German, DMY"]])
    same(changes("SET client_encoding = 'latin1'"), [["client_encoding", "LATIN1"]])
    same(changes("SET work_mem = '7MB'"), [])
    s.close()


def options_and_unknown_parameters_of_the_startup():  # settings
    s = Session(options="-c TimeZone=Asia/Kolkata -c extra_float_digits=0")
    same(s.told["TimeZone"], "Asia/Kolkata")
    same(s.ask("SHOW extra_float_digits"), [[b"0"]])
    s.close()
    for parameters in ({"no_such_setting": "1"}, {"options": "-c no_such_setting=1"}):
        try:
            Session(**parameters)
            raise AssertionError("it was accepted")
        except ConnectionError as error:
            same(error.args[0]["C"], "42704")
    try:
        Session(TimeZone="Nowhere/Land")
        raise AssertionError("it was accepted")
    except ConnectionError as error:
        same(error.args[0]["C"], "22023")


def protocol_3_2_gets_a_longer_key():  # connect
    s = Session(version=196610)
    if ENGINE == "rapport":
        same((s.negotiated, len(s.key)), (None, 36))
    else:
        assert s.negotiated is not None
    same(s.ask("SELECT 1"), [[b"1"]])
    s.close()


def unknown_options_of_the_protocol_are_told():  # connect
    s = Session(**{"_pq_.something": "1"})
    assert b"_pq_.something" in s.negotiated, s.negotiated
    same(s.ask("SELECT 1"), [[b"1"]])
    s.close()


def a_message_in_single_bytes_is_understood():  # protocol
    s = Session()
    for byte in query("SELECT 'slowly'"):
        s.send(bytes([byte]))
        time.sleep(0.001)
    same(values(next(body for kind, body in s.until() if kind == b"D")), [b"slowly"])
    s.close()


def many_statements_are_pipelined_without_reading():  # several
    s = Session()
    n = 500
    s.send(parse("SELECT $1::int", "p"), *(bind([str(i).encode()], statement="p") + execute() for i in range(n)), SYNC)
    rows = [values(body)[0] for kind, body in s.until() if kind == b"D"]
    same(rows, [str(i).encode() for i in range(n)])
    s.close()


def the_session_ends_when_the_client_says_so():  # protocol
    s = Session()
    s.send(message(b"X"))
    same(s.rest(), b"")


def long_names_are_cut_and_told():  # notices
    s = Session()
    name = "N" * 63
    for send in (lambda sql: s.send(query(sql)), lambda sql: s.send(parse(sql), bind(), describe(b"P"), execute(), SYNC)):
        send(f"SELECT 1 AS {name}x, 2 AS \"{'ä' * 32}\"")
        told, columns = [], None
        while True:
            kind, body = s.next()
            if kind == b"N":
                told.append(fields(body))
            elif kind == b"T":
                columns = body
            elif kind == b"Z":
                break
        same([notice["C"] for notice in told], ["42622", "42622"])
        same(told[0]["M"], f'identifier "{name.lower()}x" will be truncated to "{name.lower()}"')
        assert name.lower().encode() + b"\0" in columns and ("ä" * 31).encode() + b"\0" in columns, columns
    # What comes behind keeps its place.
    s.send(query(f"SELECT 1 AS {name}xyz, nowhere"))
    same(fields(s.until(b"E")[-1][1])["P"], str(len(f"SELECT 1 AS {name}xyz, ") + 1))
    s.until()
    s.close()
