//! A client's queries: simple, extended, described, as psql sends them.

use bytes::Bytes;
use rapport_catalog_postgres::{Request, Settings};

use crate::house::{ask, check, check_refused, text, with_ann};

#[tokio::test]
async fn a_query_runs_as_its_role_in_the_database_rapport() {
    let (_dir, catalogue) = with_ann().await;
    check(
        &catalogue,
        "ann",
        "select current_user, session_user, current_database()",
        &["ann|ann|rapport"],
    )
    .await;
    check(
        &catalogue,
        "ann",
        "select version() like 'PostgreSQL 17.5 %', current_setting('is_superuser')",
        &["t|off"],
    )
    .await;
}

#[tokio::test]
async fn settings_of_the_session_hold_for_its_query_only() {
    let (_dir, catalogue) = with_ann().await;
    let settings = Settings::from([
        ("TimeZone".into(), "Europe/Prague".into()),
        ("DateStyle".into(), "German, DMY".into()),
        ("search_path".into(), "\"$user\", pg_catalog".into()),
        ("application_name".into(), "it's".into()),
    ]);
    let sql = "select '2026-07-01 12:00+00'::timestamptz, current_setting('search_path'), current_setting('application_name')";
    let reply = catalogue
        .relay("ann", &settings, Request::Simple(sql.into()))
        .await
        .expect("a query");
    assert_eq!(
        text(&reply),
        ["01.07.2026 14:00:00 CEST|\"$user\", pg_catalog|it's"]
    );
    check(
        &catalogue,
        "ann",
        "show search_path",
        &["\"$user\", public"],
    )
    .await;
    check(&catalogue, "ann", "show timezone", &["UTC"]).await;
}

#[tokio::test]
async fn a_setting_is_judged_by_postgresql() {
    let (_dir, catalogue) = with_ann().await;
    let none = Settings::new();
    let judged = catalogue
        .judge_setting("ann", &none, "datestyle", Some("german"))
        .await;
    assert_eq!(judged.expect("a good value"), "German, DMY");
    let judged = catalogue
        .judge_setting("ann", &none, "work_mem", Some("lots"))
        .await;
    assert_eq!(judged.expect_err("no number").code(), Some("22023"));
    let judged = catalogue
        .judge_setting("ann", &none, "colour", Some("red"))
        .await;
    assert_eq!(judged.expect_err("no such setting").code(), Some("42704"));
    let judged = catalogue
        .judge_setting("ann", &none, "log_statement", Some("all"))
        .await;
    assert_eq!(judged.expect_err("a superuser's").code(), Some("42501"));
}

#[tokio::test]
async fn an_extended_query_takes_parameters_and_answers_in_binary() {
    let (_dir, catalogue) = with_ann().await;
    let request = Request::Extended {
        sql: "select $1::int4 + 1 as n, $2::text as t, null as nothing".into(),
        param_types: vec![0, 0],
        params: vec![
            Some(Bytes::from_static(&[0, 0, 0, 41])),
            Some(Bytes::from_static(b"x")),
        ],
        param_formats: vec![1, 0],
        result_formats: vec![1],
    };
    let reply = catalogue
        .relay("ann", &Settings::new(), request)
        .await
        .expect("a query");
    let fields = reply.fields.expect("a query has columns");
    let described: Vec<_> = fields
        .iter()
        .map(|field| (field.name.as_str(), field.type_oid, field.format))
        .collect();
    assert_eq!(described, [("n", 23, 1), ("t", 25, 1), ("nothing", 25, 1)]);
    assert_eq!(reply.param_types, [23, 25]);
    assert_eq!(
        reply.rows[0].as_ref(),
        b"\0\x03\0\0\0\x04\0\0\0\x2a\0\0\0\x01x\xff\xff\xff\xff"
    );
    assert_eq!(reply.tag, "SELECT 1");
}

#[tokio::test]
async fn a_described_query_is_not_run() {
    let (_dir, catalogue) = with_ann().await;
    let sql = "select relname, 1 / $1 from pg_class where oid = $2".into();
    let request = Request::Describe {
        sql,
        param_types: vec![20],
    };
    let reply = catalogue
        .relay("ann", &Settings::new(), request)
        .await
        .expect("a query");
    assert_eq!(reply.param_types, [20, 26]);
    assert_eq!(reply.fields.expect("columns").len(), 2);
    assert!(reply.rows.is_empty());
}

#[tokio::test]
async fn parameters_of_a_change_are_told() {
    let (_dir, catalogue) = with_ann().await;
    let sql = "insert into pg_class (relname, relnatts) values ($1, $2)".into();
    let request = Request::DescribeAny {
        sql,
        param_types: vec![],
    };
    let reply = catalogue
        .relay("ann", &Settings::new(), request)
        .await
        .expect("a change");
    assert_eq!(reply.param_types, [19, 21]);
}

#[tokio::test]
async fn an_error_is_postgresqls_own() {
    let (_dir, catalogue) = with_ann().await;
    let error = ask(&catalogue, "ann", "select relnam from pg_class")
        .await
        .expect_err("no such column");
    let rapport_catalog_postgres::Error::Postgres(fields) = error else {
        panic!("not PostgreSQL's")
    };
    assert_eq!(
        (
            fields.code.as_str(),
            fields.position,
            fields.severity.as_str()
        ),
        ("42703", Some(8), "ERROR")
    );
    assert_eq!(
        fields.hint.as_deref(),
        Some(
            "Perhaps you meant to reference the column \"pg_class.relname\" or the column \"pg_class.relam\"."
        )
    );
    check_refused(&catalogue, "ann", "selec 1", "42601").await;
    check(&catalogue, "ann", "select 1", &["1"]).await;
}

#[tokio::test]
async fn more_rows_than_fit_into_one_portion_all_arrive() {
    let (_dir, catalogue) = with_ann().await;
    let reply = ask(
        &catalogue,
        "ann",
        "select g from generate_series(1, 12001) g",
    )
    .await
    .expect("a query");
    assert_eq!(
        (reply.rows.len(), reply.tag.as_str()),
        (12_001, "SELECT 12001")
    );
    assert_eq!(text(&reply).last().map(String::as_str), Some("12001"));
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let (_dir, catalogue) = with_ann().await;
    let error = ask(
        &catalogue,
        "ann",
        "select repeat('x', 1000) from generate_series(1, 1000000)",
    )
    .await;
    assert!(matches!(
        error,
        Err(rapport_catalog_postgres::Error::TooLarge { .. })
    ));
    check(&catalogue, "ann", "select 1", &["1"]).await;
}

#[tokio::test]
async fn what_psql_asks_is_answered() {
    let (_dir, catalogue) = with_ann().await;
    let sql = "SELECT d.datname as \"Name\",\n       d.daticulocale as \"ICU Locale\"\nFROM pg_catalog.pg_database d\nORDER BY 1;";
    check(
        &catalogue,
        "ann",
        sql,
        &["rapport|NULL", "template0|NULL", "template1|NULL"],
    )
    .await;
    let sql = "SELECT c.collname,\n       c.colliculocale AS \"ICU Locale\"\nFROM pg_catalog.pg_collation c WHERE collname = 'C'";
    check(&catalogue, "ann", sql, &["C|NULL"]).await;
    let sql = "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname OPERATOR(pg_catalog.~) '^(pg_class)$' COLLATE pg_catalog.default
          AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3";
    check(&catalogue, "ann", sql, &["1259|pg_catalog|pg_class"]).await;
}
