"""psqlODBC through pyodbc: Excel, SAS and Tableau's other way. Each check with and without UseDeclareFetch where it matters."""

import datetime
import decimal
import os
import threading
import time
import uuid

import pyodbc

from server import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, becomes_idle, raises, same

pyodbc.pooling = False
D = decimal.Decimal
BOTH = [{}, {"UseDeclareFetch": 1, "Fetch": 100}]


def _connect(autocommit=True, **options):
    options = {"DRIVER": os.environ["PSQLODBC"], "SERVER": HOST, "PORT": PORT, "DATABASE": DATABASE, "UID": USER,
               "PWD": "{" + PASSWORD + "}", "ConnSettings": "set+timezone+to+'UTC'", **options}
    c = pyodbc.connect(";".join(f"{name}={value}" for name, value in options.items()), autocommit=autocommit)
    c.setdecoding(pyodbc.SQL_CHAR, encoding="utf-8")
    c.setencoding(encoding="utf-8")
    return c


def _sqlstate(action, *arguments):
    return raises(pyodbc.Error, action, *arguments).args[0]


def _told(cursor, width=None):
    names = [column[0] for column in cursor.description]
    lines = ["|".join(names[:width])]
    lines += ["|".join(str(value) for value in row[:width]) for row in cursor.fetchall()]
    return "\n".join(lines).replace(USER, "me").replace(DATABASE, "here") + "\n"


def it_connects():  # connect
    c = _connect()
    same(c.execute("SELECT 1").fetchone()[0], 1)
    same(c.getinfo(pyodbc.SQL_DBMS_NAME), "PostgreSQL")
    assert c.getinfo(pyodbc.SQL_DBMS_VER) >= "15", c.getinfo(pyodbc.SQL_DBMS_VER)
    same(c.getinfo(pyodbc.SQL_DATABASE_NAME), DATABASE)
    c.close()


def it_connects_over_tls():  # tls
    c = _connect(SSLmode="require")
    same(c.execute("SELECT 1").fetchone()[0], 1)
    c.close()


def tls_is_verified():  # tls
    c = _connect(SSLmode="verify-full")
    same(c.execute("SELECT 1").fetchone()[0], 1)
    c.close()
    error = raises(pyodbc.Error, _connect, SSLmode="verify-full", Pqopt="{sslrootcert=/nowhere}")
    assert "does not exist" in str(error), error


def a_wrong_password_is_refused():  # password
    error = raises(pyodbc.Error, _connect, PWD="wrong")
    assert "password authentication failed" in str(error), error


def it_tells_about_itself():  # metadata
    c = _connect()
    lines = [f"{name} {c.getinfo(getattr(pyodbc, name))}" for name in [
        "SQL_IDENTIFIER_QUOTE_CHAR", "SQL_CATALOG_TERM", "SQL_SCHEMA_TERM", "SQL_TABLE_TERM", "SQL_KEYWORDS",
        "SQL_MAX_IDENTIFIER_LEN", "SQL_MAX_TABLE_NAME_LEN", "SQL_MAX_COLUMN_NAME_LEN", "SQL_TXN_CAPABLE",
        "SQL_IDENTIFIER_CASE", "SQL_GROUP_BY", "SQL_OJ_CAPABILITIES", "SQL_NULL_COLLATION", "SQL_SUBQUERIES",
        "SQL_UNION", "SQL_NUMERIC_FUNCTIONS", "SQL_STRING_FUNCTIONS", "SQL_TIMEDATE_FUNCTIONS",
        "SQL_DATA_SOURCE_READ_ONLY", "SQL_DEFAULT_TXN_ISOLATION"]]
    c.close()
    return "\n".join(lines)


def tables_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().tables(schema="public", table="shop%")) + _told(c.cursor().tables(schema="staging"))
    seen = {row.table_name for row in c.cursor().tables(tableType="TABLE")}
    assert {"interactions", "customers", "shops", "Odd Näme"} <= seen, seen
    c.close()
    return told


def views_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().tables(schema="public", tableType="VIEW"))
    c.close()
    return told


