//! The tables of the schema `scores`: flat, one row per customer (and item), what BI tools read. Each model has one of
//! its own, and beside it `…_history` with the scores of every version that is kept, published or not.

use rapport_lake::TableName;

use crate::{
    options::Kind,
    registry::Definition,
    work::{named, quoted},
};

/// A column: its name, its type and what it means.
type Column = (&'static str, &'static str, &'static str);

const CLV: &[Column] = &[
    ("as_of", "date", "The last day that was known of"),
    (
        "horizon_days",
        "integer",
        "So many days from then on are foretold",
    ),
    (
        "p_alive",
        "double precision",
        "Probability that the customer has not left for good",
    ),
    (
        "expected_purchases",
        "double precision",
        "Days with a purchase expected within the horizon",
    ),
    (
        "expected_spend",
        "numeric(18,2)",
        "Expected spend on such a day",
    ),
    (
        "clv",
        "numeric(18,2)",
        "Expected spend within the horizon, in money of today",
    ),
    (
        "clv_low",
        "numeric(18,2)",
        "Nine of ten such customers lay between this and clv_high in the holdout",
    ),
    ("clv_high", "numeric(18,2)", "See clv_low"),
    (
        "band",
        "text",
        "very high: the best 5 %, high: the next 15 %, medium: the next 30 %, low",
    ),
    ("reason_1", "text", "What sets the customer apart most"),
    ("reason_2", "text", "What comes second"),
    ("reason_3", "text", "What comes third"),
];

const CHURN: &[Column] = &[
    ("as_of", "date", "The last day that was known of"),
    (
        "horizon_days",
        "integer",
        "So many days from then on are foretold",
    ),
    (
        "p_churn",
        "double precision",
        "Probability of churn: of no purchase within the horizon, or of what the model's query calls churn",
    ),
    (
        "p_low",
        "double precision",
        "Nine of ten groups of such customers lay between this and p_high in the holdout",
    ),
    ("p_high", "double precision", "See p_low"),
    (
        "p_alive",
        "double precision",
        "Probability that the customer has not left for good; NULL where the model does not tell",
    ),
    ("band", "text", "high: from 0.7, medium: from 0.4, low"),
    (
        "reason_1",
        "text",
        "What speaks most for the probability being what it is",
    ),
    ("reason_2", "text", "What comes second"),
    ("reason_3", "text", "What comes third"),
];

const SEGMENTS: &[Column] = &[
    ("as_of", "date", "The last day that was known of"),
    ("horizon_days", "integer", "So many days before count"),
    ("segment", "bigint", "Number of the segment, from 1"),
    ("segment_name", "text", "What it is called"),
    (
        "p_segment",
        "double precision",
        "Probability of belonging to it, of mixtures; 1 where there is no doubt",
    ),
    (
        "distance",
        "double precision",
        "From the segment's centre, in standard deviations; NULL for RFM",
    ),
    (
        "recency_days",
        "double precision",
        "Days since the last purchase",
    ),
    ("frequency", "double precision", "Days with a purchase"),
    ("monetary", "double precision", "Spend"),
    ("reason_1", "text", "What sets the customer apart most"),
    ("reason_2", "text", "What comes second"),
    ("reason_3", "text", "What comes third"),
];

const UPLIFT: &[Column] = &[
    ("as_of", "date", "The last day that was known of"),
    (
        "horizon_days",
        "integer",
        "So many days after the contact count; NULL where the model's query says",
    ),
    (
        "uplift",
        "double precision",
        "By how much addressing the customer raises the outcome",
    ),
    (
        "uplift_low",
        "double precision",
        "The mean effect among such customers in the holdout, less 1.96 standard errors",
    ),
    (
        "uplift_high",
        "double precision",
        "The same and 1.96 standard errors",
    ),
    (
        "p_if_treated",
        "double precision",
        "Expected outcome if addressed",
    ),
    ("p_if_not", "double precision", "Expected outcome if not"),
    (
        "band",
        "text",
        "persuadable: the best third, if it gains; neutral; do not disturb: a loss is expected",
    ),
    (
        "reason_1",
        "text",
        "What speaks most for the uplift being what it is",
    ),
    ("reason_2", "text", "What comes second"),
    ("reason_3", "text", "What comes third"),
];

const RECOMMENDATIONS: &[Column] = &[
    ("rank", "bigint", "1 is the best"),
    ("item_id", "text", "What to recommend"),
    ("as_of", "date", "The last day that was known of"),
    (
        "horizon_days",
        "integer",
        "It was judged by what was bought in so many days; NULL where nothing tells when",
    ),
    (
        "score",
        "double precision",
        "On the model's own scale; only comparable within the model",
    ),
    ("reason_1", "text", "Why this item"),
    ("reason_2", "text", "Why, besides"),
    ("reason_3", "text", "Why, besides"),
];

impl Kind {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::Clv => CLV,
            Self::Churn => CHURN,
            Self::Segmentation => SEGMENTS,
            Self::Uplift => UPLIFT,
            Self::Recommendation => RECOMMENDATIONS,
        }
    }

    fn keys(self) -> &'static str {
        match self {
            Self::Recommendation => "customer_id, rank",
            _ => "customer_id",
        }
    }

    /// The score whose drift is watched, as an expression.
    pub fn score(self) -> Option<&'static str> {
        match self {
            Self::Clv => Some("clv::double precision"),
            Self::Churn => Some("p_churn"),
            Self::Segmentation => None,
            Self::Uplift => Some("uplift"),
            Self::Recommendation => None,
        }
    }
}

