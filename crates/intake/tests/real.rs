//! The shipped sources on the real files.

use rapport_intake::Source;

use crate::lab::{Lab, real_data};

fn shipped(name: &str) -> Source {
    Source::find(name, &[]).expect("it is shipped")
}

#[tokio::test]
async fn online_retail() {
    let Some(data) = real_data() else { return };
    let lab = Lab::new().await;
    let file = data.join("online_retail.parquet").display().to_string();
    let loaded = lab.load(&shipped("online_retail"), &[&file]).await;
    assert_eq!(loaded.read, 541_909);
    assert_eq!(
        (loaded.added, loaded.already_known, loaded.refused),
        (541_909, 0, 0)
    );
    assert_eq!(loaded.new_customers, 4_372);
    let totals = lab
        .ask("SELECT interaction_type, outcome, count(*), sum(amount), count(customer_id) FROM interactions GROUP BY 1, 2 ORDER BY 1")
        .await;
    assert_eq!(
        totals,
        [
            "adjustment|NULL|2518|-11062.06|40",
            "purchase|purchase|530103|10655622.48|397884",
            "return|returned|9288|-896812.49|8905",
        ]
    );
    assert_eq!(
        lab.ask("SELECT sum(amount) FROM interactions").await,
        ["9747747.93"]
    );
    assert!(lab.load(&shipped("online_retail"), &[&file]).await.files[0].loaded_before);
}

#[tokio::test]
async fn ecom_events() {
    let Some(data) = real_data() else { return };
    let lab = Lab::new().await;
    let file = data.join("ecom_events.csv.gz").display().to_string();
    let loaded = lab.load(&shipped("ecom_events"), &[&file]).await;
    assert_eq!(
        (loaded.read, loaded.added, loaded.refused),
        (31_106, 31_106, 0)
    );
    assert_eq!(loaded.new_customers, 600);
    assert_eq!(
        lab.ask("SELECT channel, count(*) FROM interactions GROUP BY 1 ORDER BY 1")
            .await,
        ["app|14835", "chat|277", "web|15994",]
    );
    assert_eq!(
        lab.count("SELECT count(DISTINCT session_id) FROM interactions")
            .await,
        3_605
    );
    assert_eq!(
        lab.count("SELECT count(*) FROM interactions WHERE outcome = 'purchase'")
            .await,
        470
    );
}

#[tokio::test]
async fn support_tickets() {
    let Some(data) = real_data() else { return };
    let lab = Lab::new().await;
    let file = data.join("support_tickets.csv").display().to_string();
    let loaded = lab.load(&shipped("support_tickets"), &[&file]).await;
    assert_eq!(
        (loaded.read, loaded.added, loaded.refused),
        (5_000, 8_724, 0)
    );
    assert_eq!(
        lab.ask("SELECT interaction_type, count(*), count(wait_s), count(score) FROM interactions GROUP BY 1 ORDER BY 1").await,
        ["contact|5000|5000|0", "survey|3724|0|3724"],
    );
    assert_eq!(
        lab.ask("SELECT channel, count(*) FROM interactions WHERE interaction_type = 'contact' GROUP BY 1 ORDER BY 1").await,
        ["bot|223", "chat|1796", "email|1554", "phone|926", "social|501"],
    );
    assert!(lab.count("SELECT count(*) FROM agents").await > 1);
}

#[tokio::test]
async fn cdnow() {
    let Some(data) = real_data() else { return };
    let lab = Lab::new().await;
    let file = data.join("cdnow_elog.csv").display().to_string();
    let loaded = lab.load(&shipped("cdnow"), &[&file]).await;
    assert_eq!(
        (loaded.read, loaded.added, loaded.new_customers),
        (6_919, 6_919, 2_357)
    );
    let span = lab
        .ask("SELECT min(occurred_at), max(occurred_at), sum(quantity) FROM interactions")
        .await;
    assert!(
        span[0].starts_with("1997-01-01T00:00:00Z|1998-06-30T00:00:00Z|"),
        "{}",
        span[0]
    );
}

#[tokio::test]
async fn hillstrom() {
    let Some(data) = real_data() else { return };
    let lab = Lab::new().await;
    let file = data.join("hillstrom.csv").display().to_string();
    let loaded = lab.load(&shipped("hillstrom"), &[&file]).await;
    assert_eq!(
        (loaded.read, loaded.refused, loaded.new_customers),
        (64_000, 0, 64_000)
    );
    let groups = lab
        .ask("SELECT interaction_type, outcome, count(*) FROM interactions GROUP BY 1, 2 ORDER BY 1, 2")
        .await;
    assert_eq!(
        groups,
        [
            "assignment|control|21306",
            "assignment|treated|42694",
            "purchase|purchase|578",
            "visit|NULL|9394",
        ]
    );
    assert_eq!(
        lab.ask("SELECT campaign_id, starts_at FROM campaigns")
            .await,
        ["hillstrom|2008-03-20T09:00:00Z"]
    );
}

#[tokio::test]
async fn all_of_them_are_one_history() {
    let Some(data) = real_data() else { return };
    let lab = Lab::new().await;
    let files = [
        ("online_retail", "online_retail.parquet", 541_909),
        ("ecom_events", "ecom_events.csv.gz", 31_106),
        ("support_tickets", "support_tickets.csv", 8_724),
        ("cdnow", "cdnow_elog.csv", 6_919),
        ("hillstrom", "hillstrom.csv", 73_972),
    ];
    for (source, file, added) in files {
        let file = data.join(file).display().to_string();
        assert_eq!(
            lab.load(&shipped(source), &[&file]).await.added,
            added,
            "{source}"
        );
    }
    let history = lab
        .ask("SELECT source, channel, date_trunc('month', occurred_at) AS month, count(*) FROM interactions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")
        .await;
    assert!(history.len() > 100);
    assert!(
        history
            .iter()
            .any(|row| row == "hillstrom|email|2008-03-01T00:00:00Z|64000")
    );
    assert_eq!(
        lab.ask("SELECT count(*), count(DISTINCT source) FROM interactions")
            .await,
        ["662630|5"]
    );
}
