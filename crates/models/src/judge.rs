//! Whether a version may be published: better than a naive baseline, and not clearly worse than the version in use.

use arrow::array::RecordBatch;

use crate::{Result, registry::Parameters};

/// How good a version was on a holdout that it had not seen.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub metric: &'static str,
    pub lower_is_better: bool,
    pub value: f64,
    /// What somebody would foretell who knows no model, named.
    pub baseline: String,
    pub baseline_value: f64,
    /// The version in use, on the same holdout.
    pub in_use: Option<InUse>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct InUse {
    pub value: f64,
    /// By how much it is better than the candidate, and the standard error of that, both customer by customer; none
    /// where a metric is not a mean over customers.
    pub better_by: Option<(f64, f64)>,
}

/// What a version is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    A,
    B,
    C,
    D,
}

impl Grade {
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

/// Less than this is nothing: it is 0.0 % where it is shown.
const LEAST_SKILL: f64 = 0.0005;
/// Standard errors by which the version in use must be better, or an order better than none.
pub(crate) const CLEARLY: f64 = 2.0;
/// The same for metrics that have none: a share of the value.
const CLEARLY_SHARE: f64 = 0.02;

impl Judgement {
    /// By what share it is better than the baseline; by how much, where that has no shares.
    pub fn skill(&self) -> f64 {
        let better_by = match self.lower_is_better {
            true => self.baseline_value - self.value,
            false => self.value - self.baseline_value,
        };
        match self.has_shares() {
            true => better_by / self.baseline_value,
            false => better_by,
        }
    }

    fn has_shares(&self) -> bool {
        self.baseline_value > 0.0
    }

    /// What it is set beside.
    pub fn baseline_name(&self) -> &str {
        self.baseline.trim_end_matches(',')
    }

    pub fn grade(&self) -> Grade {
        match self.skill() {
            skill if skill >= 0.1 => Grade::A,
            skill if skill >= 0.02 => Grade::B,
            skill if skill >= LEAST_SKILL => Grade::C,
            _ => Grade::D,
        }
    }

    /// Why it is not to be published, in words for an analyst. `None` publishes.
    pub fn objection(&self) -> Option<String> {
        if !self.value.is_finite() {
            return Some(format!(
                "its {} could not be measured on the holdout",
                words(self.metric)
            ));
        }
        if self.grade() == Grade::D {
            let (how, beside) = match (self.lower_is_better, self.skill() < -LEAST_SKILL) {
                (_, false) => ("as well as", "beside"),
                (true, true) => ("better than", "higher than"),
                (false, true) => ("better than", "lower than"),
            };
            return Some(format!(
                "on the holdout {} foretells {how} the model: the model's {} is {}, {beside} {}",
                self.baseline,
                words(self.metric),
                shown(self.value),
                shown(self.baseline_value),
            ));
        }
        let in_use = self.in_use?;
        let is_clear = match in_use.better_by {
            Some((better_by, error)) => better_by > CLEARLY * error,
            None if self.lower_is_better => self.value > in_use.value * (1.0 + CLEARLY_SHARE),
            None => self.value < in_use.value * (1.0 - CLEARLY_SHARE),
        };
        is_clear.then(|| {
            format!(
                "the version in use is clearly better on the same holdout: its {} is {}, this one's {}",
                words(self.metric),
                shown(in_use.value),
                shown(self.value),
            )
        })
    }

