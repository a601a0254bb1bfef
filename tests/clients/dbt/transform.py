"""dbt: debug, seed, run, test, snapshot, docs and the rest, over a small project."""

import json
import os
import pathlib
import shutil
import tempfile

import psycopg2
from dbt.cli.main import dbtRunner

from server import same

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


def _ask(sql):
    with psycopg2.connect("") as c, c.cursor() as cursor:
        cursor.execute(f"SET search_path = {_SCHEMA}, public")
        cursor.execute(sql)
        return cursor.fetchall()


def debug_connects():
    same(_dbt("debug"), True)


def seed_loads_a_file_with_its_types():
    _dbt("seed")
    told = _ask("SELECT code, label, is_paid, weight, since FROM channels ORDER BY code")
    # Again: the table is emptied and filled.
    _dbt("seed")
    same(_ask("SELECT count(*) FROM channels"), [(3,)])
    _dbt("seed", "--full-refresh")
    same(_ask("SELECT count(*) FROM channels"), [(3,)])
    return told


def run_makes_views_and_tables():
    _dbt("run", "--select", "staged_sales", "shop_sums", "big_by_shop")
    same(_ask("SELECT count(*) FROM staged_sales WHERE note = 'none'"), [(100,)])
    same(_ask("SELECT sum(n) FROM big_by_shop"), [(200,)])
    return _ask("SELECT shop_id, name, n, total FROM shop_sums ORDER BY shop_id")


def run_again_replaces_what_is_there():
    for _ in range(2):
        _dbt("run", "--select", "staged_sales", "shop_sums")
    same(_ask("SELECT count(*) FROM shop_sums"), [(5,)])
    same(_ask("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'dbt_shop' AND table_name IN "
              "('shop_sums', 'staged_sales') ORDER BY 1"),
         [("shop_sums", "BASE TABLE"), ("staged_sales", "VIEW")])


def comments_are_kept():
    _dbt("run", "--select", "staged_sales", "shop_sums")
    same(_ask("SELECT obj_description('dbt_shop.shop_sums'::regclass), col_description('dbt_shop.shop_sums'::regclass, 1)"),
         [("What each shop sold", "The shop")])


def an_incremental_model_replaces_rows():
    _dbt("run", "--full-refresh", "--select", "staged_sales", "grown")
    same(_ask("SELECT count(*), max(id) FROM grown"), [(500, 500)])
    _dbt("run", "--select", "grown")
    same(_ask("SELECT count(*), count(DISTINCT id), max(id) FROM grown"), [(1000, 1000, 1000)])


def an_incremental_model_appends_rows():
    for options in [["--full-refresh"], []]:
        _dbt("run", "--select", "staged_sales", "appended", *options)
    same(_ask("SELECT count(*), min(id), max(id) FROM appended"), [(2, 1000, 1000)])


def an_incremental_model_merges_rows():
    for options in [["--full-refresh"], []]:
        _dbt("run", "--select", "staged_sales", "merged", *options)
    same(_ask("SELECT count(*), sum(amount)::text FROM merged"), [(9, "56.25")])


def test_proves_what_the_project_claims():
    _dbt("run", "--select", "staged_sales", "shop_sums")
    results = _dbt("test", "--select", "staged_sales", "shop_sums").results
    same(sorted({str(r.status) for r in results}), ["pass"])
    same(len(results), 7)


def a_snapshot_follows_changes():
    _dbt("snapshot")
    same(_ask("SELECT count(*) FROM shops_over_time WHERE dbt_valid_to IS NULL"), [(5,)])
    _dbt("snapshot")
    same(_ask("SELECT count(*) FROM shops_over_time"), [(5,)])


def docs_describe_the_catalogue():
    _dbt("run", "--select", "staged_sales", "shop_sums")
    _dbt("docs", "generate")
    nodes = json.loads((_place / "target/catalog.json").read_text())["nodes"]
    told = []
    for name in ["model.shop.staged_sales", "model.shop.shop_sums"]:
        node = nodes[name]
        told.append(f"{name} {node['metadata']['type']} {node['metadata']['comment']}")
        told += [f"{c['index']} {c['name']} {c['type']} {c['comment']}" for c in node["columns"].values()]
    return "\n".join(told)


def source_freshness_is_measured():
    _dbt("source", "freshness")


def show_previews_a_model():
    result = _dbt("show", "--inline", "select id, name from {{ source('shop', 'shops') }} order by id", "--limit", "2")
    same([tuple(row) for row in result.results[0].agate_table.rows], [(1, "Harbour"), (2, "Market")])


def an_operation_asks_a_query():
    _dbt("run-operation", "count_sales")


def build_does_everything_in_order():
    _dbt("build")
    same(_ask("SELECT count(*) FROM shop_sums"), [(5,)])
