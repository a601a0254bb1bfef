//! Definitions, judged by PostgreSQL.

use rapport_catalog_postgres::{Catalogue, Change, Column, Ddl, Error, ForeignKey, Settings};
use rapport_lake::TableName;

use crate::house::{check, with_ann};

async fn begin(catalogue: &Catalogue, sql: &str) -> Result<Ddl, Error> {
    catalogue.begin_ddl("ann", &Settings::new(), sql).await
}

async fn define(catalogue: &Catalogue, sql: &str) {
    let ddl = begin(catalogue, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    ddl.commit()
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn check_code(catalogue: &Catalogue, sql: &str, code: &str) {
    let refused = begin(catalogue, sql).await.map(drop).expect_err(sql);
    let found = if let Error::NotSupported(_) = refused {
        Some("0A000")
    } else {
        refused.code()
    };
    assert_eq!(found, Some(code), "{sql}: {refused}");
}

#[tokio::test]
async fn a_new_table_is_described_whole() {
    let (_dir, catalogue) = with_ann().await;
    define(&catalogue, "create table a (id bigint primary key)").await;
    let sql = "create table b (
        x numeric(18,2) default 1.5, y timestamptz not null default now(), z text[], u varchar(20), id bigint references a,
        primary key (y, x), unique (u))";
    let ddl = begin(&catalogue, sql).await.expect("a table");
    assert_eq!(ddl.tag(), "CREATE TABLE");
    let relation = ddl.relation().expect("one table");
    assert_eq!(
        (relation.name.clone(), relation.owner.as_str()),
        (TableName::public("b"), "ann")
    );
    let types: Vec<&str> = relation
        .columns
        .iter()
        .map(|column| column.pg_type.as_str())
        .collect();
    assert_eq!(
        types,
        [
            "numeric(18,2)",
            "timestamp with time zone",
            "text[]",
            "character varying(20)",
            "bigint"
        ]
    );
    let x = Column {
        type_oid: 1700,
        type_modifier: 1_179_654,
        not_null: true,
        default: Some("1.5".into()),
        ..Column::new("x", "numeric(18,2)")
    };
    assert_eq!(relation.columns[0], x);
    assert_eq!(relation.primary_key, ["y", "x"]);
    assert_eq!(relation.unique, [["u"]]);
    let key = ForeignKey {
        columns: vec!["id".into()],
        table: TableName::public("a"),
        ref_columns: vec!["id".into()],
    };
    assert_eq!(relation.foreign_keys, [key]);
    ddl.rollback().await.expect("a rollback");
    assert_eq!(
        catalogue
            .relation(&TableName::public("b"))
            .await
            .expect("an answer"),
        None
    );
}

#[tokio::test]
async fn what_a_definition_changes_is_told() {
    let (_dir, catalogue) = with_ann().await;
    define(&catalogue, "create table a (id bigint primary key, t text)").await;
    let ddl = begin(
        &catalogue,
        "create view v as select id, upper(t) as up from a where id > 0",
    )
    .await
    .expect("a view");
    let view = ddl.relation().expect("one view");
    let query = view.query.as_deref().expect("a view has a query");
    assert!(
        query.contains("public.a") && !query.ends_with(';'),
        "{query}"
    );
    ddl.commit().await.expect("a commit");

    let ddl = begin(&catalogue, "comment on column a.t is 'it''s text'")
        .await
        .expect("a comment");
    let Some(Change::Altered { before, after }) = ddl.changes().first() else {
        panic!("{:?}", ddl.changes())
    };
    assert_eq!(before.columns[1].comment, None);
    assert_eq!(after.columns[1].comment.as_deref(), Some("it's text"));
    ddl.commit().await.expect("a commit");

    let ddl = begin(&catalogue, "comment on column a.t is null")
        .await
        .expect("a comment");
    assert_eq!(ddl.changes().len(), 1);
    ddl.rollback().await.expect("a rollback");

    let ddl = begin(&catalogue, "alter table a add column n numeric(18,4)")
        .await
        .expect("a column");
    assert_eq!(ddl.relation().expect("a table").columns.len(), 3);
    ddl.rollback().await.expect("a rollback");

    check_code(&catalogue, "drop table a", "2BP01").await;
    let ddl = begin(&catalogue, "drop table a cascade")
        .await
        .expect("it goes");
    let dropped: Vec<_> = ddl.dropped().map(ToString::to_string).collect();
    assert_eq!(dropped, ["public.a", "public.v"]);
    assert_eq!(ddl.notices().len(), 1);
    ddl.commit().await.expect("a commit");
    assert!(catalogue.relations().await.expect("an answer").is_empty());
}

#[tokio::test]
async fn what_the_lake_can_not_follow_is_refused() {
    let (_dir, catalogue) = with_ann().await;
    for sql in [
        "create table t (id serial)",
        "create table t (id int generated always as identity)",
        "create table t (a int, b int generated always as (a + 1) stored)",
        "create table t (a int check (a > 0))",
        "create table t (a int) partition by range (a)",
        "create unlogged table t (a int)",
        "create table t as select 1",
        "create function f() returns void language plpgsql as 'begin reset session authorization; end'",
        "create index on pg_class (relname)",
        "select 1",
    ] {
        check_code(&catalogue, sql, "0A000").await;
    }
    check_code(&catalogue, "create table t (a int); drop table t", "42601").await;
    check_code(&catalogue, "create temp table t (a int)", "0A000").await;
    check(
        &catalogue,
        "ann",
        "select count(*) from pg_class where relname in ('t', 't_id_seq')",
        &["0"],
    )
    .await;
}

#[tokio::test]
async fn a_role_defines_its_own_and_no_more() {
    let (_dir, catalogue) = with_ann().await;
    let ddl = catalogue
        .begin_ddl(
            Catalogue::OWNER,
            &Settings::new(),
            "create table ours (a int primary key)",
        )
        .await;
    ddl.expect("a table").commit().await.expect("a commit");
    check_code(&catalogue, "drop table ours", "42501").await;
    check_code(&catalogue, "alter table ours add column b int", "42501").await;
    check_code(&catalogue, "comment on table ours is 'mine'", "42501").await;
    check_code(&catalogue, "create role bob superuser", "42501").await;
    check_code(&catalogue, "alter role ann superuser", "42501").await;
    check_code(
        &catalogue,
        "grant execute on function pg_read_file(text) to ann",
        "42501",
    )
    .await;
    define(&catalogue, "create table mine (a int references ours)").await;
    define(&catalogue, "create schema hers").await;
    define(&catalogue, "create table hers.t (a int)").await;
    check(&catalogue, "ann", "select count(*) from ours", &["0"]).await;
}
