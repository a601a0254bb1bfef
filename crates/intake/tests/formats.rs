//! What files may look like.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use rapport_intake::{Error, Source};

use crate::lab::{Lab, SALES, sales, source};

const BODY: &str = "select = \"SELECT 'web' AS channel, 'visit' AS interaction_type, at AS occurred_at, note AS body FROM raw\"";

async fn check_body(toml: &str, bytes: &[u8], expected: &[&str]) {
    let lab = Lab::new().await;
    let file = lab.file("file.csv", bytes);
    let loaded = lab
        .load(&source(&format!("{toml}\n{BODY}")), &[&file])
        .await;
    assert_eq!(loaded.added, expected.len() as u64);
    assert_eq!(
        lab.ask("SELECT body FROM interactions ORDER BY occurred_at")
            .await,
        expected
    );
}

#[tokio::test]
async fn csv_with_quotes_and_line_breaks() {
    let csv = "at,note\n2024-01-01,\"a, \"\"b\"\"\nc\"\r\n2024-01-02,plain\n\n2024-01-03,\n";
    check_body("", csv.as_bytes(), &["a, \"b\"\nc", "plain", "NULL"]).await;
}

#[tokio::test]
async fn csv_with_another_delimiter_and_quote() {
    check_body(
        "delimiter = ';'\nquote = \"'\"",
        b"at;note\n2024-01-01;'x;y'\n",
        &["x;y"],
    )
    .await;
    check_body(
        "delimiter = 'tab'\nquote = ''",
        b"at\tnote\n2024-01-01\t5\" pipe\n",
        &["5\" pipe"],
    )
    .await;
}

#[tokio::test]
async fn csv_without_a_header() {
    check_body(
        "header = false\ncolumns = ['at', 'note']",
        b"2024-01-01,x\n",
        &["x"],
    )
    .await;
}

#[tokio::test]
async fn utf_8_with_and_without_mark() {
    check_body("", "at,note\n2024-01-01,żółw\n".as_bytes(), &["żółw"]).await;
    check_body(
        "",
        "\u{feff}at,note\n2024-01-01,żółw\n".as_bytes(),
        &["żółw"],
    )
    .await;
}

#[tokio::test]
async fn windows_1250_and_1251() {
    let polish = b"at,note\n2024-01-01,za\xBF\xF3\xB3\xE6 g\xEA\x9Cl\xB9 ja\x9F\xF1\n";
    check_body("encoding = 'windows-1250'", polish, &["zażółć gęślą jaźń"]).await;
    let russian = b"at,note\n2024-01-01,\xE6\xE0\xEB\xEE\xE1\xE0\n";
    check_body("encoding = 'windows-1251'", russian, &["жалоба"]).await;
}

#[tokio::test]
async fn utf_16_is_told_by_its_mark() {
    let bytes: Vec<u8> = "\u{feff}at,note\n2024-01-01,żaba\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check_body("", &bytes, &["żaba"]).await;
}

#[tokio::test]
async fn gzip_and_zstd_are_told_by_content() {
    let csv = "at,note\n2024-01-01,x\n".as_bytes();
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    gzip.write_all(csv).expect("compressed");
    check_body("", &gzip.finish().expect("compressed"), &["x"]).await;
    check_body("", &zstd::encode_all(csv, 1).expect("compressed"), &["x"]).await;
}

#[tokio::test]
async fn a_cut_off_gzip_fails_as_a_whole() {
    let lab = Lab::new().await;
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::none());
    gzip.write_all(sales(0, 50_000).as_bytes())
        .expect("compressed");
    let gzip = gzip.finish().expect("compressed");
    let file = lab.file("cut.csv.gz", &gzip[..gzip.len() / 2]);
    let error = lab
        .try_load(&source(SALES), &[&file])
        .await
        .expect_err("it is cut off");
    assert!(matches!(error, Error::Format { .. }), "{error}");
    assert_eq!(lab.interactions().await, 0);
}

