//! A query reaches nothing but the lake.

use super::*;

/// Refused with a code of its own: neither answered, nor our bug.
async fn check(sql: &str) {
    let house = House::new().await;
    house.create("CREATE TABLE t (a bigint)").await;
    let error = house.error(sql).await;
    assert!(
        matches!(
            error,
            Error::UndefinedTable { .. }
                | Error::UndefinedFunction { .. }
                | Error::NotSupported { .. }
                | Error::Denied { .. }
                | Error::Syntax { .. }
        ),
        "{sql}: {error:?}"
    );
}

#[tokio::test]
async fn the_servers_files_can_not_be_read() {
    for sql in [
        "CREATE EXTERNAL TABLE passwd (line text) STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM \"file:///etc/passwd\"",
        "SELECT * FROM \"s3://bucket/key\"",
        "SELECT * FROM \"rapport://lake/_rapport/format.json\"",
        "SELECT * FROM \"../t\"",
        "SELECT * FROM public.\"..\"",
        "SELECT * FROM \"..\".t",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM csv_scan('/etc/passwd')",
        "SELECT read_csv('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "COPY t FROM '/etc/passwd'",
        "COPY t FROM PROGRAM 'cat /etc/passwd'",
        "COPY t TO '/tmp/out'",
        "COPY (SELECT 1) TO '/tmp/out'",
        "COPY t TO PROGRAM 'sh'",
        "EXPLAIN ANALYZE COPY t TO '/tmp/out'",
        "EXPLAIN COPY (SELECT 1) TO '/tmp/out'",
        "COPY (SELECT 1) TO '/tmp/out.parquet' STORED AS PARQUET",
        "INSERT OVERWRITE DIRECTORY '/tmp/out' SELECT 1",
        "LOAD DATA INPATH '/etc/passwd' INTO TABLE t",
        "ATTACH DATABASE '/tmp/x' AS x",
    ] {
        check(sql).await;
    }
}

#[tokio::test]
async fn the_engines_settings_and_names_can_not_be_changed_or_seen() {
    for sql in [
        "SET datafusion.runtime.memory_limit = '1G'",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.runtime.memory_limit",
        "SHOW ALL",
        "SHOW TABLES",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM datafusion.public.nothing",
        "CREATE CATALOG x",
        "CREATE DATABASE x",
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE SQL AS 'SELECT 1'",
        "PREPARE p AS SELECT 1",
        "DESCRIBE t",
        "CALL f()",
        "DO $$ BEGIN END $$",
        "VACUUM t",
        "EXPLAIN INSERT INTO t VALUES (1)",
        "EXPLAIN DELETE FROM t",
        "SELECT @@version",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x",
    ] {
        check(sql).await;
    }
}

#[tokio::test]
async fn a_context_for_sources_has_no_store() {
    let house = House::new().await;
    let context = house.warehouse.bare_context();
    assert!(
        context
            .read_csv("/etc/passwd", Default::default())
            .await
            .is_err()
    );
    assert!(
        context
            .sql("CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'")
            .await
            .is_err()
    );
    assert!(context.sql("SELECT * FROM '/etc/passwd'").await.is_err());
    assert!(context.sql("SELECT upper('a')").await.is_ok());
}

#[tokio::test]
async fn a_statement_that_would_overflow_the_stack_is_refused() {
    let house = House::new().await;
    for sql in [
        format!("SELECT {}", vec!["1"; 20_000].join("+")),
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}true", "NOT ".repeat(20_000)),
        format!(
            "SELECT {}1{}",
            "CASE WHEN true THEN ".repeat(3_000),
            " END".repeat(3_000)
        ),
        vec!["SELECT 1"; 5_000].join(" UNION ALL "),
        format!(
            "SELECT * FROM {}t{}",
            "(SELECT * FROM ".repeat(1_000),
            ") AS t".repeat(1_000)
        ),
        format!("SELECT {}1{}", "abs(".repeat(3_000), ")".repeat(3_000)),
        format!("SELECT 1{}", "::int".repeat(15_000)),
        format!("SELECT 1 FROM t{}", " JOIN t ON true".repeat(9_000)),
    ] {
        let error = house.error(&sql).await;
        assert!(
            matches!(error, Error::TooComplex { .. }),
            "{:.60}: {error:?}",
            sql
        );
    }
}

#[tokio::test]
async fn long_lists_and_chains_are_answered() {
    let house = House::new().await;
    house.create("CREATE TABLE t (a bigint)").await;
    house.run("INSERT INTO t VALUES (1), (7), (20000)").await;
    let list: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    assert_eq!(
        house
            .ask(&format!(
                "SELECT count(*) FROM t WHERE a IN ({})",
                list.join(", ")
            ))
            .await,
        ["2"]
    );
    let chain: Vec<String> = (0..9_000).map(|n| format!("a = {n}")).collect();
    assert_eq!(
        house
            .ask(&format!(
                "SELECT count(*) FROM t WHERE {}",
                chain.join(" OR ")
            ))
            .await,
        ["2"]
    );
    let chain: Vec<String> = (0..1_000).map(|n| format!("a <> {}", n + 10)).collect();
    assert_eq!(
        house
            .ask(&format!(
                "SELECT count(*) FROM t WHERE {}",
                chain.join(" AND ")
            ))
            .await,
        ["3"]
    );
}
