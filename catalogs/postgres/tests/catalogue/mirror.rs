//! The mirror follows the lake; a dump restores it.

use rapport_catalog_postgres::{Catalogue, Column, ForeignKey, Mirrored, Relation, Settings};
use rapport_lake::TableName;
use tempfile::TempDir;

use crate::house::{VERIFIER, check, open, with_ann};

fn customers() -> Relation {
    let mut table = Relation::table(
        TableName::public("customers"),
        vec![
            Column {
                comment: Some("its number".into()),
                ..Column::new("customer_id", "bigint")
            },
            Column::new("customer_ref", "text"),
            Column {
                default: Some("now()".into()),
                ..Column::new("first_seen", "timestamp with time zone")
            },
        ],
    );
    table.primary_key = vec!["customer_id".into()];
    table.comment = Some("One row per customer".into());
    table
}

fn consents() -> Relation {
    let columns = vec![
        Column::new("customer_id", "bigint"),
        Column::new("granted", "boolean"),
    ];
    let mut table = Relation::table(TableName::new("extra", "consents"), columns);
    table.foreign_keys = vec![ForeignKey {
        columns: vec!["customer_id".into()],
        table: TableName::public("customers"),
        ref_columns: vec!["customer_id".into()],
    }];
    table
}

async fn mirror(catalogue: &Catalogue, tables: &[Relation]) {
    let tables: Vec<Mirrored> = tables
        .iter()
        .map(|relation| Mirrored {
            relation: relation.clone(),
            rows: 1000,
        })
        .collect();
    catalogue.mirror(&tables).await.expect("a mirror");
}

async fn check_mirrored(catalogue: &Catalogue, tables: &[Relation]) {
    let found = catalogue.relations().await.expect("relations");
    for wanted in tables {
        let found = found
            .iter()
            .find(|found| found.name == wanted.name)
            .expect("it is there");
        let columns = |relation: &Relation| -> Vec<_> {
            let of = |column: &Column| {
                (
                    column.name.clone(),
                    column.pg_type.clone(),
                    column.default.clone(),
                    column.comment.clone(),
                )
            };
            relation.columns.iter().map(of).collect()
        };
        assert_eq!(columns(found), columns(wanted));
        assert_eq!(found.primary_key, wanted.primary_key);
        assert_eq!(found.foreign_keys, wanted.foreign_keys);
        assert_eq!(found.comment, wanted.comment);
        assert_eq!(found.row_estimate, Some(1000));
    }
}

async fn last_transaction(catalogue: &Catalogue) -> Vec<String> {
    let reply = crate::house::ask(catalogue, "ann", "select pg_current_wal_insert_lsn()")
        .await
        .expect("a query");
    crate::house::text(&reply)
}

#[tokio::test]
async fn the_mirror_follows_the_lake_and_rests_when_nothing_changed() {
    let (_dir, catalogue) = with_ann().await;
    mirror(&catalogue, &[consents(), customers()]).await;
    check_mirrored(&catalogue, &[consents(), customers()]).await;
    let before = last_transaction(&catalogue).await;
    mirror(&catalogue, &[consents(), customers()]).await;
    assert_eq!(last_transaction(&catalogue).await, before);
    check(
        &catalogue,
        "ann",
        "select reltuples from pg_class where relname = 'customers'",
        &["1000"],
    )
    .await;

    let mut wider = customers();
    wider.columns[1].pg_type = "character varying(40)".into();
    wider.columns.push(Column::new("properties", "text"));
    mirror(&catalogue, &[consents(), wider.clone()]).await;
    check_mirrored(&catalogue, &[consents(), wider]).await;

    let mut turned = customers();
    turned.columns.swap(0, 2);
    turned.comment = None;
    mirror(&catalogue, &[turned.clone(), consents()]).await;
    check_mirrored(&catalogue, &[turned, consents()]).await;

    let mut loose = consents();
    loose.foreign_keys.clear();
    mirror(&catalogue, std::slice::from_ref(&loose)).await;
    check_mirrored(&catalogue, &[loose]).await;
    assert_eq!(catalogue.relations().await.expect("relations").len(), 1);
}

#[tokio::test]
async fn views_and_privileges_survive_a_table_that_changes() {
    let (_dir, catalogue) = with_ann().await;
    catalogue
        .create_role("bob", VERIFIER, false)
        .await
        .expect("a new role");
    mirror(&catalogue, &[customers()]).await;
    for sql in [
        "create view refs as select customer_ref from customers",
        "create view seen as select first_seen from customers",
        "create view Upper as select upper(customer_ref) as up from refs",
        "grant select on refs to bob",
        "comment on view refs is 'references'",
    ] {
        let ddl = catalogue
            .begin_ddl("ann", &Settings::new(), sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        ddl.commit().await.expect("a commit");
    }
    let mut narrower = customers();
    narrower.columns.pop();
    mirror(&catalogue, &[narrower]).await;
    let views = "select relname, pg_get_userbyid(relowner), obj_description(oid) from pg_class where relkind = 'v' and oid > 16384 order by 1";
    check(
        &catalogue,
        "ann",
        views,
        &["refs|ann|references", "upper|ann|NULL"],
    )
    .await;
    check(&catalogue, "bob", "select count(*) from refs", &["0"]).await;
}

#[tokio::test]
async fn a_dump_restores_everything_in_another_folder() {
    let (_dir, catalogue) = with_ann().await;
    catalogue
        .create_role("Bob", VERIFIER, true)
        .await
        .expect("a new role");
    mirror(&catalogue, &[consents(), customers()]).await;
    for sql in [
        "create table mine (a int primary key, b text default 'it''s \\ that', unique (b))",
        "create view v as select a from mine",
        "create view w (x) as select a + 1 from v",
        "comment on column w.x is 'one more'",
        "grant select on mine to \"Bob\" with grant option",
        "grant select (a) on v to \"Bob\"",
        "grant select on v to public",
        "create schema hers",
    ] {
        let ddl = catalogue
            .begin_ddl("ann", &Settings::new(), sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        ddl.commit().await.expect("a commit");
    }
    let dump = catalogue.dump().await.expect("a dump");

    let elsewhere = TempDir::new().expect("a temporary folder");
    let restored = open(elsewhere.path()).await;
    restored
        .create_role("leftover", VERIFIER, false)
        .await
        .expect("a new role");
    restored
        .restore(&dump)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{dump}"));
    assert_eq!(restored.dump().await.expect("a dump"), dump);
    assert_eq!(
        restored.list_roles().await.expect("roles"),
        catalogue.list_roles().await.expect("roles")
    );
    assert_eq!(
        restored
            .verifier("Bob")
            .await
            .expect("an answer")
            .as_deref(),
        Some(VERIFIER)
    );
    check(
        &restored,
        "Bob",
        "select has_table_privilege('mine', 'select with grant option')",
        &["t"],
    )
    .await;
    // And over itself.
    restored.restore(&dump).await.expect("a restore");
    assert_eq!(restored.dump().await.expect("a dump"), dump);
}

#[tokio::test]
async fn of_a_bad_dump_nothing_is_taken() {
    let (_dir, catalogue) = with_ann().await;
    assert!(
        catalogue
            .restore("create table public.t (a int); nonsense;")
            .await
            .is_err()
    );
    assert_eq!(catalogue.list_roles().await.expect("roles").len(), 1);
}
