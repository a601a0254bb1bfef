use super::*;
use crate::oid;

async fn with_pets() -> House {
    let house = House::new().await;
    house
        .create(
            "CREATE TABLE pets (id bigint NOT NULL, name varchar(20), tag uuid, born timestamp with time zone, \
             seen timestamp without time zone, price numeric(18,2), props jsonb, good boolean, day date)",
        )
        .await;
    house
        .run(
            "INSERT INTO pets VALUES
             (1, 'Rex', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '2024-01-02 03:04:05+00', '2024-01-02 03:04:05', 10.50, \
              '{\"b\":1,\"a\":2}', true, '2024-01-02'),
             (2, 'Tom', NULL, NULL, NULL, 7, NULL, false, NULL)",
        )
        .await;
    house
}

#[tokio::test]
async fn what_is_inserted_is_read_back() {
    let house = with_pets().await;
    assert_eq!(
        house.ask("SELECT * FROM pets ORDER BY id").await,
        [
            "1|Rex|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|2024-01-02T03:04:05Z|2024-01-02T03:04:05|10.50|\
             {\"a\": 2, \"b\": 1}|true|2024-01-02",
            "2|Tom|NULL|NULL|NULL|7.00|NULL|false|NULL"
        ]
    );
}

#[tokio::test]
async fn columns_keep_the_types_that_they_were_created_with() {
    let house = with_pets().await;
    let columns = house.columns("SELECT p.*, count(*) OVER (), row_number() OVER (ORDER BY id), NULL, 1.5, 'x' FROM pets p").await;
    let types: Vec<(u32, i32)> = columns
        .iter()
        .map(|column| (column.pg_type, column.typmod))
        .collect();
    assert_eq!(
        types,
        [
            (oid::INT8, -1),
            (oid::VARCHAR, 24),
            (oid::UUID, -1),
            (oid::TIMESTAMPTZ, -1),
            (oid::TIMESTAMP, -1),
            (oid::NUMERIC, 1_179_654),
            (oid::JSONB, -1),
            (oid::BOOL, -1),
            (oid::DATE, -1),
            (oid::INT8, -1),
            (oid::INT8, -1),
            (oid::TEXT, -1),
            (oid::NUMERIC, -1),
            (oid::TEXT, -1),
        ]
    );
}

#[tokio::test]
async fn a_type_survives_subqueries_joins_and_unions() {
    let house = with_pets().await;
    for sql in [
        "SELECT tag FROM (SELECT * FROM pets) AS p",
        "SELECT a.tag FROM pets a JOIN pets b ON a.id = b.id",
        "WITH p AS (SELECT tag AS t FROM pets) SELECT t FROM p",
        "SELECT tag FROM pets GROUP BY tag",
    ] {
        assert_eq!(house.columns(sql).await[0].pg_type, oid::UUID, "{sql}");
    }
    for sql in [
        "SELECT upper(name) FROM pets",
        "SELECT name || 'x' FROM pets",
    ] {
        assert_eq!(house.columns(sql).await[0].pg_type, oid::TEXT, "{sql}");
    }
}

