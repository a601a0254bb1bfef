//! `rfm_…`: how recently, how often and for how much a customer bought, as scores and as the name of a segment.
//!
//! Scores are those by edges: equal values have equal scores. Tiles of equal size are SQL's own `ntile(5) OVER (ORDER BY …)`.

use rapport_stats::rfm::{Scores, Segment, edges, tile, top_share};
use rapport_stats::{Error, Result};
use rapport_udf_face::{
    Aggregate, Answer, Argument, Array, Page, Rows, Scalar, Value, Work, taken, whole, within,
};

const SECTION: &str = "Segmentation";

const EDGES: Argument = Argument::numbers(
    "edges",
    "what separates the tiles, an array of rising numbers, one less than there are tiles; as rfm_edges finds them",
);

pub(crate) const SCALARS: &[Scalar] = &[
    Scalar {
        name: "rfm_score",
        arguments: &[
            Argument::number("value", "of which more is better: purchases, spend"),
            EDGES,
        ],
        page: Page {
            section: SECTION,
            says: "Score of a value of which more is better: 1 and how many edges lie below it, so from 1, the worst, to 5 with four edges. A value equal to an edge belongs below it; equal values have equal scores. NULL if an argument is NULL or the array holds a NULL. Refused (22023) are NaN, and edges that fall.",
            example: "SELECT rfm_score(purchases, ARRAY[1, 2, 3, 6]) FROM customers;",
        },
        work: Work::WholeOfArrays(|row| {
            let (value, edges) = parts(row)?;
            Ok(i64::from(tile(value, edges)))
        }),
    },
    Scalar {
        name: "rfm_recency_score",
        arguments: &[
            Argument::number(
                "value",
                "of which less is better: days since the last purchase",
            ),
            EDGES,
        ],
        page: Page {
            section: SECTION,
            says: "Score of a value of which less is better: 1 and how many edges lie above it, so from 1, the worst, to 5 with four edges. A value equal to an edge belongs above it, to the worse side; equal values have equal scores. NULL if an argument is NULL or the array holds a NULL. Refused (22023) are NaN, and edges that fall.",
            example: "SELECT rfm_recency_score(days_since_purchase, ARRAY[13.8, 33, 72, 180]) FROM customers;",
        },
        work: Work::WholeOfArrays(|row| {
            let (value, edges) = parts(row)?;
            let above = edges.len() - edges.partition_point(|edge| *edge <= value);
            Ok(above as i64 + 1)
        }),
    },
    Scalar {
        name: "rfm_segment",
        arguments: &[
            Argument::number("recency", "score from 1 to 5, the most recent 5"),
            Argument::number("frequency", "score from 1 to 5"),
            Argument::number("monetary", "score from 1 to 5"),
        ],
        page: Page {
            section: SECTION,
            says: "Name of the segment of customers with these three scores of five: champions (5-5-5), loyal (recent and frequent, 4 or 5), promising (recent, frequency 2 or 3), new (recent, frequency 1), need attention (recency 3, frequency from 3), about to sleep (recency 3, frequency below), cannot lose (long away, 1 or 2, frequent and high in spend, 4 or 5), at risk (long away, frequency from 3), hibernating (recency 2, frequency below 3), lost (recency 1, frequency below 3). A convention to begin with; others are a CASE. NULL if an argument is NULL. Refused (22023) is a score that is not a whole number from 1 to 5.",
            example: "SELECT rfm_segment(5, 4, 3);",
        },
        work: Work::Text(segment),
    },
];

pub(crate) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "rfm_edges",
        arguments: &[
            Argument::number("value", "of each customer, finite"),
            Argument::constant(
                "tiles",
                "how many, a whole number from 1 to 1000; the same in all rows",
            ),
        ],
        answer: Answer::Numbers,
        page: Page {
            section: SECTION,
            says: "The quantiles that separate so many tiles, as an array of one less: for five those of 0.2, 0.4, 0.6 and 0.8, interpolated as by percentile_cont. For rfm_score and rfm_recency_score. Rows with a NULL are left out; NULL without any row. Refused (22023) are values that are not finite, and tiles out of range.",
            example: "SELECT rfm_edges(purchases, 5) FROM customers;",
        },
        work: |rows| {
            let tiles = rows.constant(1).unwrap_or(f64::NAN);
            let range = "a whole number from 1 to 1000";
            let tiles = whole("tiles", within("tiles", range, tiles, 1.0..=1_000.0)?)?;
            Ok(edges(rows.numbers(0), tiles)?.into())
        },
    },
    Aggregate {
        name: "top_share",
        arguments: &[
            Argument::number("value", "of each customer, finite"),
            Argument::constant(
                "share",
                "of the customers, between 0 and 1, as 0.2; the same in all rows",
            ),
        ],
        answer: Answer::Number,
        page: Page {
            section: SECTION,
            says: "What share of the sum the highest values have: how much of the revenue comes from the best fifth of customers. The share of customers is rounded down to whole ones. Rows with a NULL are left out; NULL without any row and where the sum is not above 0. Refused (22023) are values that are not finite, and a share out of range.",
            example: "SELECT top_share(revenue, 0.2) FROM customers;",
        },
        work: best,
    },
];

