"""dbt: debug, seed, run, test, snapshot, docs and the rest, over a small project."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile

import psycopg2
from dbt.cli.main import dbtRunner

from server import raises, same

os.environ.update(DBT_SEND_ANONYMOUS_USAGE_STATS="false", DO_NOT_TRACK="1")
_PROJECT = pathlib.Path(__file__).parent / "project"


_SCHEMA = os.environ["DBT_SCHEMA"] = "dbt_shop"
_folder = tempfile.TemporaryDirectory()
_place = pathlib.Path(_folder.name) / "project"
shutil.copytree(_PROJECT, _place)


def _dbt(*arguments):
    """What the command made of each node; one that fails raises what it said."""
    done = dbtRunner().invoke([*arguments, "--project-dir", str(_place), "--profiles-dir", str(_place)])
    if done.exception:
        raise done.exception
    said = [f"{r.node.name}: {r.status} {r.message}" for r in getattr(done.result, "results", []) if hasattr(r, "node")]
    assert done.success, "\n".join(said)
    return done.result


@contextlib.contextmanager
def _environment(**variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ask(sql):
    with psycopg2.connect("") as c, c.cursor() as cursor:
        cursor.execute(f"SET search_path = {_SCHEMA}, public")
        cursor.execute(sql)
        return cursor.fetchall()


def debug_connects():  # connect
    same(_dbt("debug"), True)


def seed_loads_a_file_with_its_types():  # writing, types
    _dbt("seed")
    told = _ask("SELECT code, label, is_paid, weight, since FROM channels ORDER BY code")
    # Again: the table is emptied and filled.
    _dbt("seed")
    same(_ask("SELECT count(*) FROM channels"), [(3,)])
    _dbt("seed", "--full-refresh")
    same(_ask("SELECT count(*) FROM channels"), [(3,)])
    return told


def run_makes_views_and_tables():  # definitions
    _dbt("run", "--select", "staged_sales", "shop_sums", "big_by_shop")
    same(_ask("SELECT count(*) FROM staged_sales WHERE note = 'none'"), [(100,)])
    same(_ask("SELECT sum(n) FROM big_by_shop"), [(200,)])
    return _ask("SELECT shop_id, name, n, total FROM shop_sums ORDER BY shop_id")


def run_again_replaces_what_is_there():  # definitions
    for _ in range(2):
        _dbt("run", "--select", "staged_sales", "shop_sums")
    same(_ask("SELECT count(*) FROM shop_sums"), [(5,)])
    same(_ask("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'dbt_shop' AND table_name IN "
              "('shop_sums', 'staged_sales') ORDER BY 1"),
         [("shop_sums", "BASE TABLE"), ("staged_sales", "VIEW")])


def comments_are_kept():  # metadata
    _dbt("run", "--select", "staged_sales", "shop_sums")
    same(_ask("SELECT obj_description('dbt_shop.shop_sums'::regclass), col_description('dbt_shop.shop_sums'::regclass, 1)"),
         [("What each shop sold", "The shop")])


def an_incremental_model_replaces_rows():  # writing
    _dbt("run", "--full-refresh", "--select", "staged_sales", "grown")
    same(_ask("SELECT count(*), max(id) FROM grown"), [(500, 500)])
    _dbt("run", "--select", "grown")
    same(_ask("SELECT count(*), count(DISTINCT id), max(id) FROM grown"), [(1000, 1000, 1000)])


def an_incremental_model_appends_rows():  # writing
    for options in [["--full-refresh"], []]:
        _dbt("run", "--select", "staged_sales", "appended", *options)
    same(_ask("SELECT count(*), min(id), max(id) FROM appended"), [(2, 1000, 1000)])


def an_incremental_model_merges_rows():  # writing, temporary
    for options in [["--full-refresh"], []]:
        _dbt("run", "--select", "staged_sales", "merged", *options)
    same(_ask("SELECT count(*), sum(amount)::text FROM merged"), [(9, "56.25")])


def test_proves_what_the_project_claims():  # queries
    _dbt("run", "--select", "staged_sales", "shop_sums")
    results = _dbt("test", "--select", "staged_sales", "shop_sums").results
    same(sorted({str(r.status) for r in results}), ["pass"])
    same(len(results), 7)


def a_snapshot_follows_changes():  # writing
    _dbt("snapshot")
    same(_ask("SELECT count(*) FROM shops_over_time WHERE dbt_valid_to IS NULL"), [(5,)])
    _dbt("snapshot")
    same(_ask("SELECT count(*) FROM shops_over_time"), [(5,)])


def docs_describe_the_catalogue():  # metadata
    _dbt("run", "--select", "staged_sales", "shop_sums")
    _dbt("docs", "generate")
    nodes = json.loads((_place / "target/catalog.json").read_text())["nodes"]
    told = []
    for name in ["model.shop.staged_sales", "model.shop.shop_sums"]:
        node = nodes[name]
        told.append(f"{name} {node['metadata']['type']} {node['metadata']['comment']}")
        told += [f"{c['index']} {c['name']} {c['type']} {c['comment']}" for c in node["columns"].values()]
    return "\n".join(told)


def source_freshness_is_measured():  # queries
    _dbt("source", "freshness")


def show_previews_a_model():  # queries
    result = _dbt("show", "--inline", "select id, name from {{ source('shop', 'shops') }} order by id", "--limit", "2")
    same([tuple(row) for row in result.results[0].agate_table.rows], [(1, "Harbour"), (2, "Market")])


def an_operation_asks_a_query():  # queries
    _dbt("run-operation", "count_sales")


def build_does_everything_in_order():  # definitions
    _dbt("build")
    same(_ask("SELECT count(*) FROM shop_sums"), [(5,)])


def tls_is_verified():  # tls
    with _environment(PGSSLMODE="verify-full"):
        same(_dbt("debug"), True)
        result = _dbt("show", "--inline", "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        same([tuple(row) for row in result.results[0].agate_table.rows], [(True,)])
    with _environment(PGSSLMODE="verify-full", PGSSLROOTCERT="/nowhere"):
        raises(AssertionError, _dbt, "debug")


def a_wrong_password_is_refused():  # password
    with _environment(PGPASSWORD="wrong"):
        raises(AssertionError, _dbt, "debug")


def an_error_fails_its_model_only():  # errors
    with _environment(SHOP_FAILS="1"):
        error = raises(AssertionError, _dbt, "run", "--select", "staged_sales", "failing", "shop_sums")
    assert "division by zero" in str(error) and "shop_sums: success" in str(error), error
    same(_ask("SELECT count(*) FROM shop_sums"), [(5,)])


def grants_of_a_model_are_given():  # privileges
    for _ in range(2):
        _dbt("run", "--select", "granted")
    same(_ask("SELECT grantee, privilege_type FROM information_schema.role_table_grants WHERE table_schema = 'dbt_shop' "
              "AND table_name = 'granted' AND grantee = 'PUBLIC'"), [("PUBLIC", "SELECT")])


def hooks_are_in_the_transaction_of_their_model():  # transactions
    _dbt("run", "--select", "hooked")
    same(_ask("SELECT what FROM hooks ORDER BY what"), [("after",), ("before",)])


def several_threads_run_together():  # pools
    _dbt("run", "--select", "staged_sales", "shop_sums", "merged", "appended", "granted", "--threads", "4", "--full-refresh")
