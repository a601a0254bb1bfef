//! `ces`, `ces_error`, `ces_low`, `ces_high`: the Customer Effort Score.

use std::sync::Arc;

use datafusion_expr::AggregateUDF;
use rapport_stats::Result;
use rapport_stats::voice::Mean;

use crate::answers::{Family, LEVEL, Member, Parameter, Question, level_of};
use crate::scale::{Scale, whole};

const HIGHEST: Parameter = Parameter {
    name: "highest",
    default: Some(7.0),
    description: "the highest score of the scale, which begins with 1; 7 if left out",
};

const FAMILY: Family = Family {
    parameters: &[HIGHEST],
    score: "answer to how easy it was, a whole number from 1 to highest",
    rules: "Scores (and weights) of NULL are left out; NULL if there are no others. A score that is no whole number from 1 to \
        highest is refused (22023), and so is a weight below 0.",
};

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let interval = Family {
        parameters: &[HIGHEST, LEVEL],
        ..FAMILY
    };
    vec![
        FAMILY.function(Member {
            name: "ces",
            description: "Customer Effort Score: the mean score.",
            example: "SELECT channel, ces(score), ces(score, 5) FROM interactions WHERE survey = 'ces' GROUP BY channel",
            ask: |given| of(given[0], 0.95, |mean| mean.mean),
        }),
        FAMILY.function(Member {
            name: "ces_error",
            description: "Standard error of the mean score; NULL of a single one.",
            example: "SELECT ces(score), ces_error(score) FROM interactions WHERE survey = 'ces'",
            ask: |given| of(given[0], 0.95, |mean| mean.standard_error),
        }),
        interval.function(Member {
            name: "ces_low",
            description: "Lower end of the mean score's confidence interval (Student's), at least 1; 1 if there is a single score.",
            example: "SELECT ces(score), ces_low(score), ces_high(score) FROM interactions WHERE survey = 'ces'",
            ask: |given| of(given[0], given[1], |mean| mean.low),
        }),
        interval.function(Member {
            name: "ces_high",
            description: "Upper end of the mean score's confidence interval (Student's), at most highest; highest if there is a \
                single score.",
            example: "SELECT ces(score), ces_low(score, 7, 0.9), ces_high(score, 7, 0.9) FROM interactions WHERE survey = 'ces'",
            ask: |given| of(given[0], given[1], |mean| mean.high),
        }),
    ]
}

fn of(highest: f64, level: f64, number: fn(Mean) -> f64) -> Result<Question> {
    let (scale, level) = (Scale::new(1, whole("highest", highest)?)?, level_of(level)?);
    Ok(Question::new(scale, move |answers| {
        Ok(number(answers.ces(level)?))
    }))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Float64Array, Int64Array};

    use super::*;
    use crate::answers::answer;

    const SIX: [i64; 6] = [1, 2, 4, 5, 7, 7];

    fn ces(name: &str, constants: &[f64], scores: &[i64]) -> Result<Option<f64>, String> {
        let scores: ArrayRef = Arc::new(Int64Array::from(scores.to_vec()));
        answer(&functions(), name, constants, scores, None)
    }

    fn check(name: &str, expected: f64) {
        let got = ces(name, &[], &SIX).expect("a number").expect("answers");
        assert!(
            (got - expected).abs() < 1e-9,
            "{name}: {got}, not {expected}"
        );
    }

    #[test]
    fn the_mean_with_students_interval() {
        let (mean, error) = (26.0 / 6.0, (94.0 / 3.0 / 5.0 / 6.0_f64).sqrt());
        check("ces", mean);
        check("ces_error", error);
        // scipy: t.ppf(0.975, 5).
        check("ces_low", mean - 2.570_581_835_6 * error);
        check("ces_high", mean + 2.570_581_835_6 * error);
    }

    #[test]
    fn a_single_score_says_nothing_of_its_error() {
        assert_eq!(ces("ces", &[], &[3]), Ok(Some(3.0)));
        assert_eq!(ces("ces_error", &[], &[3]), Ok(None));
        assert_eq!(ces("ces_low", &[], &[3]), Ok(Some(1.0)));
        assert_eq!(ces("ces_high", &[5.0], &[3]), Ok(Some(5.0)));
        assert_eq!(ces("ces", &[], &[]), Ok(None));
    }

    #[test]
    fn weights_weigh() {
        let scores: ArrayRef = Arc::new(Int64Array::from(vec![1, 5]));
        let weights: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 3.0]));
        assert_eq!(
            answer(&functions(), "ces", &[5.0], scores, Some(weights)),
            Ok(Some(4.0))
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(ces("ces", &[], &[8]).is_err());
        assert!(ces("ces", &[5.0], &[6]).is_err());
        assert!(ces("ces", &[1.0], &[]).is_err());
        assert!(ces("ces_low", &[7.0, 2.0], &[]).is_err());
    }
}
