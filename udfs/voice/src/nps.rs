//! `nps`, `nps_error`, `nps_low`, `nps_high`: the Net Promoter Score.

use std::sync::Arc;

use datafusion_expr::AggregateUDF;
use rapport_stats::Result;
use rapport_stats::voice::Nps;

use crate::answers::{Family, LEVEL, Member, Question, level_of};
use crate::scale::Scale;

const SCORE: &str = "answer to how likely one is to recommend, a whole number from 0 to 10";
const RULES: &str = "Scores (and weights) of NULL are left out; NULL if there are no others. A score that is no whole number \
    from 0 to 10 is refused (22023), and so is a weight below 0.";

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let plain = Family {
        parameters: &[],
        score: SCORE,
        rules: RULES,
    };
    let interval = Family {
        parameters: &[LEVEL],
        ..plain
    };
    vec![
        plain.function(Member {
            name: "nps",
            description: "Net Promoter Score, from -100 to 100: the percentage of promoters (9 and 10) less that of detractors \
                (0 to 6).",
            example: "SELECT date_trunc('month', occurred_at), nps(score) FROM interactions WHERE survey = 'nps' GROUP BY 1",
            ask: |_| of(0.95, |nps| nps.score),
        }),
        plain.function(Member {
            name: "nps_error",
            description: "Standard error of the Net Promoter Score, in its points: 100 * sqrt(variance / n), with n the effective \
                sample size if there are weights.",
            example: "SELECT nps(score), nps_error(score) FROM interactions WHERE survey = 'nps'",
            ask: |_| of(0.95, |nps| nps.standard_error),
        }),
        interval.function(Member {
            name: "nps_low",
            description: "Lower end of the Net Promoter Score's confidence interval (adjusted Wald: as if three more had answered), \
                at least -100.",
            example: "SELECT nps(score), nps_low(score), nps_high(score) FROM interactions WHERE survey = 'nps'",
            ask: |given| of(given[0], |nps| nps.low),
        }),
        interval.function(Member {
            name: "nps_high",
            description: "Upper end of the Net Promoter Score's confidence interval (adjusted Wald: as if three more had answered), \
                at most 100.",
            example: "SELECT nps(score), nps_low(score, 0.9), nps_high(score, 0.9) FROM interactions WHERE survey = 'nps'",
            ask: |given| of(given[0], |nps| nps.high),
        }),
    ]
}

fn of(level: f64, number: fn(Nps) -> f64) -> Result<Question> {
    let level = level_of(level)?;
    let scale = Scale::new(0, 10)?;
    Ok(Question::new(scale, move |answers| {
        Ok(number(answers.nps(level)?))
    }))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Float64Array, Int64Array};

    use super::*;
    use crate::answers::answer;

    /// Five promoters, two passives, three detractors.
    const TOY: [i64; 10] = [9, 10, 10, 8, 7, 6, 3, 9, 10, 0];

    fn check(
        name: &str,
        constants: &[f64],
        scores: &[i64],
        weights: Option<&[f64]>,
        expected: f64,
    ) {
        let scores: ArrayRef = Arc::new(Int64Array::from(scores.to_vec()));
        let weights = weights.map(|known| Arc::new(Float64Array::from(known.to_vec())) as ArrayRef);
        let got = answer(&functions(), name, constants, scores, weights).expect("a number");
        let got = got.expect("there are answers");
        assert!(
            (got - expected).abs() < 1e-9,
            "{name}: {got}, not {expected}"
        );
    }

    #[test]
    fn ten_answers() {
        check("nps", &[], &TOY, None, 20.0);
        check("nps_error", &[], &TOY, None, 100.0 * 0.076_f64.sqrt());
    }

    #[test]
    fn the_interval_is_that_of_three_answers_more() {
        let middle = 200.0 / 13.0;
        let variance = (9.5 - 4.0 / 13.0) / 13.0;
        let reach = 100.0 * 1.959_963_984_540_054 * (variance / 13.0_f64).sqrt();
        check("nps_low", &[], &TOY, None, middle - reach);
        check("nps_high", &[0.95], &TOY, None, middle + reach);
    }

    #[test]
    fn one_answer_has_an_interval_too() {
        check("nps", &[], &[10], None, 100.0);
        check("nps_error", &[], &[10], None, 0.0);
        // Of four answers: 1.75 promoters, 0.75 detractors.
        let reach = 100.0 * 1.959_963_984_540_054 * 0.375;
        check("nps_high", &[], &[10], None, 25.0 + reach);
    }

    #[test]
    fn weights_say_how_many_an_answer_stands_for() {
        check("nps", &[], &[9, 0, 8], Some(&[3.0, 1.0, 0.0]), 50.0);
        // Equal ones change nothing.
        check(
            "nps_error",
            &[],
            &TOY,
            Some(&[7.0; 10]),
            100.0 * 0.076_f64.sqrt(),
        );
    }

    #[test]
    fn decimals_are_scores_if_they_are_whole() {
        let scores: ArrayRef = Arc::new(Float64Array::from(vec![Some(9.0), None, Some(0.0)]));
        assert_eq!(
            answer(&functions(), "nps", &[], scores, None),
            Ok(Some(0.0))
        );
        let scores: ArrayRef = Arc::new(Float64Array::from(vec![9.5]));
        let said = "External error: score must be a whole number from 0 to 10, got 9.5";
        assert_eq!(
            answer(&functions(), "nps", &[], scores, None),
            Err(said.to_owned())
        );
    }

    #[test]
    fn nobody_answered() {
        let scores: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        for name in ["nps", "nps_error", "nps_low", "nps_high"] {
            assert_eq!(
                answer(&functions(), name, &[], scores.clone(), None),
                Ok(None)
            );
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for score in [-1, 11] {
            let scores: ArrayRef = Arc::new(Int64Array::from(vec![score]));
            let said = answer(&functions(), "nps", &[], scores, None).expect_err("off the scale");
            assert!(
                said.contains(&format!("from 0 to 10, got {score}")),
                "{said}"
            );
        }
        for level in [0.0, 1.0, 95.0, f64::NAN] {
            let scores: ArrayRef = Arc::new(Int64Array::from(vec![9]));
            assert!(answer(&functions(), "nps_low", &[level], scores, None).is_err());
        }
    }
}