    /// In words for an analyst, when it is published.
    pub fn praise(&self) -> String {
        let by = match self.has_shares() {
            true => format!(" by {:.1} %", 100.0 * self.skill()),
            false => String::new(),
        };
        format!(
            "better than {}{by}: its {} on the holdout is {}, the baseline's {}",
            self.baseline,
            words(self.metric),
            shown(self.value),
            shown(self.baseline_value),
        )
    }
}

/// A metric's name as one says it.
fn words(metric: &str) -> String {
    match metric {
        "purchases_mae" => "mean error (purchases per customer)".to_owned(),
        "brier" => "Brier score".to_owned(),
        other => other.replace('_', " "),
    }
}

fn shown(value: f64) -> String {
    format!("{value:.4}")
}

/// Scores of a batch of customers.
pub(crate) type Compute = Box<dyn Fn(&RecordBatch) -> Result<RecordBatch> + Send + Sync>;

/// How the scores are come by.
pub(crate) enum Scores {
    /// A query answers them.
    Query(String),
    /// They are computed of the batches that a query answers, in the order of the table's columns.
    Computed { query: String, compute: Compute },
}

/// All that a fit comes to, before it is judged.
pub(crate) struct Fitted {
    pub judgement: Judgement,
    /// By name: the version's, the baseline's, that of the version in use.
    pub metrics: Vec<Measured>,
    pub parameters: Parameters,
    /// Features with their shares.
    pub importance: Vec<(String, f64)>,
    pub customers: u64,
    pub left_out: u64,
    /// The rows of the score table, but for model and version.
    pub scores: Scores,
    /// What an analyst should know besides: a fallback, a drift, a suspicious feature.
    pub remarks: Vec<String>,
    /// What forbids publication whatever the metric says, such as a feature that knows the future.
    pub objection: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub metric: String,
    pub value: f64,
    pub baseline_value: Option<f64>,
    pub in_use_value: Option<f64>,
}

impl Measured {
    pub fn of(metric: impl Into<String>, value: f64) -> Self {
        Self {
            metric: metric.into(),
            value,
            baseline_value: None,
            in_use_value: None,
        }
    }

    pub fn beside(mut self, baseline: f64) -> Self {
        self.baseline_value = Some(baseline);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(value: f64, baseline: f64, in_use: Option<InUse>) -> Judgement {
        Judgement {
            metric: "purchases_mae",
            lower_is_better: true,
            value,
            baseline: "the customer's own past rate".to_owned(),
            baseline_value: baseline,
            in_use,
        }
    }

    #[test]
    fn grades_say_how_much_better_than_the_baseline() {
        for (value, grade) in [
            (0.85, "A"),
            (0.95, "B"),
            (0.99, "C"),
            (1.0, "D"),
            (1.2, "D"),
        ] {
            assert_eq!(judged(value, 1.0, None).grade().name(), grade, "{value}");
        }
    }

    #[test]
    fn what_is_not_better_than_the_baseline_is_not_published() {
        let why = judged(0.997, 0.967, None).objection().expect("worse");
        assert!(why.contains("own past rate foretells better"), "{why}");
        assert_eq!(judged(0.9, 1.0, None).objection(), None);
    }

    #[test]
    fn nothing_is_a_share_of_a_baseline_of_0() {
        let why = judged(0.3, 0.0, None).objection().expect("worse");
        assert!(why.contains("higher than 0.0000"), "{why}");
        let why = judged(0.0, 0.0, None).objection().expect("no better");
        assert!(why.contains("as well as"), "{why}");
        let qini = |value| Judgement {
            metric: "qini",
            lower_is_better: false,
            ..judged(value, 0.0, None)
        };
        let why = qini(-0.02).objection().expect("worse");
        assert!(why.contains("is -0.0200, lower than 0.0000"), "{why}");
        let why = qini(0.022).praise();
        assert!(!why.contains('%') && why.contains("0.0220"), "{why}");
    }

    #[test]
    fn the_version_in_use_must_be_clearly_better_to_stay() {
        let in_use = |better_by, error| {
            Some(InUse {
                value: 0.89,
                better_by: Some((better_by, error)),
            })
        };
        assert_eq!(judged(0.9, 1.0, in_use(0.01, 0.02)).objection(), None);
        assert!(judged(0.9, 1.0, in_use(0.01, 0.004)).objection().is_some());
    }

    #[test]
    fn what_could_not_be_measured_is_not_published() {
        assert!(judged(f64::NAN, 1.0, None).objection().is_some());
    }
}
