//! How far inputs and scores have moved since the version in use: the population stability index.
//!
//! PSI = Σ (now - then) · ln(now / then) over ten bins that held a tenth each then. Below 0.1 nothing has moved, from
//! 0.25 on the population is another one. Source: Siddiqi (2006), "Credit Risk Scorecards", on the stability report.

use crate::{
    Result,
    judge::Measured,
    registry::{Parameter, Parameters},
    work::Work,
};

const BINS: usize = 10;
/// From here on an analyst is told.
pub(crate) const MUCH: f64 = 0.25;
/// A bin that is empty counts as one that holds so little.
const LEAST_SHARE: f64 = 1e-4;

/// What a column of `relation` looked like: edges of its bins and the share in each, kept as a parameter; and how far
/// that is from what the version in use kept.
pub(crate) async fn of_column(
    work: &mut Work,
    relation: &str,
    name: &str,
    expression: &str,
    in_use: Option<&Parameters>,
    kept: &mut Parameters,
) -> Result<Option<Measured>> {
    let key = format!("distribution_{name}");
    let then = in_use
        .and_then(|parameters| parameters.get(&key)?.text.as_deref())
        .and_then(|text| serde_json::from_str::<(Vec<f64>, Vec<f64>)>(text).ok());
    let edges = edges(work, relation, expression).await?;
    if edges.is_empty() {
        return Ok(None);
    }
    let now = shares(work, relation, expression, &edges).await?;
    let stored = serde_json::to_string(&(&edges, &now)).expect("numbers");
    kept.insert(key, Parameter::text(stored));
    let Some((edges, then)) = then else {
        return Ok(None);
    };
    let now = shares(work, relation, expression, &edges).await?;
    Ok(Some(Measured::of(
        format!("drift_{name}"),
        index(&then, &now),
    )))
}

async fn edges(work: &mut Work, relation: &str, expression: &str) -> Result<Vec<f64>> {
    let quantiles: Vec<String> = (1..BINS)
        .map(|n| {
            format!(
                "percentile_cont({}) WITHIN GROUP (ORDER BY x) AS q{n}",
                n as f64 / BINS as f64
            )
        })
        .collect();
    let row = work
        .numbers(&format!(
            "SELECT {} FROM (SELECT ({expression})::double precision AS x FROM {relation}) AS seen WHERE x IS NOT NULL",
            quantiles.join(", ")
        ))
        .await?;
    let mut edges: Vec<f64> = (1..BINS)
        .filter_map(|n| row.get(&format!("q{n}")).copied())
        .collect();
    edges.dedup();
    Ok(edges)
}

/// The share of the customers in each bin; the last bin is of those without a value.
async fn shares(
    work: &mut Work,
    relation: &str,
    expression: &str,
    edges: &[f64],
) -> Result<Vec<f64>> {
    let mut counts = vec![];
    let mut below = "x IS NOT NULL".to_owned();
    for (n, edge) in edges.iter().enumerate() {
        let edge = crate::work::number(*edge);
        counts.push(format!(
            "count(*) FILTER (WHERE {below} AND x <= {edge})::double precision / count(*) AS b{n}"
        ));
        below = format!("x > {edge}");
    }
    let n = edges.len();
    counts.push(format!(
        "count(*) FILTER (WHERE {below})::double precision / count(*) AS b{n}"
    ));
    counts.push(format!(
        "count(*) FILTER (WHERE x IS NULL)::double precision / count(*) AS b{}",
        n + 1
    ));
    let row = work
        .numbers(&format!(
            "SELECT {} FROM (SELECT ({expression})::double precision AS x FROM {relation}) AS seen",
            counts.join(", ")
        ))
        .await?;
    Ok((0..n + 2)
        .map(|n| row.get(&format!("b{n}")).copied().unwrap_or(0.0))
        .collect())
}

fn index(then: &[f64], now: &[f64]) -> f64 {
    let pairs = then
        .iter()
        .zip(now)
        .map(|(then, now)| (then.max(LEAST_SHARE), now.max(LEAST_SHARE)));
    pairs
        .map(|(then, now)| (now - then) * (now / then).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_moved_has_no_index() {
        assert_eq!(index(&[0.5, 0.5], &[0.5, 0.5]), 0.0);
    }

    #[test]
    fn what_has_moved_has_one_by_the_formula() {
        // (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5)
        let expected = 0.2 * 1.4f64.ln() - 0.2 * 0.6f64.ln();
        assert!((index(&[0.5, 0.5], &[0.7, 0.3]) - expected).abs() < 1e-12);
        assert!(index(&[0.5, 0.5], &[1.0, 0.0]).is_finite());
    }
}