fn parts<'a>(row: &[Array<'a>]) -> Result<(f64, &'a [f64])> {
    let [value, edges] = taken(row);
    let all = f64::NEG_INFINITY..=f64::INFINITY;
    let value = within("value", "a number", value.number(), all)?;
    match edges.values.is_sorted() {
        true => Ok((value, edges.values)),
        false => Err(Error::Contradiction("the edges must rise")),
    }
}

fn segment(row: &[f64]) -> Result<&'static str> {
    let [recency, frequency, monetary] = taken(row);
    let score = |name, value| {
        let range = "a whole number from 1 to 5";
        let refused = Error::Range { name, range, value };
        let value = within(name, range, value, 1.0..=5.0)?;
        whole(name, value).map_err(|_| refused)
    };
    let scores = Scores {
        recency: score("recency", recency)?,
        frequency: score("frequency", frequency)?,
        monetary: score("monetary", monetary)?,
    };
    Ok(Segment::of(scores).name())
}

fn best(rows: &Rows) -> Result<Value> {
    let share = rows.constant(1).unwrap_or(f64::NAN);
    match top_share(rows.numbers(0), share) {
        Err(Error::TooLittle(_)) => Ok(Value::Null),
        share => Ok(share?.into()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
    use datafusion_common::{Result, ScalarValue};
    use datafusion_expr::ColumnarValue;
    use rapport_udf_face::check;

    fn score<const N: usize>(name: &str, value: f64, edges: [f64; N]) -> Result<i64> {
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == name).expect("one");
        let args = [check::column_of(&[value]), check::lists([edges])];
        let answer = check::invoke(function, &args.map(ColumnarValue::Array))?.into_array(1)?;
        match ScalarValue::try_from_array(&answer, 0)? {
            ScalarValue::Int64(Some(score)) => Ok(score),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn more_is_better_and_an_edge_belongs_below() {
        let of = |value| score("rfm_score", value, [1.0, 2.0, 3.0, 6.0]).expect("a score");
        assert_eq!([0.0, 1.0, 2.0, 2.5, 6.0, 7.0].map(of), [1, 1, 2, 3, 4, 5]);
        assert_eq!(score("rfm_score", 3.0, []).expect("a score"), 1);
    }

    #[test]
    fn the_most_recent_are_the_best() {
        let edges = [13.8, 33.0, 72.0, 180.0];
        let of = |value| score("rfm_recency_score", value, edges).expect("a score");
        assert_eq!(
            [0.0, 14.0, 33.0, 100.0, 180.0, 400.0].map(of),
            [5, 4, 3, 2, 1, 1]
        );
    }

    #[test]
    fn edges_that_fall_are_refused() {
        let error = score("rfm_score", 1.0, [2.0, 1.0]).expect_err("refused");
        check::is_refusal(&error, "edges must rise");
        let error = score("rfm_recency_score", f64::NAN, [2.0]).expect_err("refused");
        check::is_refusal(&error, "value must be a number");
    }

    #[test]
    fn segments_have_names() {
        let functions = crate::functions();
        let function = functions.iter().find(|f| f.name() == "rfm_segment");
        let of = |scores: [f64; 3]| check::ask(function.expect("one"), &scores);
        let name = |scores| of(scores).expect("a segment").to_string();
        assert_eq!(name([5.0, 5.0, 5.0]), "champions");
        assert_eq!(name([1.0, 1.0, 5.0]), "lost");
        assert_eq!(name([1.0, 5.0, 5.0]), "cannot lose");
        let what = "frequency must be a whole number from 1 to 5, got 2.5";
        check::is_refusal(&of([1.0, 2.5, 5.0]).expect_err("refused"), what);
        check::is_refusal(&of([0.0, 2.0, 5.0]).expect_err("refused"), "recency");
    }

    fn ask(name: &str, values: &[f64], constant: f64) -> Result<ScalarValue> {
        let columns: [ArrayRef; 2] = [
            check::column_of(values),
            check::column_of(&vec![constant; values.len()]),
        ];
        check::aggregate(&crate::aggregate_functions(), name, &columns)
    }

    #[test]
    fn edges_are_quantiles() {
        let edges = ask("rfm_edges", &[10.0, 1.0, 2.0, 4.0], 5.0).expect("an answer");
        let pairs = check::numbers(&edges).into_iter().zip([1.6, 2.4, 3.6, 6.4]);
        assert!(
            pairs.clone().count() == 4 && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12)
        );
        let none = ask("rfm_edges", &[1.0], 1.0).expect("an answer");
        assert!(check::numbers(&none).is_empty());
        check::is_refusal(
            &ask("rfm_edges", &[1.0], 0.0).expect_err("refused"),
            "tiles",
        );
    }

    #[test]
    fn the_best_fifth_has_its_share() {
        let of = |values: &[f64], share| ask("top_share", values, share);
        let values = [1.0, 6.0, 1.0, 1.0, 1.0];
        assert_eq!(of(&values, 0.2).expect("an answer"), ScalarValue::from(0.6));
        assert!(of(&[0.0, -1.0], 0.5).expect("an answer").is_null());
        check::is_refusal(&of(&values, 1.1).expect_err("refused"), "share must be");
    }
}
