//! Whose the rows are.

use rapport_intake::Source;

use crate::lab::{Lab, SALES, sales, source};

#[tokio::test]
async fn customers_are_numbered_from_one_in_order_of_appearance() {
    let lab = Lab::new().await;
    let a = lab.file("a.csv", "id,at,who,amount\n1,2024-01-05,zoe,1\n2,2024-01-02,adam,1\n3,2024-01-01,zoe,1\n4,2024-01-01,,1\n");
    let loaded = lab.load(&source(SALES), &[&a]).await;
    assert_eq!(loaded.new_customers, 2);
    let b = lab.file(
        "b.csv",
        "id,at,who,amount\n5,2024-01-05, adam ,1\n6,2024-01-02,eve,1\n",
    );
    let loaded = lab.load(&source(SALES), &[&b]).await;
    assert_eq!(loaded.new_customers, 1);
    assert_eq!(
        lab.ask(
            "SELECT customer_id, kind, value, since, source FROM customer_identities ORDER BY 1"
        )
        .await,
        [
            "1|customer|zoe|2024-01-01T00:00:00Z|test",
            "2|customer|adam|2024-01-02T00:00:00Z|test",
            "3|customer|eve|2024-01-02T00:00:00Z|test",
        ]
    );
    assert_eq!(
        lab.ask("SELECT customer_id, customer_ref, first_seen FROM customers ORDER BY 1")
            .await,
        [
            "1|zoe|2024-01-01T00:00:00Z",
            "2|adam|2024-01-02T00:00:00Z",
            "3|eve|2024-01-02T00:00:00Z",
        ]
    );
    assert_eq!(
        lab.ask("SELECT source_id, customer_id FROM interactions ORDER BY 1")
            .await,
        ["1|1", "2|2", "3|1", "4|NULL", "5|2", "6|3"]
    );
}

#[tokio::test]
async fn the_same_identifier_of_another_kind_is_another_customer() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 7));
    lab.load(&source(SALES), &[&file]).await;
    let text = format!("about = 'cards'\ncustomer_kind = 'card'\n{SALES}");
    let cards = Source::parse("cards", &text, "cards.toml").expect("a source");
    assert_eq!(lab.load(&cards, &[&file]).await.new_customers, 7);
    let text = format!("about = 'same'\n{SALES}");
    let same = Source::parse("same", &text, "same.toml").expect("a source");
    assert_eq!(lab.load(&same, &[&file]).await.new_customers, 0);
    assert_eq!(
        lab.count("SELECT max(customer_id) FROM customers").await,
        14
    );
}

#[tokio::test]
async fn rows_that_are_known_already_bring_no_customers() {
    let lab = Lab::new().await;
    let a = lab.file("a.csv", "id,at,who,amount\n1,2024-01-05,zoe,1\n");
    lab.load(&source(SALES), &[&a]).await;
    let b = lab.file(
        "b.csv",
        "id,at,who,amount\n1,2024-01-05,another,1\n2,2024-01-05,zoe,1\n2,2024-01-05,third,1\n",
    );
    let loaded = lab.load(&source(SALES), &[&b]).await;
    assert_eq!(
        (loaded.added, loaded.already_known, loaded.new_customers),
        (1, 2, 0)
    );
    assert_eq!(
        lab.ask("SELECT value FROM customer_identities").await,
        ["zoe"]
    );
}

#[tokio::test]
async fn customers_loaded_as_a_table_keep_their_numbers() {
    let lab = Lab::new().await;
    let table = |name: &str| {
        let text = format!("about = '{name}'\ntable = '{name}'");
        Source::parse("own", &text, "own.toml").expect("a source")
    };
    let customers = lab.file(
        "customers.csv",
        "customer_id,customer_ref,first_seen\n41,zoe,2020-01-01\n",
    );
    let identities = lab.file(
        "identities.csv",
        "kind,value,customer_id,since\ncustomer,zoe,41,2020-01-01\n",
    );
    assert_eq!(lab.load(&table("customers"), &[&customers]).await.added, 1);
    assert_eq!(
        lab.load(&table("customer_identities"), &[&identities])
            .await
            .added,
        1
    );
    let file = lab.file(
        "a.csv",
        "id,at,who,amount\n1,2024-01-05,zoe,1\n2,2024-01-05,new,1\n",
    );
    lab.load(&source(SALES), &[&file]).await;
    assert_eq!(
        lab.ask("SELECT customer_id, customer_ref FROM customers ORDER BY 1")
            .await,
        ["41|zoe", "42|new"]
    );
}
