use super::*;

async fn with_files() -> House {
    let house = House::new().await;
    house.create("CREATE TABLE t (id bigint, name text, price numeric(10,2), at timestamp with time zone)").await;
    for first in [1, 11, 21] {
        house
            .run(&format!(
                "INSERT INTO t SELECT v, 'n' || v, v * 1.5, TIMESTAMPTZ '2024-01-01 00:00:00+00' FROM generate_series({first}, {}) AS g (v)",
                first + 9
            ))
            .await;
    }
    house
}

async fn files(house: &House) -> usize {
    let table = house
        .warehouse
        .lake()
        .table(&TableName::public("t"))
        .await
        .expect("it is there");
    table
        .snapshot()
        .await
        .expect("it has a version")
        .files()
        .len()
}

#[tokio::test]
async fn an_update_changes_what_it_matches_and_nothing_else() {
    let house = with_files().await;
    assert_eq!(
        house
            .run("UPDATE t SET name = upper(name), price = 1 WHERE id BETWEEN 9 AND 12")
            .await,
        "UPDATE 4"
    );
    assert_eq!(
        house
            .ask("SELECT id, name, price FROM t WHERE id BETWEEN 8 AND 13 ORDER BY id")
            .await,
        [
            "8|n8|12.00",
            "9|N9|1.00",
            "10|N10|1.00",
            "11|N11|1.00",
            "12|N12|1.00",
            "13|n13|19.50"
        ]
    );
    assert_eq!(
        house.ask("SELECT count(*), sum(id) FROM t").await,
        ["30|465"]
    );
    assert_eq!(house.run("UPDATE t SET name = NULL").await, "UPDATE 30");
    assert_eq!(
        house.run("UPDATE t SET name = 'x' WHERE id > 1000").await,
        "UPDATE 0"
    );
    assert_eq!(
        house.ask("SELECT count(name), count(*) FROM t").await,
        ["0|30"]
    );
}

#[tokio::test]
async fn an_update_may_use_subqueries_and_an_alias() {
    let house = with_files().await;
    let sql = "UPDATE t AS x SET price = (SELECT max(price) FROM t) WHERE x.id IN (SELECT id FROM t WHERE price < 3)";
    assert_eq!(house.run(sql).await, "UPDATE 1");
    assert_eq!(
        house.ask("SELECT price FROM t WHERE id = 1").await,
        ["45.00"]
    );
}

#[tokio::test]
async fn a_delete_removes_what_it_matches() {
    let house = with_files().await;
    assert_eq!(house.run("DELETE FROM t WHERE id <= 15").await, "DELETE 15");
    assert_eq!(files(&house).await, 2);
    assert_eq!(
        house.ask("SELECT min(id), count(*) FROM t").await,
        ["16|15"]
    );
    assert_eq!(
        house.run("DELETE FROM t WHERE name = NULL").await,
        "DELETE 0"
    );
    assert_eq!(house.run("DELETE FROM t").await, "DELETE 15");
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn changes_take_parameters() {
    let house = with_files().await;
    let mut session = house.session();
    let statement = session
        .parse("UPDATE t SET name = $2 WHERE id = $1")
        .expect("it parses")
        .remove(0);
    let prepared = session
        .prepare(&statement, &[])
        .await
        .expect("it is planned");
    assert_eq!(prepared.params, [20, 25]);
    let values = vec![ScalarValue::from(3_i64), ScalarValue::from("three")];
    match session.execute(&prepared, values).await.expect("it runs") {
        Outcome::Done { tag, .. } => assert_eq!(tag, "UPDATE 1"),
        _ => panic!("no rows"),
    }
    assert_eq!(
        house.ask("SELECT name FROM t WHERE id = 3").await,
        ["three"]
    );
    assert_eq!(
        ask_with(
            &mut session,
            "DELETE FROM t WHERE id = $1",
            vec![ScalarValue::from(3_i64)]
        )
        .await
        .expect("it runs"),
        ["DELETE 1"]
    );
}

#[tokio::test]
async fn what_a_change_may_not_hold_is_refused() {
    let house = with_files().await;
    let error = house.error("UPDATE t SET nothing = 1").await;
    assert!(matches!(&error, Error::UndefinedColumn { .. }), "{error:?}");
    let error = house.error("UPDATE t SET id = 1, id = 2").await;
    assert!(matches!(&error, Error::Syntax { .. }), "{error:?}");
    let error = house
        .error("UPDATE t SET price = 123456789.12 WHERE id = 1")
        .await;
    assert!(matches!(&error, Error::OutOfRange { .. }), "{error:?}");
    let error = house
        .error("UPDATE t SET price = 1 FROM t WHERE t.id = 1")
        .await;
    assert!(matches!(&error, Error::DuplicateAlias { .. }), "{error:?}");
    assert_eq!(
        house.ask("SELECT count(*), sum(id) FROM t").await,
        ["30|465"]
    );
}

#[tokio::test]
async fn truncate_empties() {
    let house = with_files().await;
    assert_eq!(house.run("TRUNCATE TABLE t").await, "TRUNCATE TABLE");
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn the_history_only_grows() {
    let house = House::with_history().await;
    for sql in [
        "UPDATE interactions SET channel = 'x'",
        "DELETE FROM interactions",
        "TRUNCATE interactions",
    ] {
        let error = house.error(sql).await;
        assert!(
            matches!(&error, Error::NotSupported { hint: Some(_), .. }),
            "{sql}: {error:?}"
        );
    }
}

#[tokio::test]
async fn two_updates_at_once_lose_nothing() {
    let house = with_files().await;
    let (mut one, mut two) = (house.session(), house.session());
    let (first, second) = tokio::join!(
        run(&mut one, "UPDATE t SET name = 'one' WHERE id = 1"),
        run(&mut two, "UPDATE t SET name = 'two' WHERE id = 2"),
    );
    assert_eq!(
        (first.expect("it is done"), second.expect("it is done")),
        ("UPDATE 1".into(), "UPDATE 1".into())
    );
    assert_eq!(
        house
            .ask("SELECT name FROM t WHERE id < 3 ORDER BY id")
            .await,
        ["one", "two"]
    );
}

#[tokio::test]
async fn compaction_keeps_the_rows_and_their_order() {
    let house = House::with_history().await;
    for part in 0..6 {
        house
            .run(&format!(
                "INSERT INTO interactions (interaction_id, source, customer_id, occurred_at, received_at, channel, interaction_type, amount)
                 SELECT ('00000000-0000-4000-8000-' || lpad(({part} * 1000 + v)::text, 12, '0'))::uuid, 's', v % 97, \
                 TIMESTAMPTZ '2024-01-01 00:00:00+00', now(), 'web', 'view', v FROM generate_series(1, 1000) AS g (v)"
            ))
            .await;
    }
    let name = TableName::public("interactions");
    let before = house
        .ask("SELECT count(*), sum(amount), count(DISTINCT interaction_id) FROM interactions")
        .await;
    let policy = rapport_lake::compact::Policy::default();
    let later = chrono::Utc::now() + chrono::Duration::days(40);
    let done = house
        .warehouse
        .compact(&name, &policy, later, &|_| {})
        .await
        .expect("it folds");
    assert!(
        done.files_before >= 4 && done.files_after < done.files_before,
        "{done:?}"
    );
    assert_eq!(
        house
            .ask("SELECT count(*), sum(amount), count(DISTINCT interaction_id) FROM interactions")
            .await,
        before
    );
    let plan = house
        .ask("EXPLAIN SELECT customer_id FROM interactions ORDER BY customer_id")
        .await
        .join("\n");
    assert!(!plan.contains("SortExec"), "{plan}");
}
