//! `rapport refresh`: models fitted anew, judged, and published if they deserve it.

use clap::Args;
use rapport_models::Statement;
use serde_json::{Value, json};

use super::Context;
use crate::failure::{BUSY, FAILED, Failure, INTERRUPTED, NOT_PUBLISHED, Result, USAGE};
use crate::models::{self, Door};
use crate::output;

/// What a scheduler goes by.
pub const EXIT_CODES: &str = "Exit codes:\n  \
    0    published\n  \
    1    failed\n  \
    2    wrong usage, such as a model that does not exist, or a new one that does\n  \
    3    judged and not published: not better than the baseline or the version in use\n  \
    4    somebody else refreshes it now, or took over while this one was held up; the message says who\n  \
    130  interrupted\n\
    Of several models, the most serious counts: 130, 1, 2, 4, 3, 0.";

/// Refresh models: fit them to the history, judge them, publish their scores
#[derive(Args, Debug)]
#[command(
    after_help = format!(
        "Examples:\n  rapport refresh clv\n  rapport refresh --all --json\n  rapport refresh clv --as-of 2026-01-31\n\n{EXIT_CODES}"
    )
)]
pub struct Refresh {
    /// Models to refresh
    #[arg(value_name = "MODEL", required_unless_present = "all")]
    models: Vec<String>,
    /// All that there are
    #[arg(long, conflicts_with = "models")]
    all: bool,
    /// Fit and score as of the end of this day: nothing from after it is looked at
    #[arg(long, value_name = "DAY")]
    as_of: Option<String>,
    /// As JSON: an array of {model, version, rows, left_out, seconds, metric, value, baseline, baseline_value, grade, published, why}, or of {model, error, hint, exit_code} where it failed
    #[arg(long)]
    json: bool,
}

impl Refresh {
    pub async fn run(self, context: Context) -> Result {
        let door = Door::open(&context).await?;
        let done = self.refresh(&context, &door).await;
        door.close().await;
        done
    }

    async fn refresh(&self, context: &Context, door: &Door) -> Result {
        let names = match self.all {
            true => all(context, door).await?,
            false => once_each(&self.models),
        };
        let is_one = names.len() == 1;
        let mut told: Vec<Value> = vec![];
        let mut codes = vec![];
        for name in names {
            let statement = Statement::refresh(&name, self.as_of.as_deref());
            let refreshed = door.run(context, statement).await;
            let outcome = match &refreshed {
                Ok(answer) if self.json => {
                    told.extend(output::objects(&answer.batch));
                    models::judged(answer)
                }
                Ok(answer) => models::tell_refreshed(answer),
                Err(failure) => {
                    match is_one {
                        true => failure.print(),
                        false => failure.print_after(&format!("model \"{name}\": ")),
                    }
                    told.push(json!({
                        "model": name, "error": failure.cause, "hint": failure.hint, "exit_code": failure.code,
                    }));
                    Err(Failure::said(failure.code))
                }
            };
            if let Err(failure) = outcome {
                codes.push(failure.code);
            }
            if context.interrupt.token.is_cancelled() {
                break;
            }
        }
        if self.json {
            output::json(&told)?;
        }
        match worst(&codes) {
            None => Ok(()),
            Some(code) => Err(Failure::said(code)),
        }
    }
}

/// In the order in which they were named first.
fn once_each(names: &[String]) -> Vec<String> {
    let mut once: Vec<String> = vec![];
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

/// Each on its own, so that one that fails does not keep the others from being fresh.
async fn all(context: &Context, door: &Door) -> Result<Vec<String>> {
    let shown = door.run(context, Statement::show()).await?;
    let rows = output::objects(&shown.batch);
    let names = rows.iter().filter_map(|row| row["model"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn worst(codes: &[u8]) -> Option<u8> {
    let order = [INTERRUPTED, FAILED, USAGE, BUSY, NOT_PUBLISHED];
    order.into_iter().find(|code| codes.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_serious_code_counts() {
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[NOT_PUBLISHED, BUSY]), Some(BUSY));
        assert_eq!(worst(&[BUSY, FAILED, NOT_PUBLISHED]), Some(FAILED));
    }
}
