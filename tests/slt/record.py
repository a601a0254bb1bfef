#!/usr/bin/env python3
"""Fills in what PostgreSQL answers to the queries of SQL files, so that nobody types an expectation.

    PGHOST=… PGPORT=… PGUSER=… tests/.env/bin/python tests/slt/record.py tests/slt/bi/tableau/dates.slt …

The server is a PostgreSQL 15 with a superuser, UTF8 and the C locale; two databases are made in it and dropped again. Write a
record as `query` and its SQL: column types, `rowsort` and rows are filled in, whatever was there before. A query that PostgreSQL
refuses must say `query error`; its SQLSTATE is filled in.

Everything is asked twice, the second time of the same rows stored in another order and without hashing. If only the order of the
rows differs, or the query does not say ORDER BY, the record gets `rowsort`; if the rows differ, the query leaves its answer to
chance and is refused here.
"""

import re
import sys
from pathlib import Path

import psycopg

DATA = Path(__file__).parent / "bi" / "company.sql"
LETTERS = {16: "B", 20: "I", 21: "I", 23: "I", 26: "I", 1700: "N", 700: "R", 701: "R", 1082: "D", 1114: "P", 1184: "Z"}
LETTERS |= {oid: "T" for oid in (18, 19, 25, 705, 1042, 1043)}
MOST_ROWS = 60


class Refused(Exception):
    """The record cannot be kept as it is."""


def connect(database):
    return psycopg.connect(dbname=database, autocommit=True, options="-c timezone=UTC -c jit=off -c lc_messages=C")


def make_databases():
    with connect("postgres") as server:
        for name in ("recorded", "reordered"):
            server.execute(f"DROP DATABASE IF EXISTS {name}")
            server.execute(f"CREATE DATABASE {name}")
    one, other = connect("recorded"), connect("reordered")
    for database in (one, other):
        database.execute(DATA.read_text())
    tables = other.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    for (name,) in tables.fetchall():
        other.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {name}; TRUNCATE {name}")
        other.execute(f"INSERT INTO {name} SELECT * FROM kept ORDER BY md5(kept::text); DROP TABLE kept")
    for setting in ("enable_hashagg", "enable_hashjoin", "enable_material"):
        other.execute(f"SET {setting} = off")
    return one, other


def ask(database, sql):
    """Types and rows as text, or the SQLSTATE."""
    result = database.pgconn.exec_(sql.encode())
    if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
        code = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode()
        return code, result.error_message.decode().strip()
    types = "".join(LETTERS.get(result.ftype(i), "?") for i in range(result.nfields))
    rows = [[shown(result.get_value(r, c)) for c in range(result.nfields)] for r in range(result.ntuples)]
    return types, rows


def shown(value):
    return "NULL" if value is None else value.decode() or "(empty)"


def is_ordered(sql):
    """Whether the outermost query says ORDER BY."""
    outside = re.sub(r"'[^']*'", "", sql)
    while outside != (outside := re.sub(r"\([^()]*\)", "", outside)):
        pass
    return "ORDER BY" in outside.upper()


def record(one, other, header, sql):
    """The lines of the record, without its conditions."""
    (types, rows), (types_again, rows_again) = ask(one, sql), ask(other, sql)
    if isinstance(rows, str):
        if not header.startswith("query error"):
            raise Refused(rows)
        return [f"query error ({types})", *sql.split("\n")]
    if header.startswith("query error"):
        raise Refused("PostgreSQL answers it")
    if len(rows) > MOST_ROWS:
        raise Refused(f"{len(rows)} rows are too many to read")
    sort = ""
    if rows != rows_again or (len(rows) > 1 and not is_ordered(sql)):
        rows.sort()
        if rows != sorted(rows_again):
            raise Refused("the answer depends on the order in which the rows are stored")
        sort = " rowsort"
    lines = [" ".join(" ".join(row).split()) for row in rows]
    if "" in lines:
        raise Refused("a row of spaces ends the record")
    return [f"query {types}{sort}", *sql.split("\n"), "----", *lines]


def rewrite(path, one, other):
    """The file with every record filled in; the refusals."""
    for database in (one, other):
        database.execute("RESET TimeZone")
    blocks, refused = [], []
    for block in path.read_text().strip().split("\n\n"):
        lines = block.strip("\n").split("\n")
        at = next((i for i, line in enumerate(lines) if line.startswith(("query", "statement"))), None)
        if at is None:
            blocks.append(block)
            continue
        body = lines[at + 1 :]
        sql = "\n".join(body[: body.index("----")] if "----" in body else body)
        try:
            if lines[at].startswith("statement"):
                for database in (one, other):
                    database.execute(sql)
                blocks.append(block)
            else:
                blocks.append("\n".join(lines[:at] + record(one, other, lines[at], sql)))
        except (Refused, psycopg.Error) as error:
            refused.append(f"{path}: {error}\n{sql}\n")
            blocks.append(block)
    path.write_text("\n\n".join(blocks) + "\n")
    return refused


def main():
    one, other = make_databases()
    refused = [said for name in sys.argv[1:] for said in rewrite(Path(name), one, other)]
    print("\n".join(refused), end="")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
