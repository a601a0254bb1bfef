//! A statement can't become superuser, reach a file, write, hold the backend, or outlive its bound.

use std::time::{Duration, Instant};

use rapport_catalog_postgres::{Catalogue, Error, Settings};
use tempfile::TempDir;

use crate::house::{VERIFIER, ask, check, check_refused, open_with, text, with_ann};

#[tokio::test]
async fn nobody_climbs_back_to_superuser() {
    let (_dir, catalogue) = with_ann().await;
    for sql in [
        "select set_config('session_authorization', 'postgres', true), pg_read_file('PG_VERSION')",
        "select set_config('role', 'none', false)",
        "select pg_catalog.set_config('transaction_read_only', 'off', true)",
        "select pg_read_file('PG_VERSION')",
        "select pg_read_binary_file('global/pg_control')",
        "select pg_ls_dir('.')",
        "select pg_stat_file('PG_VERSION')",
        "select lo_import('/PG_VERSION')",
        "select lo_export(1, '/x')",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'x')",
        "select pg_reload_conf()",
        "select pg_switch_wal()",
        "select pg_terminate_backend(pg_backend_pid())",
        "select pg_cancel_backend(pg_backend_pid())",
        "select pg_advisory_lock(1)",
        "select pg_sleep(1)",
        "select rolpassword from pg_authid",
        "select * from pg_shadow",
        "select query_to_xml('select set_config(''role'', ''none'', true)', true, true, '')",
    ] {
        check_refused(&catalogue, "ann", sql, "42501").await;
    }
    check(
        &catalogue,
        "ann",
        "select current_user, session_user",
        &["ann|ann"],
    )
    .await;
}

#[tokio::test]
async fn a_query_writes_nothing() {
    let (_dir, catalogue) = with_ann().await;
    for (sql, code) in [
        (
            "with x as (delete from pg_class returning 1) select * from x",
            "25006",
        ),
        ("select 1 into t", "25006"),
        ("select * from pg_class for update", "25006"),
        ("select nextval('nothing')", "42P01"),
        ("select currval('x'); commit", "42601"),
        (
            "update pg_settings set setting = 'on' where name = 'fsync'",
            "0A000",
        ),
        ("insert into pg_class default values", "0A000"),
        ("copy pg_class to program 'id'", "0A000"),
        ("copy (select 1) to '/tmp/x'", "0A000"),
        ("do $$ begin reset session authorization; end $$", "0A000"),
        ("reset session authorization", "0A000"),
        ("set role postgres", "0A000"),
        ("commit", "0A000"),
        ("rollback", "0A000"),
        ("load 'plpgsql'", "0A000"),
        ("create table t (a int)", "0A000"),
        ("listen x", "0A000"),
        ("prepare p as select 1", "0A000"),
        ("discard all", "0A000"),
        ("", "0A000"),
    ] {
        check_refused(&catalogue, "ann", sql, code).await;
    }
    // PostgreSQL lets this one pass as a read; but nothing of a query is ever committed.
    ask(
        &catalogue,
        "ann",
        "explain analyze create table t as select 1",
    )
    .await
    .expect("a plan");
    check(
        &catalogue,
        "ann",
        "select count(*) from pg_class where relname in ('t', 'x')",
        &["0"],
    )
    .await;
}

#[tokio::test]
async fn a_writable_query_over_an_own_table_is_refused_as_read_only() {
    let (_dir, catalogue) = with_ann().await;
    let ddl = catalogue
        .begin_ddl(
            "ann",
            &Settings::new(),
            "create table mine (a int primary key)",
        )
        .await
        .expect("a table");
    ddl.commit().await.expect("a commit");
    check_refused(
        &catalogue,
        "ann",
        "with x as (insert into mine values (1) returning a) select * from x",
        "25006",
    )
    .await;
    check_refused(&catalogue, "ann", "select * from mine for update", "25006").await;
    check_refused(&catalogue, "ann", "select lo_put(1, 0, 'x')", "42501").await;
}

#[tokio::test]
async fn a_role_that_does_not_exist_runs_nothing() {
    let (_dir, catalogue) = with_ann().await;
    check_refused(&catalogue, "nobody", "select 1", "22023").await;
    check_refused(&catalogue, "x\"; select 1; --", "select 1", "22023").await;
    let bad = Settings::from([("TimeZone".into(), "Nowhere".into())]);
    let refused = catalogue
        .relay(
            "ann",
            &bad,
            rapport_catalog_postgres::Request::Simple("select 1".into()),
        )
        .await;
    assert_eq!(refused.expect_err("no such zone").code(), Some("22023"));
    check(&catalogue, "ann", "select current_user", &["ann"]).await;
}

const RUNAWAY: &str = "select count(*) from pg_attribute a, pg_attribute b, pg_attribute c";

#[tokio::test]
async fn a_runaway_query_ends_in_bounded_time_and_others_go_on() {
    let dir = TempDir::new().expect("a temporary folder");
    let catalogue = open_with(dir.path(), Duration::from_millis(700)).await;
    catalogue
        .create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    let other = other_session(&catalogue);
    let started = Instant::now();
    let refused = ask(&catalogue, "ann", RUNAWAY).await;
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    other.await.expect("no panic");
    check(&catalogue, "ann", "select 1", &["1"]).await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}

/// Queues behind the runaway, and is answered once it has ended.
fn other_session(catalogue: &Catalogue) -> tokio::task::JoinHandle<()> {
    let catalogue = catalogue.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        check(&catalogue, "ann", "select 2", &["2"]).await;
    })
}

#[tokio::test]
async fn a_long_query_keeps_the_others_waiting_for_seconds_only() {
    let (_dir, catalogue) = with_ann().await;
    let long = {
        let catalogue = catalogue.clone();
        tokio::spawn(async move { ask(&catalogue, "ann", RUNAWAY).await.map(|_| ()) })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Its bound is 30 seconds.
    let started = Instant::now();
    for _ in 0..5 {
        check(&catalogue, "ann", "select 2", &["2"]).await;
        let known = catalogue.verifier("ann").await.expect("an answer");
        assert_eq!(known.as_deref(), Some(VERIFIER));
    }
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    assert!(!long.is_finished(), "it goes on aside");
    long.abort();
}

#[tokio::test]
async fn what_is_asked_aside_is_answered() {
    let (_dir, catalogue) = with_ann().await;
    // More than two seconds in one query, as its role and without a change.
    let long =
        "select count(*) from pg_attribute a, generate_series(1, 30000) where current_user = 'ann'";
    let n = "select count(*) * 30000 from pg_attribute";
    let expected = ask(&catalogue, "ann", n).await.expect("a count");
    let found = ask(&catalogue, "ann", long).await.expect("a count");
    assert_eq!(text(&found), text(&expected));
}

#[tokio::test]
async fn dropping_a_query_ends_it() {
    let (_dir, catalogue) = with_ann().await;
    let dropped =
        tokio::time::timeout(Duration::from_millis(300), ask(&catalogue, "ann", RUNAWAY)).await;
    assert!(dropped.is_err());
    let started = Instant::now();
    check(&catalogue, "ann", "select 1", &["1"]).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_sessions_own_timeout_holds() {
    let (_dir, catalogue) = with_ann().await;
    let settings = Settings::from([("statement_timeout".into(), "200ms".into())]);
    let request = rapport_catalog_postgres::Request::Simple(RUNAWAY.into());
    let refused = catalogue.relay("ann", &settings, request).await;
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
}
