//! The models of repeated purchases that a clv or a churn model chooses from: their parameters, and what they say as SQL.

use std::collections::BTreeMap;

use crate::{
    Result,
    registry::{Parameter, Parameters},
    work::{Work, number},
};

/// Which model of purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    BgNbd,
    MbgNbd,
    ParetoNbd,
    /// Nobody stops: where the others find no sign of it.
    Nbd,
}

/// A family with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Purchasing {
    pub family: Family,
    /// In the order in which the functions take them.
    pub values: Vec<f64>,
    errors: Vec<Option<f64>>,
    pub log_likelihood: f64,
}

const JUDGED: &str = "judged";
/// So many customers tell the families apart, and their parameters to a hundredth.
const COMPARED: u64 = 100_000;

/// Of how many customers one is enough for what is only judged.
pub(crate) fn every(n_customers: u64) -> u64 {
    n_customers.div_ceil(COMPARED)
}

impl Family {
    pub const ALL: [Self; 4] = [Self::BgNbd, Self::MbgNbd, Self::ParetoNbd, Self::Nbd];

    pub fn name(self) -> &'static str {
        match self {
            Self::BgNbd => "bgnbd",
            Self::MbgNbd => "mbgnbd",
            Self::ParetoNbd => "pnbd",
            Self::Nbd => "nbd",
        }
    }

    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::BgNbd | Self::MbgNbd => &["r", "alpha", "a", "b"],
            Self::ParetoNbd => &["r", "alpha", "s", "beta"],
            Self::Nbd => &["r", "alpha"],
        }
    }

    /// Fits it to columns of the table `histories` that begin with `prefix`, of `every` so many customers in the order of
    /// their histories one. `None` if nothing was found, or if what was found lies at the edge of what the parameters may
    /// be.
    pub async fn fit(
        self,
        work: &mut Work,
        prefix: &str,
        every: u64,
    ) -> Result<Option<Purchasing>> {
        let name = self.name();
        let known = format!(
            "SELECT {prefix}repeats AS repeats, {prefix}recency AS recency, {prefix}age AS age FROM histories WHERE {prefix}age > 0"
        );
        let taken = match every {
            0 | 1 => known,
            _ => format!(
                "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY repeats, recency, age) AS n FROM ({known}) AS known) AS ordered
                 WHERE n % {every} = 0"
            ),
        };
        let fitted = work
            .numbers(&format!(
                "SELECT ({name}_fit(repeats, recency, age, weight)).* FROM (
                     SELECT repeats, recency, age, count(*) AS weight FROM ({taken}) AS taken GROUP BY 1, 2, 3) AS equal"
            ))
            .await?;
        let values = self
            .parameters()
            .iter()
            .map(|name| fitted.get(*name).copied());
        let Some(values) = values.collect::<Option<Vec<f64>>>() else {
            return Ok(None);
        };
        let is_boundary = fitted.get("boundary").is_none_or(|flag| *flag != 0.0);
        if is_boundary && self != Self::Nbd {
            return Ok(None);
        }
        let errors = self.parameters().iter();
        let errors = errors.map(|name| fitted.get(&format!("{name}_standard_error")).copied());
        Ok(Some(Purchasing {
            family: self,
            errors: errors.collect(),
            values,
            log_likelihood: fitted.get("log_likelihood").copied().unwrap_or(f64::NAN),
        }))
    }
}

impl Purchasing {
    /// What a version that was kept had learned when it was judged, and not yet seen what came then: the only fair way to
    /// set it beside another on a later holdout.
    pub fn judged(parameters: &Parameters) -> Option<Self> {
        let (family, values): (String, Vec<f64>) =
            serde_json::from_str(parameters.get(JUDGED)?.text.as_deref()?).ok()?;
        let family = Family::read(&family)?;
        (values.len() == family.parameters().len()).then_some(Self {
            family,
            values,
            errors: vec![],
            log_likelihood: f64::NAN,
        })
    }

