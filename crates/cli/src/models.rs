//! Statements about models, carried out for the command line: as the administrator, with a bar, until Ctrl-C.

use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use rapport_catalog_postgres::Catalogue;
use rapport_engine::{Cancel, Warehouse};
use rapport_models::{Answer, Limits, Models, Statement};
use serde_json::Value;

use crate::commands::Context;
use crate::failure::{Failure, NOT_PUBLISHED, Result};
use crate::progress::Progress;
use crate::{open, output, runtimes};

/// The models of the lake that the settings name.
pub struct Door {
    warehouse: Warehouse,
    models: Models,
}

impl Door {
    pub async fn open(context: &Context) -> Result<Self> {
        let settings = context.settings().clone();
        let opening = runtimes::on(
            &context.compute,
            async move { open::warehouse(&settings).await },
        );
        let warehouse = context.interrupt.or(opening).await??;
        let limits = Limits {
            lease: context.settings().jobs.lease.or_very_long(),
        };
        let models = Models::new(warehouse.clone(), limits).named("rapport refresh");
        Ok(Self { warehouse, models })
    }

    pub async fn close(self) {
        if let Some(catalogue) = self.warehouse.catalogue() {
            catalogue.shutdown().await;
        }
    }

    /// After Ctrl-C it is told to end and waited for: it leaves nothing half done.
    pub async fn run(&self, context: &Context, statement: Statement) -> Result<Answer> {
        let cancel = Cancel::default();
        let (models, cancelled) = (self.models.clone(), cancel.clone());
        let work = runtimes::on(&context.compute, async move {
            let bar = OnceLock::new();
            let tell = |at: rapport_models::Progress| {
                let bar = bar.get_or_init(|| Progress::new("refreshing", at.total.into()));
                bar.set(at.done.into());
                bar.say(at.to_string());
            };
            let role = Catalogue::OWNER;
            models.run(role, &statement, &[], &tell, &cancelled).await
        });
        let mut work = pin!(work);
        let answer = tokio::select! {
            done = &mut work => done?,
            () = context.interrupt.token.cancelled() => {
                cancel.cancel();
                // It came to its end after all, or not.
                work.await.map_err(|_| Failure::interrupted())?
            }
        };
        for notice in &answer.notices {
            eprintln!("{notice}");
        }
        for warning in &answer.warnings {
            eprintln!("warning: {warning}");
        }
        Ok(answer)
    }
}

/// One line for each model that was refreshed; exit code 3 if one of them was not published.
pub fn tell_refreshed(answer: &Answer) -> Result {
    for row in output::objects(&answer.batch) {
        output::line(&refreshed(&row))?;
    }
    judged(answer)
}

pub fn judged(answer: &Answer) -> Result {
    match answer.is_published {
        true => Ok(()),
        false => Err(Failure::said(NOT_PUBLISHED)),
    }
}

/// `clv: version 3 published: 98,304 rows in 12.3 s, purchases_mae 0.52 (the customer's own past rate 0.61), grade A`
fn refreshed(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let number = |name: &str| row[name].as_f64();
    let model = text("model").unwrap_or_default();
    let why = text("why").unwrap_or_default();
    let Some(version) = row["version"].as_i64() else {
        return format!("{model}: {why}");
    };
    let became = match row["published"] == Value::Bool(true) {
        true => "published",
        false => "not published",
    };
    let mut said = format!("{model}: version {version} {became}");
    let mut facts = vec![];
    if let Some(rows) = row["rows"].as_u64() {
        facts.push(output::counted(rows, "row", "rows"));
    }
    if let Some(left_out) = row["left_out"].as_u64().filter(|left_out| *left_out > 0) {
        facts.push(format!("{} left out", output::count(left_out)));
    }
    if let (Some(metric), Some(value)) = (text("metric"), number("value")) {
        let mut fact = format!("{metric} {}", short(value));
        if let (Some(baseline), Some(value)) = (text("baseline"), number("baseline_value")) {
            fact += &format!(" ({baseline}: {})", short(value));
        }
        facts.push(fact);
    }
    if let Some(grade) = text("grade") {
        facts.push(format!("grade {grade}"));
    }
    if !facts.is_empty() {
        said += &format!(": {}", facts.join(", "));
    }
    if let Some(seconds) = number("seconds").filter(|seconds| *seconds >= 0.0) {
        said += &format!(
            ", in {}",
            output::duration(Duration::from_secs_f64(seconds))
        );
    }
    match why.is_empty() {
        true => said,
        false => format!("{said}; {why}"),
    }
}

fn short(value: f64) -> String {
    match value.abs() >= 100.0 {
        true => format!("{value:.1}"),
        false => format!("{value:.4}"),
    }
}

/// A column to be printed: its name in the answer and its head.
pub type Head = (&'static str, &'static str);

pub fn print(batch: &RecordBatch, heads: &[Head]) -> Result {
    let titles: Vec<&str> = heads.iter().map(|(_, title)| *title).collect();
    let mut table = output::Table::new(&titles);
    for row in output::objects(batch) {
        let cell = |(name, _): &Head| match &row[*name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_f64() => short(number.as_f64().unwrap_or(f64::NAN)),
            other => other.to_string(),
        };
        table.row(heads.iter().map(cell).collect());
    }
    table.print()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_says_what_became_of_a_model() {
        let row = json!({
            "model": "clv", "version": 3, "rows": 98304, "left_out": 12, "seconds": 12.34, "metric": "purchases_mae",
            "value": 0.5234, "baseline": "the customer's own past rate", "baseline_value": 0.61, "grade": "A",
            "published": true, "why": null,
        });
        assert_eq!(
            refreshed(&row),
            "clv: version 3 published: 98,304 rows, 12 left out, purchases_mae 0.5234 \
             (the customer's own past rate: 0.6100), grade A, in 12.3 s"
        );
    }

    #[test]
    fn what_was_not_published_says_why() {
        let row = json!({"model": "clv", "version": 4, "published": false, "why": "not better than the baseline"});
        assert_eq!(
            refreshed(&row),
            "clv: version 4 not published; not better than the baseline"
        );
        let row = json!({"model": "clv", "version": null, "published": false, "why": "made, and not refreshed yet"});
        assert_eq!(refreshed(&row), "clv: made, and not refreshed yet");
    }
}