#[tokio::test]
async fn columns_are_named_as_postgres_names_them() {
    let house = with_pets().await;
    let names = async |sql: &str| {
        let columns = house.columns(sql).await;
        columns
            .into_iter()
            .map(|column| column.name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names("SELECT sum(price), 1, id::text, NULL, NULL FROM pets GROUP BY id").await,
        "sum ?column? id ?column? ?column?"
    );
    assert_eq!(
        names("SELECT *, 1 FROM pets").await,
        "id name tag born seen price props good day ?column?"
    );
    assert_eq!(
        names("SELECT count(*), count(1), count(*) FROM pets").await,
        "count count count"
    );
    assert_eq!(
        names("SELECT id, id, name AS id FROM pets").await,
        "id id id"
    );
    assert_eq!(
        names("SELECT a.id, b.id FROM pets a, pets b").await,
        "id id"
    );
    assert_eq!(names("SELECT 1 UNION SELECT 2").await, "?column?");
    assert_eq!(names("VALUES (1, 'a')").await, "column1 column2");
}

#[tokio::test]
async fn parameters_are_inferred_or_given() {
    let house = with_pets().await;
    let mut session = house.session();
    let statement = session
        .parse("SELECT name FROM pets WHERE id = $1 AND price > $2")
        .expect("it parses")
        .remove(0);
    let prepared = session
        .prepare(&statement, &[])
        .await
        .expect("it is planned");
    assert_eq!(prepared.params, [oid::INT8, oid::NUMERIC]);
    let values = vec![ScalarValue::from(1_i64), ScalarValue::from("10.49")];
    match session.execute(&prepared, values).await.expect("it runs") {
        Outcome::Rows { stream, .. } => {
            let batches: Vec<RecordBatch> = stream.try_collect().await.expect("it runs");
            assert_eq!(batches.iter().flat_map(lines).collect::<Vec<_>>(), ["Rex"]);
        }
        _ => panic!("rows"),
    }
    let statement = session
        .parse("SELECT $1, $2::int")
        .expect("it parses")
        .remove(0);
    let prepared = session
        .prepare(&statement, &[Some(oid::DATE)])
        .await
        .expect("it is planned");
    assert_eq!(prepared.params, [oid::DATE, oid::INT4]);
    assert!(matches!(
        session.execute(&prepared, vec![]).await,
        Err(Error::ParameterCount {
            given: 0,
            wanted: 2
        })
    ));
    let statement = session.parse("SELECT $1").expect("it parses").remove(0);
    let prepared = session
        .prepare(&statement, &[])
        .await
        .expect("it is planned");
    assert_eq!(prepared.params, [oid::TEXT]);
}

#[tokio::test]
async fn the_place_of_a_parameter_tells_its_type() {
    let house = with_pets().await;
    let session = house.session();
    let check = async |sql: &str, expected: &[u32]| {
        let statement = session.parse(sql).expect("it parses").remove(0);
        let prepared = session.prepare(&statement, &[]).await;
        assert_eq!(prepared.expect(sql).params, expected, "{sql}");
    };
    let (int8, text, texts) = (oid::INT8, oid::TEXT, 1009);
    check(
        "SELECT left(name, $1), lag(id, $2) OVER () FROM pets",
        &[oid::INT4; 2],
    )
    .await;
    check(
        "SELECT CASE WHEN id = 1 THEN $1 ELSE id END FROM pets",
        &[int8],
    )
    .await;
    check(
        "SELECT sum(CASE WHEN id = 1 THEN $1 ELSE 0 END) FROM pets",
        &[oid::INT4],
    )
    .await;
    check("SELECT CASE id WHEN $1 THEN 'x' END FROM pets", &[int8]).await;
    check("SELECT id FROM pets WHERE NOT $1 OR $2", &[oid::BOOL; 2]).await;
    check(
        "SELECT id FROM pets WHERE id BETWEEN $1 AND $1 + 10",
        &[int8],
    )
    .await;
    check("SELECT array[$1, id], array[$2] FROM pets", &[int8, text]).await;
    check(
        "SELECT name::jsonb @> $1, name::jsonb #>> $2 FROM pets",
        &[oid::JSONB, texts],
    )
    .await;
    check("SELECT name::varchar(9) = $1 FROM pets", &[text]).await;
    check(
        "SELECT substring(name FROM $1 FOR $2) FROM pets",
        &[text; 2],
    )
    .await;
    check(
        "INSERT INTO pets (id, name) SELECT $1, $2",
        &[int8, oid::VARCHAR],
    )
    .await;
}

#[tokio::test]
async fn a_table_is_read_as_it_was() {
    let house = House::new().await;
    house.create("CREATE TABLE t (a bigint)").await;
    house.run("INSERT INTO t VALUES (1)").await;
    let between = chrono::Utc::now();
    house.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(house.ask("SELECT count(*) FROM t").await, ["2"]);
    assert_eq!(
        house.ask("SELECT count(*) FROM t VERSION AS OF 1").await,
        ["1"]
    );
    let at = between.format("%Y-%m-%d %H:%M:%S%.6f+00");
    assert_eq!(
        house
            .ask(&format!("SELECT count(*) FROM t TIMESTAMP AS OF '{at}'"))
            .await,
        ["1"]
    );
    assert_eq!(
        house.ask("SELECT t.a, old.a FROM t LEFT JOIN t VERSION AS OF 1 AS old ON t.a = old.a ORDER BY 1").await,
        ["1|1", "2|NULL"]
    );
    assert!(matches!(
        house.error("SELECT * FROM t VERSION AS OF 99").await,
        Error::Lake(rapport_lake::Error::NoSuchVersion { .. })
    ));
}

#[tokio::test]
async fn counts_come_from_the_log() {
    let house = with_pets().await;
    let plan = house
        .ask("EXPLAIN SELECT count(*) FROM pets")
        .await
        .join("\n");
    assert!(plan.contains("PlaceholderRowExec"), "{plan}");
    let plan = house
        .ask("EXPLAIN ANALYZE SELECT * FROM pets")
        .await
        .join("\n");
    assert!(plan.contains("output_rows=2"), "{plan}");
}

#[tokio::test]
async fn files_that_can_not_match_are_not_in_the_plan() {
    let house = House::new().await;
    house.create("CREATE TABLE t (a bigint, b text)").await;
    for a in [1, 100, 1000] {
        house
            .run(&format!(
                "INSERT INTO t VALUES ({a}, 'x'), ({}, 'y')",
                a + 5
            ))
            .await;
    }
    let plan = house
        .ask("EXPLAIN SELECT * FROM t WHERE a = 101")
        .await
        .join("\n");
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
    let plan = house
        .ask("EXPLAIN SELECT * FROM t WHERE a = 50")
        .await
        .join("\n");
    assert!(plan.contains("EmptyExec"), "{plan}");
}

#[tokio::test]
async fn a_history_is_merged_and_never_sorted() {
    let house = House::with_history().await;
    for day in 1..=3 {
        house
            .run(&format!(
                "INSERT INTO interactions (interaction_id, source, customer_id, occurred_at, received_at, channel, interaction_type)
                 SELECT '00000000-0000-4000-8000-00000000000{day}', 's', 10 - v, TIMESTAMPTZ '2024-01-0{day} 00:00:00+00', now(), 'web', 'view'
                 FROM generate_series(1, 9) AS g (v)"
            ))
            .await;
    }
    let sql = "SELECT customer_id, occurred_at FROM interactions ORDER BY customer_id, occurred_at";
    let plan = house.ask(&format!("EXPLAIN {sql}")).await.join("\n");
    assert!(!plan.contains("SortExec"), "{plan}");
    assert!(plan.contains("SortPreservingMergeExec"), "{plan}");
    let rows = house.ask(sql).await;
    assert_eq!(rows.len(), 27);
    assert!(rows.is_sorted(), "{rows:?}");
    let windowed = house
        .ask("EXPLAIN SELECT lag(occurred_at) OVER (PARTITION BY customer_id ORDER BY occurred_at) FROM interactions WHERE customer_id = 3")
        .await
        .join("\n");
    assert!(!windowed.contains("SortExec"), "{windowed}");
}

#[tokio::test]
async fn numbers_are_decimals_and_nulls_sort_last() {
    let house = House::new().await;
    assert_eq!(house.ask("SELECT 0.1 + 0.2").await, ["0.3"]);
    assert_eq!(
        house
            .ask("SELECT a FROM (VALUES (2), (NULL), (1)) AS t (a) ORDER BY a")
            .await,
        ["1", "2", "NULL"]
    );
}

#[tokio::test]
async fn times_are_read_as_postgres_reads_them() {
    let house = House::new().await;
    house.create("CREATE TABLE m (at timestamp with time zone, local timestamp without time zone, day date)").await;
    let mut session = house.session();
    session.set("timezone", "Europe/Warsaw").expect("it is set");
    let sql = "INSERT INTO m VALUES ('2024-07-01 10:00', '2024-07-01 10:00', '20240701'), ('2024-07-01 10:00+00', '2024-07-01', '2024-07-01 10:00')";
    run(&mut session, sql).await.expect("it is inserted");
    assert_eq!(
        house.ask("SELECT * FROM m ORDER BY at").await,
        [
            "2024-07-01T08:00:00Z|2024-07-01T10:00:00|2024-07-01",
            "2024-07-01T10:00:00Z|2024-07-01T00:00:00|2024-07-01"
        ]
    );
    for (filter, count) in [
        ("at = '2024-07-01 10:00'", "1"),
        ("at = timestamptz '2024-07-01 08:00Z'", "1"),
        ("at BETWEEN '2024-07-01' AND '2024-07-02'", "2"),
        ("local >= '2024-07-01 09:30'", "1"),
        ("day = '2024-07-01'", "2"),
        ("at < 'tomorrow'", "2"),
    ] {
        let rows = ask(
            &mut session,
            &format!("SELECT count(*) FROM m WHERE {filter}"),
        )
        .await;
        assert_eq!(rows.expect("it is answered"), [count], "{filter}");
    }
    let error = house.error("SELECT * FROM m WHERE at > 'abc'").await;
    assert!(is_refused_as(&error, "22007"), "{error:?}");
}

/// Arrow's kernels and functions of our own say it each in their way.
fn is_refused_as(error: &Error, code: &str) -> bool {
    match error {
        Error::DivisionByZero => code == "22012",
        Error::OutOfRange { .. } => code == "22003",
        Error::InvalidText { .. } => code == "22P02",
        Error::Refused(refusal) => refusal.code == code,
        _ => false,
    }
}

#[tokio::test]
async fn numbers_are_those_of_postgres() {
    let house = House::new().await;
    house.create("CREATE TABLE one (x integer)").await;
    house.run("INSERT INTO one VALUES (1)").await;
    let check = async |sql: &str, expected: &str| {
        assert_eq!(
            house.ask(&format!("SELECT {sql} FROM one")).await,
            [expected],
            "{sql}"
        );
    };
    check("1.5::int, 2.5::int, -1.5::int", "2|3|-2").await;
    check(
        "2.5::float8::int, floor(-0.5)::int, round(9.9)::int",
        "2|-1|10",
    )
    .await;
    check("9223372036854775808", "9223372036854775808").await;
    check(
        "1::float8::text, '2024-01-01 10:00'::timestamp::text",
        "1|2024-01-01 10:00:00",
    )
    .await;
    check(
        "sum(9223372036854775807) OVER (), avg(x) OVER ()",
        "9223372036854775807|1.00000000000000000000",
    )
    .await;
    check(
        "timestamptz '2024-07-01 12:00Z' AT TIME ZONE 'America/New_York'",
        "2024-07-01T08:00:00",
    )
    .await;
    check(
        "timestamp '2024-07-01 12:00' AT TIME ZONE 'America/New_York'",
        "2024-07-01T16:00:00Z",
    )
    .await;
    for sql in [
        "x + 2147483647",
        "2147483647 + 1",
        "9223372036854775807 * 2",
        "32767::smallint + 1::smallint",
        "12345::numeric(4,2)",
    ] {
        let error = house.error(&format!("SELECT {sql} FROM one")).await;
        assert!(is_refused_as(&error, "22003"), "{sql}: {error:?}");
    }
    for sql in ["1 / 0", "1 % 0", "1.0 / 0", "1::float8 / 0"] {
        let error = house.error(&format!("SELECT {sql} FROM one")).await;
        assert!(is_refused_as(&error, "22012"), "{sql}: {error:?}");
    }
    let error = house.error("SELECT x::date FROM one").await;
    assert!(matches!(&error, Error::CannotCoerce { .. }), "{error:?}");
    let error = house.error("SELECT 'x' ~ '(' FROM one").await;
    assert!(is_refused_as(&error, "2201B"), "{error:?}");
    let error = house.error("SELECT date '2024-02-30'").await;
    assert!(is_refused_as(&error, "22008"), "{error:?}");
    let error = house
        .error("SELECT x FROM one WHERE row_number() OVER () = 1")
        .await;
    assert!(matches!(&error, Error::Windowing { .. }), "{error:?}");
}

#[tokio::test]
async fn what_amplifies_is_bounded() {
    let house = House::new().await;
    for sql in [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT length(lpad('x', 2147483647, 'y'))",
        "SELECT length(rpad('x', 2147483647, 'y'))",
        "SELECT length(replace(repeat('x', 100000), 'x', repeat('y', 100000)))",
        "SELECT max(length(s)) FROM (SELECT repeat(n::text, 100000000) AS s FROM generate_series(1, 1000) AS g (n) ORDER BY repeat(n::text, 100000000) || n) AS t",
        "SELECT length(string_agg(repeat('x', 100000000), '')) FROM generate_series(1, 1000) AS g (n)",
    ] {
        let error = house.error(sql).await;
        assert!(
            matches!(&error, Error::OutOfMemory { .. }),
            "{sql}: {error:?}"
        );
    }
    assert_eq!(
        house
            .ask("SELECT repeat('ab', 3), lpad('x', 3, 'y'), replace('abc', 'b', 'xx')")
            .await,
        ["ababab|yyx|axxc"]
    );
}

#[tokio::test]
async fn table_and_fetch_are_other_words_for_select_and_limit() {
    let house = with_pets().await;
    assert_eq!(house.ask("TABLE pets").await.len(), 2);
    assert_eq!(
        house
            .ask("SELECT id FROM pets ORDER BY id OFFSET 1 ROWS FETCH NEXT 5 ROWS ONLY")
            .await,
        ["2"]
    );
    assert_eq!(
        house
            .ask("SELECT id FROM pets ORDER BY id FETCH FIRST ROW ONLY")
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn errors_are_those_of_postgres() {
    let house = with_pets().await;
    let error = house.error("SELECT * FROM nowhere").await;
    assert!(
        matches!(&error, Error::UndefinedTable { name } if name == "nowhere"),
        "{error:?}"
    );
    let error = house.error("SELECT x FROM pets").await;
    assert!(
        matches!(&error, Error::UndefinedColumn { message, .. } if message == "column \"x\" does not exist"),
        "{error:?}"
    );
    let error = house.error("SELECT p.x FROM pets p").await;
    assert!(matches!(&error, Error::UndefinedColumn { .. }), "{error:?}");
    let error = house.error("SELECT id FROM pets a, pets b").await;
    assert!(matches!(&error, Error::AmbiguousColumn { .. }), "{error:?}");
    let error = house.error("SELECT nothing(1)").await;
    assert!(
        matches!(&error, Error::UndefinedFunction { .. }),
        "{error:?}"
    );
    let error = house.error("SELECT name, count(*) FROM pets").await;
    assert!(matches!(&error, Error::Grouping { .. }), "{error:?}");
    let error = house.error("SELECT 1 / (id - id) FROM pets").await;
    assert!(is_refused_as(&error, "22012"), "{error:?}");
    let error = house.error("SELECT name::int FROM pets").await;
    assert!(is_refused_as(&error, "22P02"), "{error:?}");
    let error = house.error("SELECT 3000000000::int").await;
    assert!(is_refused_as(&error, "22003"), "{error:?}");
    let error = house.error("SELECT (SELECT id FROM pets)").await;
    assert!(matches!(&error, Error::Cardinality { .. }), "{error:?}");
    let error = house.error("SELECT 'abc' + 1").await;
    assert!(is_refused_as(&error, "22P02"), "{error:?}");
}
