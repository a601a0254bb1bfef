use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};

use super::*;
use crate::{CopyKind, oid};

async fn with_table() -> House {
    let house = House::new().await;
    house
        .create(
            "CREATE TABLE t (id bigint NOT NULL, name varchar(5), n integer DEFAULT 7, price numeric(5,2), \
             at timestamp with time zone DEFAULT now(), tag uuid, list integer[], span interval)",
        )
        .await;
    house
}

#[tokio::test]
async fn an_insert_may_name_columns_and_leave_out_others() {
    let house = with_table().await;
    assert_eq!(
        house
            .run("INSERT INTO t (name, id) VALUES ('a', 1), ('b', 2)")
            .await,
        "INSERT 0 2"
    );
    assert_eq!(
        house
            .run("INSERT INTO t (id, n, name) VALUES (3, DEFAULT, DEFAULT)")
            .await,
        "INSERT 0 1"
    );
    assert_eq!(house.run("INSERT INTO t VALUES (4)").await, "INSERT 0 1");
    assert_eq!(
        house
            .ask("SELECT id, name, n, at IS NOT NULL FROM t ORDER BY id")
            .await,
        ["1|a|7|true", "2|b|7|true", "3|NULL|7|true", "4|NULL|7|true"]
    );
}

#[tokio::test]
async fn an_insert_may_come_from_a_query() {
    let house = with_table().await;
    house.run("INSERT INTO t (id, name) VALUES (1, 'a')").await;
    assert_eq!(
        house
            .run("INSERT INTO t (id, name) SELECT id + 1, name || 'x' FROM t")
            .await,
        "INSERT 0 1"
    );
    assert_eq!(
        house
            .run("INSERT INTO t (id) SELECT v FROM generate_series(10, 19) AS g (v)")
            .await,
        "INSERT 0 10"
    );
    assert_eq!(
        house.ask("SELECT count(*), max(id) FROM t").await,
        ["12|19"]
    );
}

#[tokio::test]
async fn values_are_judged_by_the_columns_type() {
    let house = with_table().await;
    let error = house.error("INSERT INTO t (name) VALUES ('a')").await;
    assert!(
        matches!(&error, Error::NotNull { column, .. } if column == "id"),
        "{error:?}"
    );
    let error = house
        .error("INSERT INTO t (id, name) VALUES (1, 'abcdef')")
        .await;
    assert!(
        matches!(&error, Error::TooLong { pg_type } if pg_type == "character varying(5)"),
        "{error:?}"
    );
    let error = house.error("INSERT INTO t (id) VALUES ('abc')").await;
    assert!(matches!(&error, Error::InvalidText { .. }), "{error:?}");
    let error = house
        .error("INSERT INTO t (id, n) VALUES (1, 3000000000)")
        .await;
    assert!(matches!(&error, Error::OutOfRange { .. }), "{error:?}");
    let error = house
        .error("INSERT INTO t (id, price) VALUES (1, 12345.67)")
        .await;
    assert!(matches!(&error, Error::OutOfRange { .. }), "{error:?}");
    let error = house
        .error("INSERT INTO t (id, tag) VALUES (1, 'abc')")
        .await;
    assert!(matches!(&error, Error::InvalidText { .. }), "{error:?}");
    let error = house
        .error("INSERT INTO t (id, nothing) VALUES (1, 2)")
        .await;
    assert!(matches!(&error, Error::UndefinedColumn { .. }), "{error:?}");
    let error = house.error("INSERT INTO t (id, id) VALUES (1, 2)").await;
    assert!(matches!(&error, Error::DuplicateColumn { .. }), "{error:?}");
    let error = house.error("INSERT INTO nowhere VALUES (1)").await;
    assert!(matches!(&error, Error::UndefinedTable { .. }), "{error:?}");
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn lists_and_intervals_are_kept() {
    let house = with_table().await;
    house
        .run("INSERT INTO t (id, list, span) VALUES (1, ARRAY[1, 2], '1 day 2 hours')")
        .await;
    assert_eq!(
        house.ask("SELECT list, span::text FROM t").await,
        ["[1, 2]|1 day 02:00:00"]
    );
    let columns = house.columns("SELECT list, span FROM t").await;
    assert_eq!(
        (columns[0].pg_type, columns[1].pg_type),
        (1007, oid::INTERVAL)
    );
}

#[tokio::test]
async fn parameters_of_an_insert_have_the_columns_types() {
    let house = with_table().await;
    let session = house.session();
    let statement = session
        .parse("INSERT INTO t (id, name, tag, at) VALUES ($1, $2, $3, $4)")
        .expect("it parses");
    let prepared = session
        .prepare(&statement[0], &[])
        .await
        .expect("it is planned");
    assert_eq!(
        prepared.params,
        [oid::INT8, oid::VARCHAR, oid::UUID, oid::TIMESTAMPTZ]
    );
}

fn numbers(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[tokio::test]
async fn copy_takes_text_and_typed_columns_and_commits_once() {
    let house = with_table().await;
    let mut copy = house
        .copy("COPY t (id, name) FROM STDIN (FORMAT csv, HEADER)")
        .await;
    assert_eq!(copy.format().kind, CopyKind::Csv);
    assert_eq!(
        copy.columns()
            .iter()
            .map(|column| column.pg_type)
            .collect::<Vec<_>>(),
        [oid::INT8, oid::VARCHAR]
    );
    let schema = copy.text_schema();
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![numbers(&["1", " 2"]), numbers(&["a", "b"])],
    );
    copy.push(batch.expect("two columns"))
        .await
        .expect("it takes text");
    let typed = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![3])) as ArrayRef),
        ("name", numbers(&["c"])),
    ]);
    copy.push(typed.expect("two columns"))
        .await
        .expect("it takes types");
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["0"]);
    assert_eq!(copy.finish().await.expect("it commits"), 3);
    assert_eq!(
        house.ask("SELECT id, name, n FROM t ORDER BY id").await,
        ["1|a|7", "2|b|7", "3|c|7"]
    );
}

