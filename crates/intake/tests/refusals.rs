//! Rows that can't be understood.

use arrow::array::Array;
use rapport_intake::Error;

use crate::lab::{Lab, SALES, sales, source};

#[tokio::test]
async fn refused_rows_stand_in_quarantine_with_line_column_reason_and_text() {
    let lab = Lab::new().await;
    let mut csv = sales(0, 100).into_bytes();
    csv.extend_from_slice(b"100,31/02/2011,c1,1\n101,2024-01-01,c1,\"a,b\"\n,2024-01-01,c1,1\n103,2024-01-01,\xE9,1\n104,2024-01-01\n");
    let file = lab.file("sales.csv", csv);
    let loaded = lab.load(&source(SALES), &[&file]).await;
    assert_eq!((loaded.read, loaded.added, loaded.refused), (105, 100, 5));
    assert_eq!(lab.interactions().await, 100);
    let rows = lab
        .ask("SELECT line, \"column\", reason, raw FROM quarantine ORDER BY line")
        .await;
    assert_eq!(
        rows,
        [
            "102|occurred_at|\"31/02/2011\" is not a time|100,31/02/2011,c1,1",
            "103|amount|\"a,b\" is not a number|101,2024-01-01,c1,\"a,b\"",
            "104|id|the key is missing|,2024-01-01,c1,1",
            "105|who|\"\\xE9\" is not UTF-8; if the file has another encoding, say so in the source|103,2024-01-01,\\xE9,1",
            "106|NULL|2 fields, the header has 4|104,2024-01-01",
        ]
    );
    let ids = lab
        .ask("SELECT DISTINCT load_id, source, file FROM quarantine")
        .await;
    assert_eq!(ids, [format!("{}|test|{file}", loaded.load_id)]);
    assert_eq!(loaded.reasons[0].1, 1);
}

#[tokio::test]
async fn too_many_refused_rows_fail_the_load_and_nothing_is_visible() {
    let lab = Lab::new().await;
    let file = lab.file(
        "sales.csv",
        sales(0, 90) + &"x,not a time,c1,1\n".repeat(10),
    );
    let error = lab
        .try_load(&source(SALES), &[&file])
        .await
        .expect_err("10 % are refused");
    assert!(
        matches!(&error, Error::TooManyRefused { refused: 10, read: 100, first, .. } if first.len() == 10)
    );
    assert!(
        error
            .to_string()
            .contains("10 × occurred_at: \"…\" is not a time"),
        "{error}"
    );
    for table in [
        "interactions",
        "customers",
        "customer_identities",
        "quarantine",
    ] {
        assert_eq!(
            lab.count(&format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}"
        );
    }
    let mut options = lab.options(&[&file]);
    options.max_refused_share = 0.1;
    let loaded = rapport_intake::load(
        &lab.warehouse,
        &source(SALES),
        options,
        &rapport_intake::Quiet,
        tokio_util::sync::CancellationToken::new(),
    )
    .await
    .expect("10 % are allowed");
    assert_eq!((loaded.added, loaded.refused), (90, 10));
}

#[tokio::test]
async fn a_cast_in_the_select_refuses_the_guilty_rows_only() {
    let lab = Lab::new().await;
    let mut csv = String::from("at,n\n");
    for i in 0..5_000 {
        csv += &format!(
            "2024-01-01,{}\n",
            if i % 1_000 == 7 {
                "x".to_owned()
            } else {
                i.to_string()
            }
        );
    }
    let file = lab.file("a.csv", csv);
    let cast = source(
        "select = '''SELECT 'web' AS channel, 'visit' AS interaction_type, at AS occurred_at, CAST(n AS BIGINT) * 2 AS quantity FROM raw'''",
    );
    let loaded = lab.load(&cast, &[&file]).await;
    assert_eq!((loaded.added, loaded.refused), (4_995, 5));
    assert_eq!(
        lab.ask("SELECT line, reason FROM quarantine ORDER BY line LIMIT 1")
            .await,
        ["9|Cannot cast string 'x' to value of Int64 type",]
    );
    assert_eq!(
        lab.count("SELECT count(*) FROM interactions WHERE properties LIKE '{\"n\":\"%'")
            .await,
        4_995
    );
}

