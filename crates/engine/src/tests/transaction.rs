use super::*;

async fn with_tables() -> House {
    let house = House::new().await;
    house
        .create("CREATE TABLE t (a bigint); CREATE TABLE u (a bigint)")
        .await;
    house.run("INSERT INTO t VALUES (1)").await;
    house
}

#[tokio::test]
async fn a_block_sees_one_state() {
    let house = with_tables().await;
    let mut session = house.session();
    session.begin().expect("it begins");
    assert_eq!(
        ask(&mut session, "SELECT count(*) FROM t")
            .await
            .expect("it reads"),
        ["1"]
    );
    house.run("INSERT INTO t VALUES (2)").await;
    house.run("INSERT INTO u VALUES (3)").await;
    assert_eq!(
        ask(&mut session, "SELECT count(*) FROM t")
            .await
            .expect("it reads"),
        ["1"]
    );
    assert_eq!(
        ask(&mut session, "SELECT count(*) FROM u")
            .await
            .expect("it reads"),
        ["0"]
    );
    session.commit().await.expect("it commits");
    assert_eq!(
        ask(&mut session, "SELECT count(*) FROM t")
            .await
            .expect("it reads"),
        ["2"]
    );
    assert_eq!(
        ask(&mut session, "SELECT count(*) FROM u")
            .await
            .expect("it reads"),
        ["1"]
    );
}

#[tokio::test]
async fn what_a_block_writes_is_its_own_until_it_commits() {
    let house = with_tables().await;
    let mut session = house.session();
    session.begin().expect("it begins");
    assert_eq!(
        run(&mut session, "INSERT INTO t VALUES (2), (3)")
            .await
            .expect("it is staged"),
        "INSERT 0 2"
    );
    assert_eq!(
        run(&mut session, "INSERT INTO t SELECT a + 10 FROM t")
            .await
            .expect("it is staged"),
        "INSERT 0 3"
    );
    assert_eq!(
        ask(&mut session, "SELECT sum(a), count(*) FROM t")
            .await
            .expect("it reads"),
        ["42|6"]
    );
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["1"]);
    session.commit().await.expect("it commits");
    assert_eq!(house.ask("SELECT sum(a), count(*) FROM t").await, ["42|6"]);
}

#[tokio::test]
async fn what_is_rolled_back_never_was() {
    let house = with_tables().await;
    let mut session = house.session();
    session.begin().expect("it begins");
    run(&mut session, "INSERT INTO t VALUES (2)")
        .await
        .expect("it is staged");
    session.rollback().await;
    assert_eq!(
        ask(&mut session, "SELECT count(*) FROM t")
            .await
            .expect("it reads"),
        ["1"]
    );
}

#[tokio::test]
async fn a_block_changes_several_tables_at_once() {
    let house = with_tables().await;
    let mut session = house.session();
    session.begin().expect("it begins");
    assert!(matches!(
        session.begin(),
        Err(Error::ActiveTransaction { .. })
    ));
    for (sql, tag) in [
        ("INSERT INTO t VALUES (2)", "INSERT 0 1"),
        ("INSERT INTO u VALUES (1), (2), (3)", "INSERT 0 3"),
        ("UPDATE t SET a = a + 10", "UPDATE 2"),
        ("DELETE FROM u WHERE a = 2", "DELETE 1"),
    ] {
        let answered = run(&mut session, sql).await.expect("it is staged");
        assert_eq!(answered, tag, "{sql}");
    }
    let sums = "SELECT (SELECT sum(a) FROM t), (SELECT sum(a) FROM u)";
    let own = ask(&mut session, sums).await.expect("it reads");
    assert_eq!(own, ["23|4"]);
    assert_eq!(house.ask(sums).await, ["1|NULL"]);
    session.commit().await.expect("it commits");
    assert_eq!(house.ask(sums).await, ["23|4"]);
}

#[tokio::test]
async fn a_prepared_statement_sees_what_has_come_since() {
    let house = with_tables().await;
    let mut session = house.session();
    let statement = session
        .parse("SELECT count(*) FROM t")
        .expect("it parses")
        .remove(0);
    let prepared = session
        .prepare(&statement, &[])
        .await
        .expect("it is planned");
    house.run("INSERT INTO t VALUES (2)").await;
    for _ in 0..2 {
        match session.execute(&prepared, vec![]).await.expect("it runs") {
            Outcome::Rows { stream, .. } => {
                let batches: Vec<RecordBatch> = stream.try_collect().await.expect("it runs");
                assert_eq!(batches.iter().flat_map(lines).collect::<Vec<_>>(), ["2"]);
            }
            _ => panic!("rows"),
        }
    }
}

#[tokio::test]
async fn a_fenced_block_lands_only_before_the_next_fence() {
    let house = with_tables().await;
    let name = TableName::public("t");
    let table = house.warehouse.lake().table(&name).await.expect("a table");
    table.fence("job", 1).await.expect("a fence");
    let replace = async |token: i64, value: i64| {
        let mut session = house.session();
        session.begin().expect("it begins");
        for sql in [
            format!("INSERT INTO u VALUES ({value})"),
            "DELETE FROM t".to_owned(),
            format!("INSERT INTO t VALUES ({value})"),
        ] {
            run(&mut session, &sql).await.expect("it is staged");
        }
        session.fence(&name, "job", token).await.expect("a block");
        session.commit().await
    };
    replace(1, 2).await.expect("it lands");
    table.fence("job", 2).await.expect("a fence");
    let refused = replace(1, 3).await;
    assert!(
        matches!(
            refused,
            Err(Error::Lake(rapport_lake::Error::Fenced { token: 1, .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(house.ask("SELECT a FROM t").await, ["2"]);
    assert_eq!(house.ask("SELECT a FROM u").await, ["2"]);
}
