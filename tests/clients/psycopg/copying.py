"""COPY as psycopg speaks it."""

import datetime
import decimal

import psycopg

from server import becomes_idle, raises, same


def _connect():
    return psycopg.connect(autocommit=True)


def rows_go_in_and_out_in_text_and_binary():  # copy
    rows = [(n, f"row {n}", decimal.Decimal(n) / 4, datetime.date(2024, 1, 1) + datetime.timedelta(n),
             None if n % 3 == 0 else n * 0.5, n % 2 == 0) for n in range(1000)]
    types = ["int8", "text", "numeric", "date", "float8", "bool"]
    with _connect() as c:
        for form in ("text", "binary"):
            c.execute("CREATE TABLE y_rows (a bigint, b text, c numeric(18,2), d date, e double precision, f boolean)")
            cursor = c.cursor()
            with cursor.copy(f"COPY y_rows FROM STDIN (FORMAT {form})") as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
            same(cursor.rowcount, 1000)
            with c.cursor().copy(f"COPY (SELECT * FROM y_rows ORDER BY a) TO STDOUT (FORMAT {form})") as copy:
                copy.set_types(types)
                same(list(copy.rows()), rows)
            c.execute("DROP TABLE y_rows")


def an_aborted_copy_leaves_nothing():  # copy
    with _connect() as c:
        c.execute("CREATE TABLE y_abort (a int)")

        def abort():
            with c.cursor().copy("COPY y_abort FROM STDIN") as copy:
                copy.write_row([1])
                raise KeyError("changed my mind")

        raises(KeyError, abort)
        same(c.execute("SELECT count(*) FROM y_abort").fetchone(), (0,))
        c.execute("DROP TABLE y_abort")


def a_null_in_a_not_null_column_is_23502():  # copy, errors
    with _connect() as c:
        c.execute("CREATE TABLE y_null (a int NOT NULL, b int)")

        def copy():
            with c.cursor().copy("COPY y_null FROM STDIN") as copy:
                copy.write("1\t2\n\\N\t3\n")

        same(raises(psycopg.Error, copy).sqlstate, "23502")
        same(c.execute("SELECT count(*) FROM y_null").fetchone(), (0,))
        c.execute("DROP TABLE y_null")


def an_unknown_table_or_column_is_refused_before_any_data():  # copy, errors
    with _connect() as c:
        for sql, code in [("COPY nowhere FROM STDIN", "42P01"), ("COPY interactions (nothing) FROM STDIN", "42703")]:
            def copy():
                with c.cursor().copy(sql) as copy:
                    copy.write("1\n")
            same(raises(psycopg.Error, copy).sqlstate, code)
            same(c.execute("SELECT 1").fetchone(), (1,))


def an_error_in_the_middle_of_a_long_copy_is_told():  # copy, errors
    with _connect() as c:
        c.execute("CREATE TABLE y_long (a int)")

        def copy():
            with c.cursor().copy("COPY y_long FROM STDIN") as copy:
                for n in range(200_000):
                    copy.write(f"{n if n != 1000 else 'x'}\n")

        same(raises(psycopg.Error, copy).sqlstate, "22P02")
        same(c.execute("SELECT count(*) FROM y_long").fetchone(), (0,))
        c.execute("DROP TABLE y_long")


def copy_out_streams():  # copy, streaming
    c = _connect()
    taken = 0
    copy = c.cursor().copy("COPY (SELECT a.source_id, b.source_id FROM interactions a, interactions b) TO STDOUT")
    for block in copy.__enter__():
        taken += len(block)
        if taken > 1_000_000:
            break
    c.close()
    becomes_idle()
