//! `likert_share`, `likert_low`, `likert_high`: how many gave one of the answers of a scale.

use std::sync::Arc;

use datafusion_expr::AggregateUDF;
use rapport_stats::voice::Share;
use rapport_stats::{Error, Result};

use crate::answers::{Family, LEVEL, Member, Parameter, Question, level_of};
use crate::scale::{Scale, whole};

const ANSWER: Parameter = Parameter {
    name: "answer",
    default: None,
    description: "the score whose share is wanted",
};

const LOWEST: Parameter = Parameter {
    name: "lowest",
    default: None,
    description: "the lowest score of the scale",
};

const HIGHEST: Parameter = Parameter {
    name: "highest",
    default: None,
    description: "the highest score of the scale, at most 1,000 above the lowest",
};

const FAMILY: Family = Family {
    parameters: &[ANSWER, LOWEST, HIGHEST],
    score: "how far somebody agrees, a whole number from lowest to highest",
    rules: "Scores (and weights) of NULL are left out; NULL if there are no others. A score or an answer that is no whole number \
        from lowest to highest is refused (22023), and so is a weight below 0.",
};

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let interval = Family {
        parameters: &[ANSWER, LOWEST, HIGHEST, LEVEL],
        ..FAMILY
    };
    vec![
        FAMILY.function(Member {
            name: "likert_share",
            description: "The share, from 0 to 1, of one answer among all.",
            example: "SELECT likert_share(score, 1, 1, 5) AS disagree, likert_share(score, 5, 1, 5) AS agree FROM interactions \
                WHERE survey = 'trust'",
            ask: |given| of(given, 0.95, |share| share.share),
        }),
        interval.function(Member {
            name: "likert_low",
            description: "Lower end of the confidence interval (Wilson's) of the share of one answer among all.",
            example: "SELECT likert_share(score, 5, 1, 5), likert_low(score, 5, 1, 5) FROM interactions WHERE survey = 'trust'",
            ask: |given| of(given, given[3], |share| share.low),
        }),
        interval.function(Member {
            name: "likert_high",
            description: "Upper end of the confidence interval (Wilson's) of the share of one answer among all.",
            example: "SELECT likert_share(score, 5, 1, 5), likert_high(score, 5, 1, 5, 0.9) FROM interactions \
                WHERE survey = 'trust'",
            ask: |given| of(given, given[3], |share| share.high),
        }),
    ]
}

fn of(given: &[f64], level: f64, number: fn(Share) -> f64) -> Result<Question> {
    let (lowest, highest) = (whole("lowest", given[1])?, whole("highest", given[2])?);
    if lowest > highest {
        return Err(Error::Range {
            name: "highest",
            range: "above lowest",
            value: given[2],
        });
    }
    let (scale, level) = (Scale::new(lowest, highest)?, level_of(level)?);
    let point = scale.point_of_number(given[0])?;
    Ok(Question::new(scale, move |answers| {
        Ok(number(answers.likert(level)?[point]))
    }))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;
    use crate::answers::answer;

    const TEN: [i64; 10] = [5, 5, 5, 5, 3, 3, 1, 1, 1, 1];

    fn likert(name: &str, constants: &[f64], scores: &[i64]) -> Result<Option<f64>, String> {
        let scores: ArrayRef = Arc::new(Int64Array::from(scores.to_vec()));
        answer(&functions(), name, constants, scores, None)
    }

    /// statsmodels: proportion_confint(4, 10, method="wilson").
    #[test]
    fn four_of_ten_with_wilsons_interval() {
        for (name, expected) in [
            ("likert_share", 0.4),
            ("likert_low", 0.168_180_329_2),
            ("likert_high", 0.687_326_230_6),
        ] {
            let got = likert(name, &[5.0, 1.0, 5.0], &TEN)
                .expect("a number")
                .expect("answers");
            assert!(
                (got - expected).abs() < 1e-9,
                "{name}: {got}, not {expected}"
            );
        }
    }

    #[test]
    fn an_answer_that_nobody_gave() {
        assert_eq!(
            likert("likert_share", &[2.0, 1.0, 5.0], &TEN),
            Ok(Some(0.0))
        );
        assert_eq!(
            likert("likert_share", &[0.0, -2.0, 2.0], &[-2, 0]),
            Ok(Some(0.5))
        );
        assert_eq!(likert("likert_share", &[0.0, -2.0, 2.0], &[]), Ok(None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (constants, scores) in [
            (&[5.0, 1.0, 5.0][..], &[6][..]),
            (&[6.0, 1.0, 5.0], &[]),
            (&[1.5, 1.0, 5.0], &[]),
            (&[1.0, 5.0, 1.0], &[]),
            (&[1.0, 1.0, 1.0], &[]),
            (&[1.0, 1.0, 2_000.0], &[]),
            (&[1.0, 1.0, f64::NAN], &[]),
        ] {
            assert!(
                likert("likert_share", constants, scores).is_err(),
                "{constants:?} {scores:?}"
            );
        }
    }
}
