"""pgbench: many clients at once, in the three protocols, with scripts of its own."""

import os
import re
import subprocess
import tempfile

from server import ENDLESS, becomes_idle, same


def _pgbench(script, *options, fails=False, **settings):
    """What pgbench reports of running the script."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run([_PROGRAM, "-n", "-f", file.name, *options], capture_output=True, text=True, timeout=100,
                              env={**os.environ, **settings})
    assert fails or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


_PROGRAM = next(path for path in [*(f"{folder}/pgbench" for folder in os.environ["PATH"].split(":")),
                                  *(f"/usr/lib/postgresql/{n}/bin/pgbench" for n in range(18, 12, -1))] if os.path.exists(path))
_LOOK_UP = """\\set id random(1, 1000)
SELECT amount, note FROM sales WHERE id = :id;
"""


def _did(report, n):
    same(re.search(r"transactions actually processed: (\d+)", report).group(1), str(n))
    failed = re.search(r"number of failed transactions: (\d+)", report)
    same(failed is None or failed.group(1) == "0", True)


def tls_is_verified():  # tls
    _did(_pgbench(_LOOK_UP, "-c", "2", "-t", "5", PGSSLMODE="verify-full"), 10)
    report = _pgbench(_LOOK_UP, "-t", "1", fails=True, PGSSLMODE="verify-full", PGSSLROOTCERT="/nowhere")
    assert 'root certificate file "/nowhere" does not exist' in report, report


def the_simple_protocol_is_asked():  # queries
    _did(_pgbench(_LOOK_UP, "-c", "4", "-t", "5", "-M", "simple"), 20)


def the_extended_protocol_is_asked():  # parameters
    _did(_pgbench(_LOOK_UP, "-c", "4", "-t", "5", "-M", "extended"), 20)


def prepared_statements_are_asked():  # prepared
    _did(_pgbench(_LOOK_UP, "-c", "4", "-t", "5", "-M", "prepared"), 20)


def many_clients_are_served():  # pools
    _did(_pgbench("SELECT 1;\n", "-c", "40", "-j", "2", "-t", "3"), 120)


def each_transaction_may_connect_anew():  # connect
    _did(_pgbench("SELECT 1;\n", "-c", "2", "-t", "5", "-C"), 10)


def a_pipeline_is_answered():  # several
    _did(_pgbench("""\\startpipeline
SELECT 1;
SELECT count(*) FROM shops;
SELECT 'three';
\\endpipeline
""", "-c", "2", "-t", "5", "-M", "extended"), 10)


def results_become_variables():  # queries
    _did(_pgbench("""SELECT id AS shop, area AS area FROM shops WHERE id = 2 \\gset
SELECT 1 / (CASE WHEN :shop = 2 THEN 1 ELSE 0 END) AS holds \\gset x_
SELECT 1 \\; SELECT 2 AS last \\gset
SELECT 1 / (CASE WHEN :last = 2 THEN 1 ELSE 0 END);
""", "-c", "1", "-t", "3"), 3)


def blocks_are_run():  # transactions
    _did(_pgbench("""BEGIN;
SELECT sum(amount) FROM sales WHERE shop_id = 2;
SELECT count(*) FROM interactions;
END;
""", "-c", "3", "-t", "4"), 12)


def conditions_and_expressions_are_evaluated():  # queries
    _did(_pgbench("""\\set n random_zipfian(1, 5, 1.5)
\\if :n > 2
SELECT name FROM shops WHERE id = :n;
\\else
SELECT count(*) FROM shops WHERE id < :n;
\\endif
""", "-c", "2", "-t", "6"), 12)


def rows_are_inserted_at_once():  # writing
    psql = ["psql", "-X", "-w", "-A", "-t", "-q"]
    subprocess.run([*psql, "-c", "CREATE TABLE g_inserted (a int, b text)"], check=True)
    _did(_pgbench("INSERT INTO g_inserted VALUES (:client_id, 'a row');\n", "-c", "4", "-t", "5", "--max-tries=50"), 20)
    same(subprocess.run([*psql, "-c", "SELECT count(*), count(DISTINCT a) FROM g_inserted"], check=True, capture_output=True,
                        text=True).stdout.strip(), "20|4")
    subprocess.run([*psql, "-c", "DROP TABLE g_inserted"], check=True)


def an_error_ends_the_client():  # errors
    report = _pgbench("SELECT 1/0;\n", "-c", "1", "-t", "2", fails=True)
    assert "division by zero" in report, report


def a_report_of_each_statement_is_made():  # queries
    report = _pgbench("SELECT 1;\nSELECT count(*) FROM sales;\n", "-c", "1", "-t", "3", "-r")
    assert "SELECT count(*) FROM sales;" in report, report


def a_wrong_password_is_refused():  # password
    report = _pgbench("SELECT 1;\n", "-t", "1", fails=True, PGPASSWORD="wrong")
    assert "password authentication failed" in report, report


def parameters_are_numbers_and_texts():  # parameters
    _did(_pgbench("SELECT 1 / (CASE WHEN :n + 1 = 42 AND :word = 'it''s' THEN 1 ELSE 0 END);\n", "-t", "3", "-M", "prepared",
                  "-D", "n=41", "-D", "word=it's"), 3)


def temporary_tables_are_of_each_client():  # temporary
    _did(_pgbench("""CREATE TEMPORARY TABLE g_temporary (a int);
INSERT INTO g_temporary VALUES (:client_id);
SELECT 1 / (CASE WHEN sum(a) = :client_id THEN 1 ELSE 0 END) FROM g_temporary;
DROP TABLE g_temporary;
""", "-c", "3", "-t", "2"), 6)


def a_statement_timeout_ends_the_client():  # timeout, settings
    report = _pgbench(f"{ENDLESS};\n", "-t", "1", fails=True, PGOPTIONS="-c statement_timeout=300")
    assert "canceling statement due to statement timeout" in report, report
    becomes_idle()
