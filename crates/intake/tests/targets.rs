//! Tables other than `interactions`, several of one source, and what becomes of the rest.

use rapport_intake::Source;

use crate::lab::{Lab, source};

#[tokio::test]
async fn one_raw_row_may_yield_several_rows() {
    let lab = Lab::new().await;
    let file = lab.file(
        "tickets.csv",
        "ticket,at,score,agent,team,colour\n1,2024-01-01,5,a1,red,x\n2,2024-01-01,,a1,red,y\n3,bad,4,a2,red,z\n",
    );
    let tickets = source(
        r#"
key = ["ticket"]
[[target]]
select = "SELECT 'web' AS channel, at AS occurred_at, ticket AS case_id, 'contact' AS interaction_type FROM raw"
[[target]]
name = "survey"
select = "SELECT 'web' AS channel, at AS occurred_at, ticket AS case_id, 'survey' AS interaction_type, score FROM raw WHERE score IS NOT NULL"
[[target]]
table = "agents"
select = "SELECT agent AS agent_id, team FROM raw"
"#,
    );
    let mut options = lab.options(&[&file]);
    options.max_refused_share = 0.5;
    let token = tokio_util::sync::CancellationToken::new();
    let loaded = rapport_intake::load(
        &lab.warehouse,
        &tickets,
        options,
        &rapport_intake::Quiet,
        token,
    )
    .await
    .expect("loaded");
    assert_eq!((loaded.read, loaded.added, loaded.refused), (3, 3, 1));
    assert_eq!(
        lab.count("SELECT count(DISTINCT interaction_id) FROM interactions")
            .await,
        3
    );
    // The row that the contact refused brings no agent and no survey.
    assert_eq!(lab.ask("SELECT agent_id FROM agents").await, ["a1"]);
    let rows = lab
        .ask("SELECT case_id, interaction_type, score, properties FROM interactions ORDER BY 1, 2")
        .await;
    assert_eq!(
        rows,
        [
            "1|contact|NULL|{\"agent\":\"a1\",\"team\":\"red\",\"colour\":\"x\"}",
            "1|survey|5.0|NULL",
            "2|contact|NULL|{\"agent\":\"a1\",\"team\":\"red\",\"colour\":\"y\"}",
        ]
    );
}

#[tokio::test]
async fn a_table_with_a_primary_key_takes_each_key_once() {
    let lab = Lab::new().await;
    let products = source("table = 'products'");
    let a = lab.file(
        "a.csv",
        "product_id,Name,price\np1,Tea,1.50\np2,Mug,4\np1,Tea again,2\n",
    );
    let loaded = lab.load(&products, &[&a]).await;
    assert_eq!((loaded.added, loaded.already_known), (2, 1));
    let b = lab.file("b.csv", "product_id,name,price\np2,Mug,5\np3,Pot,9\n");
    let loaded = lab.load(&products, &[&b]).await;
    assert_eq!((loaded.added, loaded.already_known), (1, 1));
    assert_eq!(
        lab.ask("SELECT product_id, name, price FROM products ORDER BY 1")
            .await,
        ["p1|Tea|1.50", "p2|Mug|4.00", "p3|Pot|9.00"]
    );
}

#[tokio::test]
async fn a_table_without_a_key_takes_each_file_once() {
    let lab = Lab::new().await;
    let log = source("table = 'quarantine'");
    let file = lab.file("a.csv", "reason,raw\nx,1\nx,1\n");
    assert_eq!(lab.load(&log, &[&file]).await.added, 2);
    assert!(lab.load(&log, &[&file]).await.files[0].loaded_before);
    assert_eq!(lab.count("SELECT count(*) FROM quarantine").await, 2);
}

#[tokio::test]
async fn columns_named_like_the_tables_own_need_no_select() {
    let lab = Lab::new().await;
    let file = lab.file(
        "a.csv",
        "Source_ID,customer,occurred_at,Channel,interaction_type,amount,currency,source,received_at,properties,shoe size\n\
         1,zoe,2024-01-01T10:00:00Z,web,visit,5,EUR,shop,2024-01-01T10:00:05Z,\"{\"\"a\"\":1}\",39\n\
         2,,2024-01-02T10:00:00Z,app,visit,,,,,,\n",
    );
    let generic = Source::find("csv", &[]).expect("it is shipped");
    assert_eq!(lab.load(&generic, &[&file]).await.added, 2);
    let rows = lab
        .ask("SELECT source, source_id, customer_id, received_at, channel, amount, currency, properties FROM interactions ORDER BY source_id")
        .await;
    assert_eq!(
        rows,
        [
            "shop|1|1|2024-01-01T10:00:05Z|web|5.00|EUR|{\"a\":1,\"shoe size\":\"39\"}",
            "csv|2|NULL|2025-06-15T15:06:40Z|app|NULL|NULL|NULL",
        ]
    );
    let again = lab.file("b.csv", "source_id,occurred_at,source,channel,interaction_type\n1,2024-01-01T10:00:00Z,shop,web,visit\n1,2024-01-01T10:00:00Z,till,web,visit\n");
    let loaded = lab.load(&generic, &[&again]).await;
    assert_eq!((loaded.added, loaded.already_known), (1, 1));
}

#[tokio::test]
async fn currency_and_time_zone_come_from_where_the_source_says() {
    let lab = Lab::new().await;
    let file = lab.file(
        "a.csv",
        "at;zone;cur;value\n01.07.2024 12:00;Europe/Warsaw;PLN;1,50\n01.07.2024 12:00;;EUR;\n",
    );
    let shops = source(
        "delimiter = ';'\ndecimal_comma = true\ntime_formats = ['%d.%m.%Y %H:%M']\ntime_zone = 'Europe/London'\n\
         time_zone_column = 'zone'\ncurrency_column = 'cur'\nselect = '''SELECT 'web' AS channel, 'visit' AS interaction_type, at AS occurred_at, value AS amount FROM raw'''",
    );
    lab.load(&shops, &[&file]).await;
    assert_eq!(
        lab.ask("SELECT occurred_at, amount, currency FROM interactions ORDER BY 1")
            .await,
        [
            "2024-07-01T10:00:00Z|1.50|PLN",
            "2024-07-01T11:00:00Z|NULL|NULL",
        ]
    );
}

#[tokio::test]
async fn all_sources_of_a_lake_are_one_history() {
    let lab = Lab::new().await;
    for (name, from) in [("a", 0), ("b", 100)] {
        let text = format!("about = '{name}'\n{}", crate::lab::SALES);
        let source = Source::parse(name, &text, name).expect("a source");
        let file = lab.file(&format!("{name}.csv"), crate::lab::sales(from, 50));
        lab.load(&source, &[&file]).await;
    }
    assert_eq!(
        lab.ask("SELECT source, count(*) FROM interactions GROUP BY 1 ORDER BY 1")
            .await,
        ["a|50", "b|50"]
    );
    assert_eq!(lab.count("SELECT count(*) FROM customers").await, 7);
}
