"""pgcli on a terminal: it reads the whole catalogue for its completion, then answers like psql."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

import pgcli  # noqa: F401

from server import DATABASE, ENDLESS, HOST, PORT, USER, becomes_idle, raises, same


class _Terminal:
    """pgcli with its output as plain text."""

    def __init__(self, **settings):
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, "config")
        with open(config, "w") as file:
            file.write("[main]\nenable_pager = False\nless_chatty = True\nmulti_line = False\nprompt = 'ready> '\n"
                       f"log_file = {self.folder.name}/log\nhistory_file = {self.folder.name}/history\ntiming = False\n"
                       "keyring = False\ndestructive_warning = off\ntable_format = psql\n")
        self.terminal, other_end = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONDONTWRITEBYTECODE": "1",
                       "COLUMNS": "200", "LINES": "60", "XDG_CONFIG_HOME": self.folder.name, **settings}
        program = os.path.join(os.path.dirname(sys.executable), "pgcli")
        self.process = subprocess.Popen([program, "--pgclirc", config, "-h", HOST, "-p", str(PORT), "-U", USER, "-w",
                                         "-d", DATABASE], stdin=other_end, stdout=other_end, stderr=other_end,
                                        env=environment, start_new_session=True)
        os.close(other_end)

    def until(self, *words):
        """What it shows until it has said all of the words."""
        seen, deadline = "", time.monotonic() + 60
        while not all(word in seen for word in words):
            if not select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"pgcli never said {words}, only\n{seen}")
            seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self.terminal, 65536).decode(errors="replace"))
        return seen

    def say(self, line):
        os.write(self.terminal, (line + "\r").encode())

    def __enter__(self):
        self.until("ready>")
        return self

    def __exit__(self, *_):
        try:
            self.say("\\q")
            self.process.wait(10)
        except Exception:
            self.process.kill()
            self.process.wait()
        os.close(self.terminal)


def _list(password=os.environ["PGPASSWORD"], **options):
    """pgcli's own questions for completion, asked as it asks them."""
    from pgcli.pgexecute import PGExecute
    return PGExecute(DATABASE, USER, password, HOST, PORT, **options)


def it_answers_a_query():  # connect
    with _Terminal() as t:
        t.say("SELECT name FROM shops WHERE id = 5;")
        t.until("Piotrkowska", "SELECT 1")


def backslash_commands_are_answered():  # metadata
    with _Terminal() as t:
        t.say("\\dt sh*")
        t.until("shop_days", "shops")
        t.say("\\d shops")
        t.until("character varying(40)", "shops_pkey")
        t.say("\\l")
        t.until("UTF8")


def an_error_is_shown_and_the_session_lives():  # errors
    with _Terminal() as t:
        t.say("SELECT * FROM nowhere;")
        t.until('relation "nowhere" does not exist')
        t.say("SELECT 40 + 2;")
        t.until("42")


def tables_and_views_are_completed():  # metadata
    execute = _list()
    tables, views = set(execute.tables()), set(execute.views())
    assert {("public", "shops"), ("public", "interactions"), ("staging", "arrivals")} <= tables, tables
    assert ("public", "shop_totals") in views, views


def columns_are_completed():  # metadata
    execute = _list()
    columns = [tuple(column) for column in execute.table_columns() if column[1] in ("shops", "every_type")]
    return "\n".join(map(str, sorted(columns))) + "\n" + "\n".join(
        map(str, sorted(tuple(c) for c in execute.view_columns() if c[1] == "shop_totals")))


def schemas_types_and_databases_are_completed():  # metadata
    execute = _list()
    assert {"public", "staging"} <= set(execute.schemata()), set(execute.schemata())
    assert DATABASE in execute.databases(), execute.databases()
    list(execute.datatypes())


def keys_are_completed():  # metadata
    ours = {"sales", "shops", "shop_days"}
    return "\n".join(sorted(str(key) for key in _list().foreignkeys() if key.childtable in ours))


def functions_are_completed():  # metadata
    names = {function.func_name for function in _list().functions()}
    assert {"date_trunc", "split_part", "now"} <= names, sorted(names)[:50]


def casing_is_completed():  # metadata
    list(_list().casing())


def a_view_s_definition_is_shown():  # metadata
    text = _list().view_definition("shop_totals")
    assert "shops" in text and "sum" in text, text


def special_commands_are_answered():  # queries
    from pgspecial.main import PGSpecial
    execute = _list()
    for command in ["\\dn", "\\du", "\\dv", "\\di", "\\df split_part", "\\dT", "\\x", "\\d+ shops", "\\sf pg_catalog.age(timestamptz)"]:
        for title, rows, headers, status, sql, success, is_special in execute.run(command, PGSpecial()):
            same((command, success), (command, True))
            list(rows or [])


def tls_is_verified():  # tls
    with _Terminal(PGSSLMODE="verify-full") as t:
        t.say("SELECT 'encrypted ' || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();")
        t.until("encrypted true")
    same(_list(sslmode="verify-full").conn.pgconn.ssl_in_use, True)
    error = raises(Exception, _list, sslmode="verify-full", sslrootcert="/nowhere")
    assert "does not exist" in str(error), error


def a_wrong_password_is_refused():  # password
    error = raises(Exception, _list, password="wrong")
    assert "password authentication failed" in str(error), error


def every_type_is_shown():  # types
    execute, told = _list(), []
    for sql in ["SET TimeZone = 'UTC'", "SELECT * FROM every_type ORDER BY id"]:
        for _, rows, headers, *_ in execute.run(sql):
            told += [str(headers), *map(str, rows or [])]
    return "\n".join(told)


def several_statements_are_answered():  # several, transactions
    with _Terminal() as t:
        t.say("BEGIN; SELECT 40 + 2 AS n; ROLLBACK;")
        t.until("BEGIN", "42", "ROLLBACK")


def a_temporary_table_is_of_the_session():  # temporary, writing
    with _Terminal() as t:
        t.say("CREATE TEMPORARY TABLE i_temporary (a int);")
        t.until("CREATE TABLE")
        t.say("INSERT INTO i_temporary VALUES (40), (2);")
        t.until("INSERT 0 2")
        t.say("SELECT sum(a) FROM i_temporary;")
        t.until("42")


def notices_are_shown():  # notices
    with _Terminal() as t:
        t.say("DROP TABLE IF EXISTS i_nowhere;")
        t.until('table "i_nowhere" does not exist, skipping', "DROP TABLE")


def ctrl_c_cancels_the_work():  # cancel
    with _Terminal() as t:
        t.say(ENDLESS.replace("\n", " ") + ";")
        t.until("1000000;")
        time.sleep(1.5)
        t.process.send_signal(signal.SIGINT)
        t.until("cancelled query")
        t.say("SELECT 40 + 2;")
        t.until("42")
    becomes_idle()


def a_statement_timeout_ends_the_work():  # timeout, settings
    with _Terminal() as t:
        t.say("SET statement_timeout = '300ms';")
        t.until("SET")
        t.say(ENDLESS.replace("\n", " ") + ";")
        t.until("canceling statement due to statement timeout")
    becomes_idle()