def columns_are_listed():  # metadata
    c = _connect()
    # What ODBC says; the driver's own columns tell the table's OID.
    told = "".join(_told(c.cursor().columns(schema="public", table=table), 18)
                   for table in ["every_type", "shops", "shop_totals", "Odd Näme"])
    c.close()
    return told


def primary_keys_are_listed():  # metadata
    c = _connect()
    told = "".join(_told(c.cursor().primaryKeys(schema="public", table=table)) for table in ["shops", "shop_days"])
    c.close()
    return told


def foreign_keys_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().foreignKeys(foreignSchema="public", foreignTable="sales"))
    told += _told(c.cursor().foreignKeys(schema="public", table="shops"))
    c.close()
    return told


def statistics_are_listed():  # metadata
    c = _connect()
    rows = [(row.table_name, row.non_unique, row.index_name, row.column_name)
            for row in c.cursor().statistics(schema="public", table="shop_days") if row.index_name]
    c.close()
    return rows


def row_identifiers_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().rowIdColumns(schema="public", table="shops"))
    c.close()
    return told


def types_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().getTypeInfo())
    c.close()
    return told


def columns_of_a_query_are_described():  # metadata
    c = _connect()
    cursor = c.execute("SELECT e.*, 1 AS one, 1.5 AS n, count(*) OVER () FROM every_type e")
    told = "\n".join(str(column) for column in cursor.description)
    c.close()
    return told


def a_table_of_every_type_is_read():  # types
    told = ""
    for options in BOTH:
        c = _connect(**options)
        told += _told(c.execute("SELECT * FROM every_type ORDER BY id"))
        c.close()
    return told


def values_travel_both_ways():  # types
    c = _connect()
    for kind, value in [("integer", 5), ("bigint", 2**62), ("double precision", 0.1), ("numeric(18,4)", D("12.3400")),
                        ("text", "Grüße, 漢字"), ("varchar(20)", "short"), ("bytea", b"\x00\xff"),
                        ("date", datetime.date(2024, 2, 29)), ("time", datetime.time(1, 2, 3)),
                        ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 456789))]:
        got = c.execute(f"SELECT ?::{kind}", value).fetchone()[0]
        same((kind, got), (kind, value))
        same((kind, c.execute(f"SELECT CAST(NULL AS {kind})").fetchone()[0]), (kind, None))
    same(c.execute("SELECT ?::uuid::text", str(uuid.UUID(int=5))).fetchone()[0], str(uuid.UUID(int=5)))
    c.close()


def parameters_filter_a_scan():  # parameters
    for options in [{}, {"UseServerSidePrepare": 0}, {"UseDeclareFetch": 1}]:
        c = _connect(**options)
        row = c.execute("SELECT count(*), sum(amount) FROM sales WHERE shop_id = ? AND note LIKE ? AND sold_at > ?", 2,
                        "sale%", datetime.datetime(2024, 3, 1)).fetchone()
        same(tuple(row), (152, D("117515.00")))
        c.close()


def a_result_is_read_in_parts():  # streaming
    for options in BOTH:
        c = _connect(**options)
        cursor = c.execute("SELECT id FROM sales ORDER BY id")
        seen = []
        while part := cursor.fetchmany(77):
            seen += [row[0] for row in part]
        same(seen, list(range(1, 1001)))
        c.close()


def a_result_can_be_left_early():  # streaming
    for options in BOTH:
        c = _connect(**options)
        cursor = c.execute("SELECT id FROM sales ORDER BY id")
        same(cursor.fetchone()[0], 1)
        cursor.close()
        same(c.execute("SELECT 2").fetchone()[0], 2)
        c.close()


def two_cursors_are_read_in_turns():  # cursors
    for options in BOTH:
        c = _connect(autocommit=False, **options)
        left, right = c.cursor(), c.cursor()
        left.execute("SELECT id FROM sales ORDER BY id")
        right.execute("SELECT id FROM sales ORDER BY id DESC")
        for _ in range(250):
            same(left.fetchone()[0] + right.fetchone()[0], 1001)
        c.commit()
        c.close()