#[tokio::test]
async fn json_lines_have_the_union_of_all_keys() {
    let lab = Lab::new().await;
    let file = lab.file(
        "events.jsonl",
        concat!(
            "{\"occurred_at\":\"2024-01-01T10:00:00Z\",\"channel\":\"web\",\"interaction_type\":\"a\",\"amount\":12345678901234.56}\n",
            "\n",
            "{\"occurred_at\":\"2024-01-01T11:00:00+01:00\",\"channel\":\"web\",\"interaction_type\":\"b\",\"extra\":{\"a\":[1,2]},\"n\":7,\"s\":\"\"}\r\n",
            "{\"customer_id\":42,\"channel\":\"web\",\"interaction_type\":\"c\",\"occurred_at\":\"2024-01-02T00:00:00Z\",\"score\":null}",
        ),
    );
    let jsonl = Source::find("jsonl", &[]).expect("it is shipped");
    let loaded = lab.load(&jsonl, &[&file]).await;
    assert_eq!((loaded.read, loaded.added), (3, 3));
    let rows = lab
        .ask("SELECT occurred_at, interaction_type, amount, customer_id, properties FROM interactions ORDER BY interaction_type")
        .await;
    assert_eq!(
        rows,
        [
            "2024-01-01T10:00:00Z|a|12345678901234.56|NULL|NULL",
            "2024-01-01T10:00:00Z|b|NULL|NULL|{\"extra\":{\"a\":[1,2]},\"n\":7,\"s\":\"\"}",
            "2024-01-02T00:00:00Z|c|NULL|1|NULL",
        ]
    );
    assert_eq!(
        lab.ask("SELECT kind, value FROM customer_identities").await,
        ["customer|42"]
    );
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("a test's own columns");
    let mut bytes = vec![];
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("written");
    bytes
}

#[tokio::test]
async fn parquet_keeps_its_types_for_the_select() {
    let lab = Lab::new().await;
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let dictionary: DictionaryArray<Int32Type> = ["web", "app"].into_iter().collect();
    let file = lab.file(
        "events",
        parquet(vec![
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![0, 3_600_000_000])) as ArrayRef,
            ),
            ("seconds", Arc::new(Int64Array::from(vec![60, 90]))),
            (
                "who",
                Arc::new(Float64Array::from(vec![Some(17850.0), None])),
            ),
            ("channel", Arc::new(dictionary)),
            ("tags", Arc::new(tags)),
        ]),
    );
    let loaded = lab
        .load(
            &source("time_zone = 'Europe/Warsaw'\nselect = '''SELECT 'visit' AS interaction_type, at AS occurred_at, who AS customer, seconds / 60.0 AS quantity, channel FROM raw'''"),
            &[&file],
        )
        .await;
    assert_eq!(loaded.added, 2);
    let rows = lab.ask("SELECT occurred_at, quantity, channel, properties FROM interactions ORDER BY occurred_at").await;
    assert_eq!(
        rows,
        [
            "1969-12-31T23:00:00Z|1.000|web|{\"seconds\":60,\"tags\":[1,null]}",
            "1970-01-01T00:00:00Z|1.500|app|{\"seconds\":90}",
        ]
    );
    assert_eq!(
        lab.ask("SELECT customer_ref FROM customers").await,
        ["17850"]
    );
}

#[tokio::test]
async fn a_row_is_the_same_in_csv_and_parquet() {
    let lab = Lab::new().await;
    let by_key = source(
        "key = ['id']\nselect = '''SELECT 'web' AS channel, 'visit' AS interaction_type, at AS occurred_at FROM raw'''",
    );
    let csv = lab.file("a.csv", "id,at\n1,2024-01-01\n2,2024-01-02\n");
    lab.load(&by_key, &[&csv]).await;
    let parquet = lab.file(
        "a.parquet",
        parquet(vec![
            ("id", Arc::new(Int32Array::from(vec![2, 3])) as ArrayRef),
            (
                "at",
                Arc::new(StringArray::from(vec!["2024-01-02", "2024-01-03"])),
            ),
        ]),
    );
    let loaded = lab.load(&by_key, &[&parquet]).await;
    assert_eq!((loaded.added, loaded.already_known), (1, 1));
}

#[tokio::test]
async fn a_damaged_parquet_file_is_an_error() {
    let lab = Lab::new().await;
    let bytes = parquet(vec![(
        "at",
        Arc::new(StringArray::from(vec!["2024-01-01"])) as ArrayRef,
    )]);
    let file = lab.file("cut.parquet", &bytes[..bytes.len() - 10]);
    let error = lab
        .try_load(&source(BODY), &[&file])
        .await
        .expect_err("it is damaged")
        .to_string();
    assert!(
        error.contains("cut.parquet: is not a readable Parquet file"),
        "{error}"
    );
}

