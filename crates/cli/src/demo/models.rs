//! The models that the demo makes: one statement each, fitted, judged and published.

use std::time::Instant;

use rapport_engine::{Cancel, Warehouse};
use rapport_models::{Limits, Models, Statement};

use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::output::duration;
use crate::progress::Progress;
use crate::runtimes;

const ALL: [&str; 3] = [
    "CREATE MODEL IF NOT EXISTS clv TYPE clv OPTIONS (horizon = '1 year', refresh = '0 3 * * *')",
    "CREATE MODEL IF NOT EXISTS churn TYPE churn OPTIONS (horizon = '90 days', refresh = '0 4 * * *')",
    "CREATE MODEL IF NOT EXISTS segments TYPE segmentation OPTIONS (refresh = '0 5 * * *')",
];

/// Makes those that are not there yet, in the name of a user; `say` is told of each.
pub async fn make(
    context: &Context,
    warehouse: &Warehouse,
    user: &'static str,
    say: impl Fn(&str),
) -> Result {
    for sql in ALL {
        let start = Instant::now();
        let models = Models::new(warehouse.clone(), Limits::default()).named("rapport demo");
        let work = async move {
            let statement = Statement::read(sql).expect("a statement of ours")?;
            let bar = Progress::new("making models", 5);
            let tell = |at: rapport_models::Progress| {
                bar.set(u64::from(at.done));
                bar.say(format!("{}: {}", at.model, at.phase));
            };
            models
                .run(user, &statement, &[], &tell, &Cancel::default())
                .await
        };
        let made = context
            .interrupt
            .or(runtimes::on(&context.compute, work))
            .await?;
        let answer = made.map_err(|error| Failure::doing("making a model", &error))?;
        if answer.batch.num_rows() > 0 {
            let (_, why) = answer.told();
            let sql = sql.replace(" IF NOT EXISTS", "");
            say(&format!(
                "  {sql}\n    {why}, in {}",
                duration(start.elapsed())
            ));
        }
    }
    Ok(())
}
