//! Four questions to the synthetic history, and how an answer is shown.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use rapport_engine::{Column, Outcome, Warehouse};

use crate::failure::{Failure, Result};
use crate::output::Table;

pub struct Question {
    pub title: &'static str,
    pub sql: &'static str,
}

pub const ALL: &[Question] = &[
    Question {
        title: "1. How do customers reach us, and where do they buy or refuse?",
        sql: "\
SELECT channel,
       count(*) AS interactions,
       count(*) FILTER (WHERE interaction_type = 'contact') AS contacts,
       count(*) FILTER (WHERE outcome = 'purchase') AS purchases,
       count(*) FILTER (WHERE outcome = 'refusal') AS refusals,
       sum(amount) FILTER (WHERE outcome = 'purchase') AS revenue,
       round(sum(cost), 0) AS cost
FROM interactions
GROUP BY channel
ORDER BY interactions DESC",
    },
    Question {
        title: "2. What does a bad contact do to the Net Promoter Score?",
        sql: "\
WITH heard AS (
  SELECT survey, score,
         count(*) FILTER (WHERE outcome = 'unresolved' AND sentiment <= -0.5)
           OVER (PARTITION BY customer_id ORDER BY occurred_at) AS bad_contacts
  FROM interactions
  WHERE survey = 'nps' OR interaction_type = 'contact'
)
SELECT least(bad_contacts, 3) AS bad_contacts_before,
       count(*) AS answers,
       round(100.0 * (count(*) FILTER (WHERE score >= 9) - count(*) FILTER (WHERE score <= 6)) / count(*), 1) AS nps
FROM heard
WHERE survey = 'nps'
GROUP BY 1
ORDER BY 1",
    },
    Question {
        title: "3. How often must customers come back with the same problem, and do they change the channel?",
        sql: "\
WITH cases AS (
  SELECT case_id,
         count(*) AS contacts,
         min(channel) <> max(channel) AS changed_channel,
         max(outcome) FILTER (WHERE outcome = 'resolved') IS NOT NULL AS resolved
  FROM interactions
  WHERE interaction_type = 'contact'
  GROUP BY case_id
)
SELECT least(contacts, 4) AS contacts,
       count(*) AS cases,
       round(100.0 * count(*) FILTER (WHERE changed_channel) / count(*), 1) AS percent_changed_channel,
       round(100.0 * count(*) FILTER (WHERE resolved) / count(*), 1) AS percent_resolved
FROM cases
GROUP BY 1
ORDER BY 1",
    },
    Question {
        title: "4. Who will be worth most in the year to come, and is anybody of them about to leave?",
        sql: "\
SELECT customer_id, clv, clv_low, clv_high, round(p_churn::numeric, 2) AS p_churn, segment_name, clv.reason_1
FROM scores.clv JOIN scores.churn USING (customer_id) LEFT JOIN scores.segments USING (customer_id)
ORDER BY clv DESC LIMIT 5",
    },
];

/// Runs one query as that user, as a connection would, and renders the rows.
pub async fn ask(warehouse: &Warehouse, user: &str, sql: &str) -> Result<String> {
    let mut session = warehouse.session(user);
    let statement = session.parse(sql)?.pop().expect("one statement");
    let prepared = session.prepare(&statement, &[]).await?;
    match session.execute(&prepared, vec![]).await? {
        Outcome::Rows {
            columns, stream, ..
        } => render(&columns, stream).await,
        _ => Err(Failure::new("a query gave no rows: internal error")),
    }
}

async fn render(columns: &[Column], stream: SendableRecordBatchStream) -> Result<String> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Failure::doing("answering a question", error);
    let batches: Vec<_> = stream.try_collect().await.map_err(|e| failed(&e))?;
    // Numbers to the right: everything that is not text.
    let heads: Vec<String> = columns
        .iter()
        .map(|column| {
            if column.data_type.is_numeric() {
                format!(">{}", column.name)
            } else {
                column.name.clone()
            }
        })
        .collect();
    let mut table = Table::new(&heads.iter().map(String::as_str).collect::<Vec<_>>());
    let options = FormatOptions::default();
    for batch in &batches {
        let cells: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()
            .map_err(|e| failed(&e))?;
        for row in 0..batch.num_rows() {
            table.row(
                cells
                    .iter()
                    .map(|cell| cell.value(row).to_string())
                    .collect(),
            );
        }
    }
    Ok(table.render())
}

pub fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