#[tokio::test]
async fn folders_and_globs_are_one_commit() {
    let lab = Lab::new().await;
    lab.file("in/a.csv", sales(0, 10));
    lab.file("in/sub/b.csv", sales(10, 10));
    let glob = lab
        .file("in/c.txt", sales(20, 10))
        .replace("c.txt", "*.txt");
    let folder = lab.folder.path().join("files/in/sub").display().to_string();
    let loaded = lab.load(&source(SALES), &[&folder, &glob]).await;
    assert_eq!((loaded.files.len(), loaded.added), (2, 20));
    let all = lab.folder.path().join("files/in").display().to_string();
    let version = loaded.version.expect("there is one");
    let loaded = lab.load(&source(SALES), &[&all]).await;
    assert_eq!((loaded.files.len(), loaded.added), (3, 10));
    assert_eq!(
        loaded
            .files
            .iter()
            .filter(|file| file.loaded_before)
            .count(),
        2
    );
    assert_eq!(loaded.version, Some(version + 1));
}

#[tokio::test]
async fn a_missing_column_is_named() {
    let lab = Lab::new().await;
    let csv = lab.file("a.csv", "id,when\n1,2024-01-01\n");
    let error = lab
        .try_load(&source(BODY), &[&csv])
        .await
        .expect_err("there is no `at`")
        .to_string();
    assert!(
        error.contains("has no column `at`") && error.contains("id, when"),
        "{error}"
    );
    let jsonl = lab.file("a.jsonl", "{\"id\":1,\"note\":\"x\"}\n");
    let error = lab
        .try_load(&source(BODY), &[&jsonl])
        .await
        .expect_err("there is no `at`")
        .to_string();
    assert!(error.contains("`at`"), "{error}");
}

#[tokio::test]
async fn a_file_without_rows_is_loaded_like_any_other() {
    let lab = Lab::new().await;
    for (name, text) in [
        ("header.csv", "at,note\n"),
        ("empty.csv", ""),
        ("empty.jsonl", "\n"),
    ] {
        let file = lab.file(name, text);
        let loaded = lab.load(&source(BODY), &[&file]).await;
        assert_eq!((loaded.read, loaded.added), (0, 0), "{name}");
        assert!(
            lab.load(&source(BODY), &[&file]).await.files[0].loaded_before,
            "{name}"
        );
    }
}

#[tokio::test]
async fn json_lines_without_a_needed_key_are_told_so() {
    let lab = Lab::new().await;
    let file = lab.file(
        "a.jsonl",
        "{\"occurred_at\":\"2024-01-01\",\"channel\":\"web\"}\n",
    );
    let jsonl = Source::find("jsonl", &[]).expect("it is shipped");
    let error = lab
        .try_load(&jsonl, &[&file])
        .await
        .expect_err("a type is needed")
        .to_string();
    assert!(error.contains("no column `interaction_type`"), "{error}");
}

#[tokio::test]
async fn long_texts_go_through_in_small_batches() {
    let lab = Lab::new().await;
    let body = "x".repeat(1 << 20);
    let csv: String = (0..80).map(|i| format!("2024-01-01,{i}{body}\n")).collect();
    let file = lab.file("long.csv", format!("at,note\n{csv}"));
    assert_eq!(lab.load(&source(BODY), &[&file]).await.added, 80);
    assert_eq!(
        lab.count("SELECT min(length(body)) FROM interactions")
            .await,
        (1 << 20) + 1
    );
}

#[tokio::test]
async fn windows_1251_in_gzip() {
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    gzip.write_all(b"at,note\n2024-01-01,\xF0\xEE\xE1\xEE\xF2\n")
        .expect("compressed");
    check_body(
        "encoding = 'windows-1251'",
        &gzip.finish().expect("compressed"),
        &["робот"],
    )
    .await;
}

#[tokio::test]
async fn a_character_cut_in_two_by_a_delimiter_is_not_text() {
    let lab = Lab::new().await;
    let mut csv = b"at,note,other\n".to_vec();
    csv.extend_from_slice(&b"2024-01-01,a,b\n".repeat(30));
    csv.extend_from_slice(b"2024-01-01,\xC5,\xBC\n");
    let file = lab.file("a.csv", csv);
    let loaded = lab.load(&source(BODY), &[&file]).await;
    assert_eq!((loaded.added, loaded.refused), (30, 1));
}

#[tokio::test]
async fn other_texts_may_mean_that_there_is_no_value() {
    check_body(
        "nulls = ['NA', '-']",
        b"at,note\n2024-01-01,NA\n2024-01-02,-\n2024-01-03,\n",
        &["NULL", "NULL", ""],
    )
    .await;
}