    /// For [`Self::judged`].
    pub fn keep_judged(&self, parameters: &mut Parameters) {
        let text = serde_json::to_string(&(self.family.name(), &self.values));
        let text = Parameter::text(text.expect("numbers"));
        parameters.insert(JUDGED.to_owned(), text);
    }

    pub fn kept(&self) -> Parameters {
        let names = self.family.parameters().iter();
        let mut parameters: Parameters = names
            .zip(self.values.iter().zip(&self.errors))
            .map(|(name, (value, error))| {
                let parameter = Parameter {
                    value: Some(*value),
                    standard_error: *error,
                    text: None,
                };
                ((*name).to_owned(), parameter)
            })
            .collect();
        parameters.insert("family".to_owned(), Parameter::text(self.family.name()));
        parameters.insert(
            "log_likelihood".to_owned(),
            Parameter::number(self.log_likelihood),
        );
        parameters
    }

    fn arguments(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|value| number(*value)).collect();
        values.join(", ")
    }

    /// Purchases expected within so many days, of columns that begin with `prefix`.
    pub fn expected(&self, prefix: &str, days: f64) -> String {
        let (name, arguments, days) = (self.family.name(), self.arguments(), number(days));
        format!(
            "{name}_expected_purchases({arguments}, {prefix}repeats, {prefix}recency, {prefix}age, {days})"
        )
    }

    pub fn p_alive(&self, prefix: &str) -> String {
        let (name, arguments) = (self.family.name(), self.arguments());
        match self.family {
            Family::Nbd => "1::double precision".to_owned(),
            _ => format!(
                "{name}_p_alive({arguments}, {prefix}repeats, {prefix}recency, {prefix}age)"
            ),
        }
    }

    /// Chance of no purchase within so many days. Whoever is alive buys at a rate λ that is gamma distributed with shape
    /// r + repeats and rate α + age, and does not buy with E[exp(-λ·days)]; where customers may also stop between
    /// purchases (Pareto/NBD) that they stop in these days is left out, which is little for short spans.
    pub fn p_silent(&self, prefix: &str, days: f64) -> String {
        let (r, alpha) = (number(self.values[0]), number(self.values[1]));
        let alive = self.p_alive(prefix);
        format!(
            "1 - {alive} * (1 - power(({alpha} + {prefix}age) / ({alpha} + {prefix}age + {}), {r} + {prefix}repeats))",
            number(days)
        )
    }
}

/// Fits what was asked for, or all that come into question; where none finds anybody stopping, the NBD.
pub(crate) async fn fit_all(
    work: &mut Work,
    asked: &str,
    candidates: &[Family],
    prefix: &str,
    every: u64,
) -> Result<Vec<Purchasing>> {
    let asked = Family::read(asked);
    let mut found = vec![];
    for family in candidates
        .iter()
        .filter(|family| asked.is_none_or(|asked| asked == **family))
    {
        found.extend(family.fit(work, prefix, every).await?);
    }
    if found.is_empty() {
        found.extend(Family::Nbd.fit(work, prefix, every).await?);
    }
    Ok(found)
}

/// Parameters of the spend per purchase (gamma-gamma), if they could be told.
pub(crate) async fn fit_spend(
    work: &mut Work,
    prefix: &str,
) -> Result<Option<BTreeMap<String, f64>>> {
    let fitted = work
        .numbers(&format!(
            "SELECT (gamma_gamma_fit({prefix}repeats, {prefix}spend)).* FROM histories WHERE {prefix}repeats > 0 AND {prefix}spend > 0"
        ))
        .await?;
    let is_good = ["p", "q", "v"].iter().all(|name| fitted.contains_key(*name))
        && fitted.get("boundary").is_some_and(|flag| *flag == 0.0)
        // Below it the population has no mean.
        && fitted["q"] > 1.0;
    Ok(is_good.then_some(fitted))
}