#[tokio::test]
async fn a_copy_that_is_given_up_leaves_nothing() {
    let house = with_table().await;
    let batch = |copy: &CopyIn| {
        RecordBatch::try_new(copy.text_schema(), vec![numbers(&["1"])]).expect("one column")
    };
    let mut copy = house.copy("COPY t (id) FROM STDIN").await;
    copy.push(batch(&copy)).await.expect("it takes text");
    copy.abort().await;
    let mut copy = house.copy("COPY t (id) FROM STDIN").await;
    copy.push(batch(&copy)).await.expect("it takes text");
    drop(copy);
    let mut copy = house.copy("COPY t (id) FROM STDIN").await;
    let bad = RecordBatch::try_new(copy.text_schema(), vec![numbers(&["x"])]).expect("one column");
    assert!(matches!(
        copy.push(bad).await,
        Err(Error::InvalidText { .. })
    ));
    copy.abort().await;
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn copy_out_is_a_query() {
    let house = with_table().await;
    house.run("INSERT INTO t (id, name) VALUES (1, 'a')").await;
    assert_eq!(house.ask("COPY t (name, id) TO STDOUT").await, ["a|1"]);
    assert_eq!(
        house
            .ask("COPY (SELECT id + 1 FROM t) TO STDOUT (FORMAT binary)")
            .await,
        ["2"]
    );
}

#[tokio::test]
async fn a_history_that_arrives_unsorted_is_kept_sorted() {
    let house = House::with_history().await;
    let mut copy = house.copy("COPY interactions (interaction_id, source, customer_id, occurred_at, received_at, channel, interaction_type) FROM STDIN").await;
    let text = |values: Vec<String>| Arc::new(StringArray::from(values)) as ArrayRef;
    for part in 0..3 {
        let rows = 0..2000;
        let all = |value: &str| text(rows.clone().map(|_| value.to_owned()).collect());
        let batch = RecordBatch::try_new(
            copy.text_schema(),
            vec![
                text(
                    rows.clone()
                        .map(|row| format!("00000000-0000-4000-8000-{:012}", row + part * 2000))
                        .collect(),
                ),
                all("s"),
                text(
                    rows.clone()
                        .map(|row| ((row * 7919 + part) % 501).to_string())
                        .collect(),
                ),
                text(
                    rows.clone()
                        .map(|row| format!("2024-01-01 00:{:02}:00+00", row % 60))
                        .collect(),
                ),
                all("2024-01-02 00:00:00Z"),
                all("web"),
                all("view"),
            ],
        );
        copy.push(batch.expect("it fits"))
            .await
            .expect("it takes text");
    }
    assert_eq!(copy.finish().await.expect("it commits"), 6000);
    assert_eq!(
        house
            .ask("SELECT count(*), count(DISTINCT interaction_id) FROM interactions")
            .await,
        ["6000|6000"]
    );
}