impl Definition {
    pub fn table(&self) -> String {
        format!("scores.{}", named(&self.scores))
    }

    pub fn history(&self) -> String {
        format!("scores.{}", named(&format!("{}_history", self.scores)))
    }

    /// The same in the lake.
    pub fn score_table(&self) -> TableName {
        TableName::new("scores", &self.scores)
    }

    pub fn history_table(&self) -> TableName {
        TableName::new("scores", format!("{}_history", self.scores))
    }

    /// The columns in the order in which a type's query answers them.
    pub fn score_columns(&self) -> String {
        let names: Vec<&str> = self.kind.columns().iter().map(|column| column.0).collect();
        format!("customer_id, {}", names.join(", "))
    }

    /// Statements that make the two tables; `key` is the type of `customer_id`.
    pub fn make_tables(&self, key: &str) -> String {
        let columns: Vec<String> = self
            .kind
            .columns()
            .iter()
            .map(|(name, kind, _)| format!("{name} {kind}"))
            .collect();
        let columns = columns.join(", ");
        let reference = match key {
            "bigint" => " REFERENCES customers (customer_id)",
            _ => "",
        };
        let keys = self.kind.keys();
        let mut sql = format!(
            "CREATE TABLE {table} (customer_id {key} NOT NULL{reference}, {columns}, model text NOT NULL, version bigint NOT NULL, PRIMARY KEY ({keys}));
             CREATE TABLE {history} (customer_id {key} NOT NULL, {columns}, model text NOT NULL, version bigint NOT NULL, PRIMARY KEY (version, {keys}));
             COMMENT ON TABLE {table} IS {about};
             COMMENT ON TABLE {history} IS {past};",
            table = self.table(),
            history = self.history(),
            about = quoted(&format!("What the {} model {} says of each customer: the version in use", self.kind.name(), self.model)),
            past = quoted(&format!("What each version of the model {} that is kept says of each customer", self.model)),
        );
        let table = self.table();
        let told = self
            .kind
            .columns()
            .iter()
            .map(|(name, _, about)| (*name, *about));
        for (name, about) in told.chain([
            ("customer_id", "Of whom"),
            ("model", "Which model says so"),
            ("version", "Which version of it, in models.versions"),
        ]) {
            sql.push_str(&format!(
                "COMMENT ON COLUMN {table}.{name} IS {};",
                quoted(about)
            ));
        }
        sql.push_str(&format!(
            "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table}, {} FROM rapport_writer, rapport_admin;",
            self.history()
        ));
        // Whoever made the model decides who reads its scores.
        if self.owner != rapport_catalog_postgres::Catalogue::OWNER {
            let owner = named(&self.owner);
            sql.push_str(&format!(
                "GRANT SELECT ON {table}, {} TO {owner} WITH GRANT OPTION;",
                self.history()
            ));
        }
        sql
    }

    /// Puts the scores of a version that is kept in the place of those that are read; `consenting` is ` AND …` or empty.
    pub fn publish(&self, version: i64, consenting: &str) -> String {
        let (table, columns) = (self.table(), self.score_columns());
        format!(
            "DELETE FROM {table};
             INSERT INTO {table} ({columns}, model, version)
             SELECT {columns}, model, version FROM {} AS given WHERE version = {version}{consenting};",
            self.history()
        )
    }
}
