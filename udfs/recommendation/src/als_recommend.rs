//! `als_recommend`: the best new items for each customer, by tastes that are learned from everybody.

use rapport_stats::Result;
use rapport_stats::als::{Settings, fit};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel, whole, within};

use crate::who_had_what::{
    CUSTOMER, Found, ITEM, K, MOST_ROWS, SECTION, check, interactions, most, whole_within,
};

/// Two gigabytes.
const MOST_FACTORS: usize = 1 << 28;

pub(crate) const AGGREGATE: Aggregate = Aggregate {
    name: "als_recommend",
    arguments: &[
        CUSTOMER,
        ITEM,
        Argument::number(
            "weight",
            "how much of it they had, not below 0: 1, purchases, minutes; several rows add up",
        ),
        K,
        Argument::constant(
            "factors",
            "in how many directions tastes differ, a whole number from 1 to 1000; 32 if left out",
        )
        .optional(),
        Argument::constant(
            "regularisation",
            "how much tastes are held back, above 0; 0.1 if left out",
        )
        .optional(),
        Argument::constant(
            "confidence",
            "how much surer one more unit of weight makes, not below 0; 10 if left out",
        )
        .optional(),
        Argument::constant(
            "iterations",
            "a whole number from 1 to 1000; 15 if left out",
        )
        .optional(),
        Argument::constant(
            "seed",
            "of what is drawn at the start, a whole number from 0 to 1000000; 0 if left out",
        )
        .optional(),
    ],
    answer: Answer::Rows(&[
        ("customer", Answer::Label(0)),
        ("item", Answer::Label(1)),
        ("rank", Answer::Whole),
        ("score", Answer::Number),
    ]),
    page: Page {
        section: SECTION,
        says: "The k items that suit each customer best among those that they have not had, as an array of rows to unnest: customer, item, rank (from 1) and score (about 1 for what suits, about 0 for what does not). By implicit alternating least squares: customers and items are points in a few dimensions, where what suits lies in the same direction. The same rows and the same seed give the same answer, in whatever order they come. Rows with a NULL are left out; NULL without any row. Refused (22023) are weights below 0 or all 0, and constants that are out of range or not the same in all rows; (54001) more than 33554432 recommendations, or 268435456 factors of customers and items.",
        example: "SELECT (unnest(als_recommend(customer_id, product_id, 1, 5))).* FROM interactions WHERE interaction_type = 'purchase';",
    },
    work,
};

fn work(rows: &Rows) -> Result<Value> {
    for weight in rows.numbers(2) {
        within(
            "weight",
            "a finite number of at least 0",
            *weight,
            0.0..=f64::MAX,
        )?;
    }
    let interactions = interactions(rows, rows.numbers(2))?;
    let k = most(rows, 3)?;
    let settings = settings(rows)?;
    let (n_customers, n_items) = (interactions.n_customers(), interactions.n_items());
    let all = n_customers + n_items;
    check(
        "factors of customers and items",
        all,
        settings.factors,
        MOST_FACTORS,
    )?;
    check("recommendations", n_customers, k.min(n_items), MOST_ROWS)?;
    let als = fit(&interactions, settings, &cancel::asked())?;
    let lists = als.recommend_to_all(&interactions, k, &cancel::asked())?;
    let found = Found::new(lists.iter().map(Vec::as_slice));
    Ok(Value::Rows(vec![
        rows.labelled(0, found.of),
        rows.labelled(1, found.items),
        found.ranks,
        found.scores,
    ]))
}

fn settings(rows: &Rows) -> Result<Settings> {
    let usual = Settings::default();
    let counted = |argument: usize, name: &'static str, usual: usize| {
        let value = rows.constant(argument).unwrap_or(usual as f64);
        whole_within(name, "a whole number from 1 to 1000", Some(value), 1_000.0)
    };
    Ok(Settings {
        factors: counted(4, "factors", usual.factors)?,
        regularisation: rows.constant(5).unwrap_or(usual.regularisation),
        confidence: rows.constant(6).unwrap_or(usual.confidence),
        iterations: counted(7, "iterations", usual.iterations)?,
        seed: whole("seed", rows.constant(8).unwrap_or(0.0))?.into(),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    /// Two tastes; each customer lacks one item of their own.
    fn ask(k: f64, factors: f64, is_reversed: bool) -> Result<ScalarValue> {
        let mut pairs = vec![];
        for customer in 0..8_usize {
            let taste = if customer < 4 { "a" } else { "b" };
            let had = (0..4).filter(|item| *item != customer % 4);
            pairs.extend(had.map(|item| (format!("c{customer}"), format!("{taste}{item}"))));
        }
        if is_reversed {
            pairs.reverse();
        }
        let n = pairs.len();
        let columns = [
            check::labels(pairs.iter().map(|pair| pair.0.as_str())),
            check::labels(pairs.iter().map(|pair| pair.1.as_str())),
            check::column_of(&vec![1.0; n]),
            check::column_of(&vec![k; n]),
            check::column_of(&vec![factors; n]),
        ];
        check::aggregate(&crate::aggregate_functions(), "als_recommend", &columns)
    }

    #[test]
    fn what_others_of_the_taste_had_is_recommended() {
        let ScalarValue::List(rows) = ask(1.0, 2.0, false).expect("recommendations") else {
            panic!("an array");
        };
        let rows = rows.value(0);
        let text = |column: usize| rows.as_struct().column(column).as_string_view().clone();
        let (customers, items) = (text(0), text(1));
        assert_eq!(customers.len(), 8);
        for (customer, item) in customers.iter().flatten().zip(items.iter().flatten()) {
            let n: usize = customer[1..].parse().expect("a number");
            let taste = if n < 4 { "a" } else { "b" };
            assert_eq!(item, format!("{taste}{}", n % 4));
        }
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter() {
        let (one, other) = (ask(3.0, 2.0, false), ask(3.0, 2.0, true));
        assert_eq!(one.expect("rows"), other.expect("rows"));
    }

    #[test]
    fn constants_out_of_range_are_refused() {
        check::is_refusal(&ask(0.5, 2.0, false).expect_err("refused"), "k must be");
        check::is_refusal(
            &ask(1.0, 2.5, false).expect_err("refused"),
            "factors must be",
        );
    }
}