def manual_commit_goes_on_after_an_error():  # transactions
    # Protocol 7.4-2 wraps every statement in a savepoint.
    c = _connect(autocommit=False, Protocol="7.4-2")
    c.execute("CREATE TABLE o_manual (a int)")
    c.commit()
    c.execute("INSERT INTO o_manual VALUES (1)")
    same(_sqlstate(c.execute, "SELECT 1/0"), "22012")
    c.execute("INSERT INTO o_manual VALUES (2)")
    c.commit()
    c.execute("INSERT INTO o_manual VALUES (3)")
    c.rollback()
    same(c.execute("SELECT count(*) FROM o_manual").fetchone()[0], 2)
    c.execute("DROP TABLE o_manual")
    c.commit()
    c.close()


def a_failed_transaction_is_rolled_back_whole():  # transactions
    c = _connect(autocommit=False, Protocol="7.4-1")
    c.execute("SELECT 1").fetchall()
    same(_sqlstate(c.execute, "SELECT 1/0"), "22012")
    c.rollback()
    same(c.execute("SELECT 2").fetchone()[0], 2)
    c.close()


def errors_carry_their_sqlstate():  # errors
    c = _connect()
    for sql, state in [("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM shops", "42703"), ("SELEC 1", "42601"),
                       ("SELECT 1/0", "22012"), ("SELECT 'x'::int", "22P02")]:
        got = _sqlstate(c.execute, sql)
        # ODBC has names of its own for some.
        assert got in (state, {"42P01": "42S02", "42703": "42S22"}.get(state)), (sql, got)
    c.close()


def changed_rows_are_counted():  # writing
    c = _connect()
    c.execute("CREATE TABLE o_counts (a int, b text)")
    same(c.execute("INSERT INTO o_counts VALUES (?, ?), (2, 'y')", 1, "x").rowcount, 2)
    same(c.execute("UPDATE o_counts SET b = ? WHERE a = ?", "z", 2).rowcount, 1)
    same(c.execute("DELETE FROM o_counts").rowcount, 2)
    c.execute("DROP TABLE o_counts")
    c.close()


def many_rows_are_inserted():  # writing
    c = _connect(autocommit=False)
    c.execute("CREATE TABLE o_many (a int, b text)")
    c.commit()
    c.cursor().executemany("INSERT INTO o_many VALUES (?, ?)", [(n, f"row {n}") for n in range(20)])
    c.commit()
    same(tuple(c.execute("SELECT count(*), sum(a) FROM o_many").fetchone()), (20, 190))
    c.execute("DROP TABLE o_many")
    c.commit()
    c.close()


def several_statements_give_several_results():  # several
    c = _connect()
    cursor = c.execute("SELECT 1; SELECT 'two'")
    same(cursor.fetchall()[0][0], 1)
    assert cursor.nextset()
    same(cursor.fetchall()[0][0], "two")
    c.close()


def escapes_of_odbc_are_taken():  # queries
    c = _connect()
    row = c.execute("SELECT {fn UCASE(name)}, {d '2024-02-29'}, {fn CONCAT('a', 'b')}, {ts '2024-02-29 01:02:03'}, "
                    "{fn LENGTH('abc')} FROM shops WHERE id = 1").fetchone()
    same([str(value) for value in row], ["HARBOUR", "2024-02-29", "ab", "2024-02-29 01:02:03", "3"])
    c.close()


def columns_of_one_name_are_legal():  # queries
    c = _connect()
    cursor = c.execute("SELECT NULL, NULL, NULL")
    same(([column[0] for column in cursor.description], tuple(cursor.fetchone())), (["?column?"] * 3, (None,) * 3))
    c.close()


def a_statement_timeout_stops_the_work():  # timeout, settings
    c = _connect()
    c.execute("SET statement_timeout = 400")
    error = raises(pyodbc.Error, c.execute, ENDLESS)
    assert "canceling statement due to statement timeout" in str(error), error
    same(c.execute("SELECT 1").fetchone()[0], 1)
    c.close()
    becomes_idle()


def cancel_stops_the_work():  # cancel
    c = _connect()
    cursor = c.cursor()

    def cancel():
        time.sleep(0.5)
        cursor.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    error = raises(pyodbc.Error, cursor.execute, ENDLESS)
    canceller.join()
    assert "canceling statement due to user request" in str(error), error
    same(c.execute("SELECT 1").fetchone()[0], 1)
    c.close()
    becomes_idle()