#[tokio::test]
async fn json_that_is_none_is_refused_by_line() {
    let lab = Lab::new().await;
    let mut jsonl = "{\"at\":\"2024-01-01\"}\n".repeat(97);
    jsonl += "{\"at\":\n[1]\n{\"at\":\"2024-01-01\"} trailing\n";
    let file = lab.file("a.jsonl", jsonl);
    let loaded = lab.load(&source("select = '''SELECT 'web' AS channel, 'visit' AS interaction_type, at AS occurred_at FROM raw'''"), &[&file]).await;
    assert_eq!((loaded.added, loaded.refused), (97, 3));
    let rows = lab
        .ask("SELECT line, reason, raw FROM quarantine ORDER BY line")
        .await;
    assert!(
        rows[0].starts_with("98|is not JSON: EOF while parsing a value"),
        "{}",
        rows[0]
    );
    assert_eq!(rows[1], "99|is not a JSON object|[1]");
    assert!(
        rows[2].starts_with("100|is not JSON: trailing characters"),
        "{}",
        rows[2]
    );
}

#[tokio::test]
async fn a_missing_time_is_refused() {
    let lab = Lab::new().await;
    let file = lab.file(
        "a.csv",
        "occurred_at,channel,interaction_type\n,web,a\n2024-01-01,web,b\n",
    );
    let mut options = lab.options(&[&file]);
    options.max_refused_share = 1.0;
    let csv = rapport_intake::Source::find("csv", &[]).expect("it is shipped");
    let token = tokio_util::sync::CancellationToken::new();
    let loaded = rapport_intake::load(&lab.warehouse, &csv, options, &rapport_intake::Quiet, token)
        .await
        .expect("all may be refused");
    assert_eq!((loaded.added, loaded.refused), (1, 1));
    assert_eq!(
        lab.ask("SELECT line, \"column\", reason, raw FROM quarantine")
            .await,
        ["2|occurred_at|is missing|,web,a"]
    );
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_an_error_not_a_row() {
    let lab = Lab::new().await;
    let file = lab.file(
        "a.csv",
        "id,at,who,amount\n1,\"2024-01-01,c1,1\n".to_owned() + &sales(2, 50),
    );
    let error = lab
        .try_load(&source(SALES), &[&file])
        .await
        .expect_err("it swallows the file")
        .to_string();
    assert!(error.contains("line 2 never ends"), "{error}");
}

#[tokio::test]
async fn what_the_table_does_not_have_is_an_error_of_the_source() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", "at\n2024-01-01\n");
    for (select, expected) in [
        (
            "SELECT at AS occured_at FROM raw",
            "did you mean `occurred_at`",
        ),
        (
            "SELECT at AS channel, at AS interaction_type FROM raw",
            "must give `occurred_at`",
        ),
        (
            "SELECT at AS occurred_at, 1 AS customer_id FROM raw",
            "name the company's own identifier `customer`",
        ),
        (
            "SELECT at AS occurred_at FROM raw GROUP BY at",
            "each row must come from one row",
        ),
        ("SELEKT", "SELEKT"),
    ] {
        let error = lab
            .try_load(&source(&format!("select = '{select}'")), &[&file])
            .await;
        let error = error.expect_err("must be refused").to_string();
        assert!(error.contains(expected), "{select}: {error}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_rows_and_refusals_and_writes_nothing() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 50) + "50,yesterday,c1,1\n");
    let preview = lab.preview(&source(SALES), &[&file]).await;
    assert_eq!(
        (preview.n_read, preview.n_refused, preview.complete),
        (51, 1, true)
    );
    assert_eq!(preview.refused[0].reason, "\"yesterday\" is not a time");
    assert_eq!(preview.refused[0].line, 52);
    let rows = &preview.tables[0].rows;
    assert_eq!(rows.num_rows(), 10);
    assert!(
        rows.column_by_name("customer")
            .is_some_and(|customer| customer.null_count() == 0)
    );
    assert_eq!(lab.interactions().await, 0);
}

#[tokio::test]
async fn a_hopeless_load_is_given_up_early() {
    let lab = Lab::new().await;
    let file = lab.file(
        "a.csv",
        format!("id,at,who,amount\n{}", "1,x,y,z\n".repeat(60_000)),
    );
    let error = lab
        .try_load(&source(SALES), &[&file])
        .await
        .expect_err("all are refused");
    assert!(
        matches!(error, Error::TooManyRefused { read, .. } if read < 60_000),
        "{error}"
    );
}
