//! `csat`, `csat_low`, `csat_high`: the share of the satisfied.

use std::sync::Arc;

use datafusion_expr::AggregateUDF;
use rapport_stats::voice::Share;
use rapport_stats::{Error, Result};

use crate::answers::{Family, LEVEL, Member, Parameter, Question, level_of};
use crate::scale::{Scale, whole};

const TOP_FROM: Parameter = Parameter {
    name: "top_from",
    default: Some(4.0),
    description: "the lowest score of the satisfied; 4 if left out",
};

const HIGHEST: Parameter = Parameter {
    name: "highest",
    default: Some(5.0),
    description: "the highest score of the scale, which begins with 1; 5 if left out",
};

const FAMILY: Family = Family {
    parameters: &[TOP_FROM, HIGHEST],
    score: "answer to how satisfied one is, a whole number from 1 to highest",
    rules: "Scores (and weights) of NULL are left out; NULL if there are no others. A score that is no whole number from 1 to \
        highest is refused (22023), and so are a top_from that is not from 2 to highest and a weight below 0.",
};

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let interval = Family {
        parameters: &[TOP_FROM, HIGHEST, LEVEL],
        ..FAMILY
    };
    vec![
        FAMILY.function(Member {
            name: "csat",
            description: "Customer satisfaction: the share, from 0 to 1, of scores of at least top_from.",
            example: "SELECT channel, csat(score), csat(score, 6, 7) FROM interactions WHERE survey = 'csat' GROUP BY channel",
            ask: |given| of(given[0], given[1], 0.95, |share| share.share),
        }),
        interval.function(Member {
            name: "csat_low",
            description: "Lower end of the confidence interval (Wilson's) of the share of scores of at least top_from.",
            example: "SELECT csat(score), csat_low(score), csat_high(score) FROM interactions WHERE survey = 'csat'",
            ask: |given| of(given[0], given[1], given[2], |share| share.low),
        }),
        interval.function(Member {
            name: "csat_high",
            description: "Upper end of the confidence interval (Wilson's) of the share of scores of at least top_from.",
            example: "SELECT csat(score), csat_low(score, 4, 5, 0.9), csat_high(score, 4, 5, 0.9) FROM interactions \
                WHERE survey = 'csat'",
            ask: |given| of(given[0], given[1], given[2], |share| share.high),
        }),
    ]
}

fn of(top_from: f64, highest: f64, level: f64, number: fn(Share) -> f64) -> Result<Question> {
    let (top, last, level) = (
        whole("top_from", top_from)?,
        whole("highest", highest)?,
        level_of(level)?,
    );
    let scale = Scale::new(1, last)?;
    if !(2..=last).contains(&top) {
        return Err(Error::Range {
            name: "top_from",
            range: "from 2 to the highest score",
            value: top_from,
        });
    }
    let points = last.abs_diff(top) as usize + 1;
    Ok(Question::new(scale, move |answers| {
        Ok(number(answers.top(points, level)?))
    }))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;
    use crate::answers::answer;

    const TEN: [i64; 10] = [5, 5, 5, 4, 3, 3, 1, 1, 1, 1];

    fn csat(name: &str, constants: &[f64], scores: &[i64]) -> Result<Option<f64>, String> {
        let scores: ArrayRef = Arc::new(Int64Array::from(scores.to_vec()));
        answer(&functions(), name, constants, scores, None)
    }

    fn check(name: &str, constants: &[f64], expected: f64) {
        let got = csat(name, constants, &TEN)
            .expect("a number")
            .expect("answers");
        assert!(
            (got - expected).abs() < 1e-9,
            "{name}: {got}, not {expected}"
        );
    }

    /// statsmodels: proportion_confint(4, 10, method="wilson").
    #[test]
    fn four_of_ten_with_wilsons_interval() {
        check("csat", &[], 0.4);
        check("csat_low", &[], 0.168_180_329_2);
        check("csat_high", &[4.0, 5.0, 0.95], 0.687_326_230_6);
    }

    #[test]
    fn the_satisfied_and_the_scale_can_be_others() {
        check("csat", &[5.0], 0.3);
        check("csat", &[3.0, 10.0], 0.6);
        assert_eq!(csat("csat", &[9.0, 10.0], &[10, 8]), Ok(Some(0.5)));
    }

    #[test]
    fn all_or_nobody_satisfied() {
        assert_eq!(csat("csat", &[], &[5, 4]), Ok(Some(1.0)));
        assert_eq!(csat("csat_high", &[], &[5, 4]), Ok(Some(1.0)));
        assert_eq!(csat("csat_low", &[], &[1]), Ok(Some(0.0)));
        assert_eq!(csat("csat", &[], &[]), Ok(None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (constants, scores) in [
            (&[][..], &[0][..]),
            (&[], &[6]),
            (&[1.0], &[]),
            (&[6.0], &[]),
            (&[4.5], &[]),
            (&[4.0, 2_000.0], &[]),
        ] {
            assert!(
                csat("csat", constants, scores).is_err(),
                "{constants:?} {scores:?}"
            );
        }
    }
}
