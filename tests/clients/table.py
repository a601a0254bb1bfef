"""Writes CLIENTS.md: which features are checked with which clients. `python3 tests/clients/table.py > CLIENTS.md`

Every check names, behind its head, the features that it is a check of: `def a_join_is_cancelled():  # cancel`. A cell counts
the checks that name its feature; those of `tests/gaps.txt`, which do not hold yet, are counted apart.

    table.py             the page
    table.py --checks    the checks by the names that `tests/run` gives them
"""

import collections
import pathlib
import re
import sys

FEATURES = {
    "connect": "Connect with SCRAM, and what is asked at once",
    "tls": "TLS, the certificate verified",
    "password": "A wrong password is refused",
    "metadata": "Metadata: tables, columns, keys, results described",
    "types": "Every type, both ways",
    "parameters": "Parameters",
    "prepared": "Prepared statements",
    "queries": "Queries as the tool writes them",
    "streaming": "Results in parts, streamed, or left early",
    "cursors": "Cursors",
    "several": "Several statements at once: batches, pipelines",
    "writing": "Rows written, counted and returned",
    "copy": "COPY, in and out",
    "definitions": "Tables and views made, changed and dropped",
    "temporary": "Temporary tables",
    "transactions": "Transactions, savepoints, isolation",
    "errors": "Errors with their SQLSTATE",
    "notices": "Notices",
    "cancel": "Cancel",
    "timeout": "Timeouts",
    "settings": "Settings of the session",
    "pools": "Pools, reset, many sessions",
    "privileges": "Privileges",
    "models": "Models",
    "protocol": "Messages of the protocol, hostile ones too",
}

# The folder, or the script where a folder holds several clients, and the head of its column.
CLIENTS = {
    "psql": "psql",
    "pgjdbc": "pgjdbc",
    "npgsql": "Npgsql",
    "psqlodbc": "psqlODBC",
    "psycopg": "psycopg 3",
    "psycopg2": "psycopg2",
    "asyncpg": "asyncpg",
    "pg8000": "pg8000",
    "sqlalchemy": "SQLAlchemy",
    "adbc": "ADBC",
    "connectorx": "connectorx",
    "duckdb": "DuckDB",
    "node": "node `pg`",
    "node::postgres": "`postgres`",
    "node::knex": "`knex`",
    "dbt": "dbt",
    "pgbench": "pgbench",
    "pgcli": "pgcli",
    "socket": "bare protocol",
}

HEAD = re.compile(
    r"(?:(?:async )?def|export (?:async )?function| {4}public static (?:void|String)) ([a-zA-Z0-9]\w*)\(.*?(?:(?:#|//) ([a-z, ]+))?$"
)
HERE = pathlib.Path(__file__).parent
PAGE = """# What is checked with which client

Every number counts checks that `tests/run` makes with the real driver, as it is: first on PostgreSQL 15 with the same tables,
then on Rapport, and what a check returns must be the same on both (models, which PostgreSQL has not, are Rapport's own). A
check of two features counts in both rows. An empty cell: the client has no such thing, or nobody has checked it.

{table}

`python3 tests/clients/table.py > CLIENTS.md` writes this page from the checks, which name their features; a test fails where it says something else.
"""


def checks():
    """Of every check: its name, and the features that it names."""
    for script in sorted(HERE.glob("*/*")):
        if script.suffix not in (".py", ".mjs", ".java") or script.name.startswith("_"):
            continue
        for line in script.read_text().splitlines():
            if head := HEAD.match(line):
                features = [] if head[2] is None else head[2].split(", ")
                yield f"clients::{script.parent.name}::{script.stem}::{head[1]}", features


def client(check):
    """The key of CLIENTS, or None: ClickHouse and implicit are asked beside Rapport, and are no clients of it."""
    _, folder, script, _ = check.split("::")
    return next((key for key in (f"{folder}::{script}", folder) if key in CLIENTS), None)


def page():
    gaps = (HERE.parent / "gaps.txt").read_text().splitlines()
    missing = {line.partition(": ")[0] for line in gaps}
    holding, not_yet = collections.Counter(), collections.Counter()
    for check, features in checks():
        unknown = set(features) - set(FEATURES)
        if unknown or not features:
            sys.exit(f"{check} names {', '.join(unknown) or 'no feature'}: it is to say which of {', '.join(FEATURES)} it checks")
        for row in [*features, "all"]:
            (not_yet if check in missing else holding)[row, client(check)] += 1

    def cell(row, column):
        n, more = holding[row, column], not_yet[row, column]
        return (str(n) if n else "") + (f" ({more} not yet)" if more else "")

    rows = [["", *CLIENTS.values()], ["---", *["---:" for _ in CLIENTS]]]
    rows += [[title, *(cell(feature, column) for column in CLIENTS)] for feature, title in FEATURES.items()]
    rows.append(["all", *(cell("all", column) for column in CLIENTS)])
    return PAGE.format(table="\n".join(f"| {' | '.join(row)} |" for row in rows))


if sys.argv[1:] == ["--checks"]:
    print("\n".join(check for check, _ in checks()))
else:
    print(page(), end="")