def the_ansi_driver_answers():  # connect
    c = _connect(DRIVER=os.environ["PSQLODBC"].replace("psqlodbcw", "psqlodbca"))
    same(c.execute("SELECT count(*) FROM shops").fetchone()[0], 5)
    c.close()


def a_connection_is_read_only():  # transactions
    c = _connect(ReadOnly=1)
    raises(pyodbc.Error, c.execute, "CREATE TABLE o_never (a int)")
    same(c.execute("SELECT 1").fetchone()[0], 1)
    c.close()


def procedures_are_listed():  # metadata
    c = _connect()
    told = [(row.procedure_schem, row.procedure_name, row.procedure_type)
            for row in c.cursor().procedures(schema="pg_catalog", procedure="split_part")]
    assert c.cursor().procedures(procedure="no_such_procedure").fetchall() == []
    c.close()
    return told


def columns_of_procedures_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().procedureColumns(schema="pg_catalog", procedure="split_part"), 13)
    c.close()
    return told


def version_columns_are_listed():  # metadata
    c = _connect()
    told = _told(c.cursor().rowVerColumns(schema="public", table="shops"))
    c.close()
    return told


def statistics_of_all_keys_are_listed():  # metadata
    c = _connect()
    told = ""
    for table in ["regions", "shops", "sales", "shop_days", "every_type"]:
        for unique in [True, False]:
            # Cardinality and pages are estimates of their own on each server.
            told += _told(c.cursor().statistics(schema="public", table=table, unique=unique), 10)
    c.close()
    return told


def a_prepared_statement_runs_many_times():  # prepared
    for options in [{"UseServerSidePrepare": 1}, {"UseServerSidePrepare": 0}]:
        c = _connect(**options)
        cursor = c.cursor()
        # pyodbc keeps the statement of its last text prepared.
        for n in range(8):
            same(cursor.execute("SELECT name FROM shops WHERE id = ? AND name <> ?", n % 5 + 1, "x").fetchone() is None, False)
        c.close()


def tables_are_made_changed_and_dropped():  # definitions
    c = _connect()
    c.execute("CREATE TABLE o_changed (a int, b numeric(8,2))")
    c.execute("ALTER TABLE o_changed ADD COLUMN c text")
    told = _told(c.cursor().columns(schema="public", table="o_changed"), 18)
    c.execute("DROP TABLE o_changed")
    same(c.cursor().tables(table="o_changed").fetchall(), [])
    c.close()
    return told


def a_temporary_table_is_of_the_session():  # temporary
    c, other = _connect(), _connect()
    c.execute("CREATE TEMPORARY TABLE o_temporary (a int)")
    c.execute("INSERT INTO o_temporary VALUES (?), (2)", 1)
    same(c.execute("SELECT sum(a) FROM o_temporary").fetchone()[0], 3)
    same(_sqlstate(other.execute, "SELECT * FROM o_temporary"), "42P01")
    c.close()
    other.close()


def notices_are_messages():  # notices
    c = _connect()
    messages = c.execute("DROP TABLE IF EXISTS o_nowhere").messages
    same(len(messages), 1)
    assert 'table "o_nowhere" does not exist, skipping' in messages[0][1], messages
    c.close()


def settings_hold():  # settings
    c = _connect(ConnSettings="set+TimeZone+to+'Asia/Tokyo'")
    same(c.execute("SHOW TimeZone").fetchone()[0], "Asia/Tokyo")
    same(tuple(c.execute("SELECT TIMESTAMPTZ '2024-02-29 00:00:00+00'").fetchone()), (datetime.datetime(2024, 2, 29, 9),))
    c.close()


def levels_of_isolation_are_set():  # transactions
    for level, name in [(pyodbc.SQL_TXN_READ_COMMITTED, "read committed"), (pyodbc.SQL_TXN_REPEATABLE_READ, "repeatable read"),
                        (pyodbc.SQL_TXN_SERIALIZABLE, "serializable")]:
        c = _connect(autocommit=False)
        c.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, level)
        same(c.execute("SHOW transaction_isolation").fetchone()[0], name)
        c.rollback()
        c.close()
