//! What a published model says of features, as SQL over `$repeats`, `$recency`, `$age`, `$mean_spend` and `$horizon`.

use datafusion::sql::sqlparser::ast::{Expr, Value};

use super::published::Published;
use crate::{Error, Result};

/// Discounting does not look closer.
const STEP_DAYS: f64 = 92.0;
const YEAR: f64 = 365.25;

pub(super) fn of(function: &str, model: &Published, horizon: Option<&Expr>) -> Result<String> {
    let purchasing = Purchasing::of(model)?;
    let own = || model.number("horizon_days");
    Ok(match function {
        "p_alive" => purchasing.p_alive(),
        "expected_purchases" => purchasing.expected("$horizon"),
        "churn_probability" => match horizon {
            Some(_) => purchasing.p_silent("$horizon"),
            None => purchasing.p_silent(&number(own()?)),
        },
        _ => {
            let days = match horizon {
                Some(horizon) => days(horizon)?,
                None => own()?,
            };
            let discount = model.number("discount")?;
            value(&purchasing, &per_purchase(model)?, days, discount)
        }
    })
}

/// A family of models of repeated purchases, with its parameters.
struct Purchasing {
    family: String,
    parameters: Vec<f64>,
}

impl Purchasing {
    fn of(model: &Published) -> Result<Self> {
        let family = model.text("family").unwrap_or_default();
        let names: &[&str] = match family {
            "bgnbd" | "mbgnbd" => &["r", "alpha", "a", "b"],
            "pnbd" => &["r", "alpha", "s", "beta"],
            "nbd" => &["r", "alpha"],
            _ => return Err(model.knows_no_features()),
        };
        let parameters = names.iter().map(|name| model.number(name));
        Ok(Self {
            parameters: parameters.collect::<Result<_>>()?,
            family: family.to_owned(),
        })
    }

    fn arguments(&self) -> String {
        let numbers: Vec<String> = self.parameters.iter().map(|value| number(*value)).collect();
        numbers.join(", ")
    }

    fn expected(&self, days: &str) -> String {
        let (family, arguments) = (&self.family, self.arguments());
        format!("{family}_expected_purchases({arguments}, $repeats, $recency, $age, {days})")
    }

    fn p_alive(&self) -> String {
        let (family, arguments) = (&self.family, self.arguments());
        match family.as_str() {
            // Nobody stops.
            "nbd" => {
                "CASE WHEN $repeats + $recency + $age IS NOT NULL THEN 1::double precision END"
                    .to_owned()
            }
            _ => format!("{family}_p_alive({arguments}, $repeats, $recency, $age)"),
        }
    }

    /// Chance of no purchase within so many days: whoever is alive buys at a rate that is gamma distributed with shape
    /// r + repeats and rate alpha + age.
    fn p_silent(&self, days: &str) -> String {
        let (r, alpha) = (number(self.parameters[0]), number(self.parameters[1]));
        let silent = format!(
            "1 - {} * (1 - power(({alpha} + $age) / ({alpha} + $age + {days}), {r} + $repeats))",
            self.p_alive()
        );
        format!(
            "CASE WHEN $repeats + $recency + $age IS NOT NULL THEN least(1, greatest(0, {silent})) END"
        )
    }
}

fn per_purchase(model: &Published) -> Result<String> {
    if model.number("p").is_err() {
        let average = number(model.number("average_spend")?);
        return Ok(format!("coalesce($mean_spend, {average})"));
    }
    let [p, q, v] = ["p", "q", "v"].map(|name| model.number(name).map(number));
    Ok(format!(
        "gamma_gamma_expected_value({}, {}, {}, CASE WHEN $mean_spend > 0 THEN $repeats ELSE 0 END, coalesce($mean_spend, 0))",
        p?, q?, v?
    ))
}

/// What is spent in each step, in money of today.
fn value(purchasing: &Purchasing, per_purchase: &str, days: f64, discount: f64) -> String {
    let n_steps = (days / STEP_DAYS).ceil().clamp(1.0, 20.0) as usize;
    let step = days / n_steps as f64;
    let factor = |n: usize| (1.0 + discount).powf(-(n as f64 + 0.5) * step / YEAR);
    let worth = (0..n_steps).map(|n| {
        let next = if n + 1 < n_steps { factor(n + 1) } else { 0.0 };
        let up_to = purchasing.expected(&number((n + 1) as f64 * step));
        format!("{up_to} * {}", number(factor(n) - next))
    });
    let worth: Vec<String> = worth.collect();
    format!("{per_purchase} * ({})", worth.join(" + "))
}

/// 22023 if it is no number above 0.
fn days(horizon: &Expr) -> Result<f64> {
    let read = match horizon {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => return days(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) | Value::SingleQuotedString(number) => {
                number.parse().ok().filter(|days: &f64| *days > 0.0)
            }
            _ => None,
        },
        _ => None,
    };
    read.filter(|days| days.is_finite())
        .ok_or_else(|| Error::InvalidParameter {
            message: "the horizon of clv() must be a number of days above 0, as a literal"
                .to_owned(),
            hint: None,
        })
}

fn number(value: f64) -> String {
    format!("{value:e}::double precision")
}
