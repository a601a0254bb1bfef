"""What people type first: the backslash commands."""

import os
import subprocess
from pathlib import Path

from server import ENGINE, raises, same, skip


def _psql(*commands, options=()):
    arguments = ["psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", *options]
    for command in commands:
        arguments += ["-c", command]
    # Without the notice that keys are declared and not enforced.
    quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=quiet)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{commands} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _has(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in\n{text}"


def d_lists_tables_and_views():  # metadata
    out = _psql("CREATE TABLE d_seen (a int)", "CREATE VIEW d_view AS SELECT a FROM d_seen", r"\d",
                "DROP VIEW d_view", "DROP TABLE d_seen")
    _has(out, "List of relations", "interactions", "d_seen", "d_view", "view")


def dt_lists_the_built_in_tables():  # metadata
    out = _psql(r"\dt")
    _has(out, "interactions", "customers", "customer_identities", "products", "campaigns", "offers", "agents",
         "consents", "channel_costs", "code_dictionary", "quarantine")


def dt_takes_a_pattern():  # metadata
    out = _psql(r"\dt *identit*")
    _has(out, "customer_identities")
    assert "campaigns" not in out, out


def d_interactions_shows_every_column_with_its_type():  # metadata
    out = _psql(r"\d interactions")
    for column, kind in [
        ("interaction_id", "uuid"), ("source", "text"), ("source_id", "text"), ("customer_id", "bigint"),
        ("occurred_at", "timestamp with time zone"), ("received_at", "timestamp with time zone"),
        ("channel", "text"), ("touchpoint", "text"), ("interaction_type", "text"), ("direction", "text"),
        ("context", "text"), ("session_id", "text"), ("case_id", "text"), ("campaign_id", "text"),
        ("agent_id", "text"), ("product_id", "text"), ("order_id", "text"), ("amount", "numeric(18,2)"),
        ("currency", "text"), ("cost", "numeric(18,4)"), ("outcome", "text"), ("survey", "text"),
        ("body", "text"), ("properties", "text"),
    ]:
        line = next((l for l in out.splitlines() if l.split("|")[0].strip() == column), None)
        assert line is not None, f"no column {column} in\n{out}"
        same(line.split("|")[1].strip(), kind)
    for column in ["quantity", "duration_s", "wait_s", "score", "sentiment", "latitude", "longitude"]:
        _has(out, f" {column} ")


def d_plus_shows_the_comments():  # metadata
    out = _psql("CREATE TABLE d_told (a int)", "COMMENT ON TABLE d_told IS 'told as a table'",
                "COMMENT ON COLUMN d_told.a IS 'told as a column'", r"\d+ d_told", r"\dt+ d_told", "DROP TABLE d_told")
    _has(out, "told as a table", "told as a column")


def d_shows_keys_and_not_null():  # metadata
    out = _psql("CREATE TABLE d_one (id bigint PRIMARY KEY, name text NOT NULL)",
                "CREATE TABLE d_many (one_id bigint REFERENCES d_one (id), n int)",
                r"\d d_one", r"\d d_many", "DROP TABLE d_many", "DROP TABLE d_one")
    _has(out, "not null", "PRIMARY KEY", "d_one_pkey", "FOREIGN KEY (one_id) REFERENCES d_one(id)", "Referenced by:")


def d_of_an_unknown_table_says_so():  # metadata
    done = subprocess.run(["psql", "-X", "-w", "-c", r"\d nowhere"], capture_output=True, text=True, timeout=60)
    _has(done.stderr, 'Did not find any relation named "nowhere".')


def du_lists_the_users():  # metadata, privileges
    _has(_psql(r"\du"), "tester" if ENGINE == "rapport" else "postgres")


def l_lists_the_databases():  # metadata
    _has(_psql(r"\l"), "List of databases", "UTF8")


def dn_lists_the_schemas():  # metadata
    _has(_psql(r"\dn"), "public")


def df_shows_the_functions_of_rapport():  # metadata
    if ENGINE == "postgres":
        skip("PostgreSQL has no such functions")
    out = _psql(r"\df array_has", r"\df+ approx_distinct", r"\sf array_has(anyarray,anyelement)")
    _has(out, "boolean", "anyarray", "agg", "HyperLogLog", "FUNCTION public.array_has")
    out = _psql(r"\df+ refresh_model")
    _has(out, "as_of text DEFAULT NULL", "baseline_value double precision", "REFRESH MODEL as a function", "volatile")
    # PostgreSQL's own are not declared a second time.
    _has(_psql(r"\df public.upper"), "(0 rows)")


def df_tells_what_the_manual_does():  # metadata
    if ENGINE == "postgres":
        skip("PostgreSQL has no such functions")
    manual = (Path(__file__).parents[3] / "FUNCTIONS.md").read_text()
    # Of values, of groups, of windows, of a model, about models and over a table.
    for function in ("jaro_winkler", "km_median", "session_id", "churn_probability", "refresh_model", "survival_curve"):
        page = manual.split(f"\n### {function}\n")[1].split("\n\n")
        _has(_psql(rf"\df+ {function}", options=["-A", "-t"]), page[1].split(" Columns: ")[0])
    _has(_psql(r"\dfw session_id", options=["-A", "-t"]), "session_id|bigint|occurred_at timestamp without time zone, gap interval")


def dp_and_z_show_grants():  # metadata, privileges
    out = _psql("CREATE TABLE d_granted (a int, b int)", "GRANT SELECT, INSERT ON d_granted TO PUBLIC",
                "GRANT UPDATE (b) ON d_granted TO PUBLIC", r"\dp d_granted", r"\z d_granted", "DROP TABLE d_granted")
    same(out.count("=ar/"), 2)
    same(out.count("=w/"), 2)


def ddp_shows_what_new_tables_grant():  # metadata, privileges
    if ENGINE == "postgres":
        skip("it grants nothing by default")
    _has(_psql(r"\ddp"), "rapport_reader=r", "rapport_writer=a")


def di_lists_keys():  # metadata
    out = _psql("CREATE TABLE d_keyed (a int PRIMARY KEY)", r"\di d_keyed*", "DROP TABLE d_keyed")
    _has(out, "d_keyed_pkey", "index")


def every_list_has_an_answer():  # metadata
    for command in (r"\dn+", r"\du+", r"\l", r"\dT", r"\dC", r"\dD", r"\db", r"\dO", r"\do", r"\dx", r"\dF",
                    r"\dy", r"\dA", r"\dL", r"\dp", r"\dc", r"\dg", r"\dX", r"\dconfig"):
        assert _psql(command), f"{command} answers nothing"


def df_finds_a_function():  # metadata
    _has(_psql(r"\df pg_catalog.upper"), "upper")


def dv_shows_a_view_and_d_its_query():  # metadata
    out = _psql("CREATE VIEW d_query AS SELECT channel, count(*) AS n FROM interactions GROUP BY channel",
                r"\dv", r"\d+ d_query", "DROP VIEW d_query")
    _has(out, "d_query", "channel", "bigint", "View definition:", "GROUP BY")


def conninfo_names_the_user():  # connect
    _has(_psql(r"\conninfo"), 'You are connected to database')


def the_other_lists_answer():  # metadata
    for command in [r"\di", r"\ds", r"\dx", r"\dT", r"\dp", r"\db", r"\dC", r"\dD", r"\do", r"\dO", r"\des", r"\dRp",
                    r"\ddp", r"\drds", r"\dF", r"\dL", r"\dc", r"\da", r"\dm", r"\dE", r"\dfn upper",
                    r"\sf pg_catalog.age(timestamptz)", r"\z interactions", r"\dg", r"\l+", r"\dt+", r"\dn+",
                    r"\dconfig work_mem", r"\dd", r"\dew", r"\deu", r"\dy", r"\dP", r"\dAc", r"\dX", r"\dS pg_class"]:
        done = subprocess.run(["psql", "-X", "-w", "-c", command], capture_output=True, text=True, timeout=60)
        # "Did not find any relations." is an answer.
        assert done.returncode == 0 and "ERROR" not in done.stderr, f"{command}: {done.stderr}"


def ddl_of_one_session_is_seen_by_another():  # definitions
    _psql("CREATE TABLE d_shared (a int)")
    _has(_psql(r"\d d_shared"), "integer")
    _psql("DROP TABLE d_shared")
    raises(AssertionError, _psql, "SELECT * FROM d_shared")
