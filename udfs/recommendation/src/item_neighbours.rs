//! `item_neighbours`: who has had this also had that.

use rapport_stats::item_similarity::{Measure, fit};
use rapport_stats::{Error, Result};
use rapport_udf_face::{Aggregate, Answer, Argument, Page, Rows, Value, cancel};

use crate::who_had_what::{
    CUSTOMER, Found, ITEM, K, MOST_ROWS, SECTION, check, interactions, most,
};

pub(crate) const AGGREGATE: Aggregate = Aggregate {
    name: "item_neighbours",
    arguments: &[
        CUSTOMER,
        ITEM,
        Argument::text("method", "'cosine' or 'jaccard', the same in all rows"),
        K,
    ],
    answer: Answer::Rows(&[
        ("item", Answer::Label(1)),
        ("neighbour", Answer::Label(1)),
        ("score", Answer::Number),
        ("rank", Answer::Whole),
    ]),
    page: Page {
        section: SECTION,
        says: "The k nearest neighbours of each item, as an array of rows to unnest: item, neighbour, score and rank (from 1; of equally near ones the lower item first). Items are near that the same customers have had; how often does not count. With 'cosine' the score is both / sqrt(one · other), with 'jaccard' both / (one + other - both), where both, one and other are the customers who have had both items, the one and the other: between 0 and 1, and never 0. Rows with a NULL are left out; NULL without any row. Refused (22023) are another method and a k out of range; (54001) more than 33554432 neighbours.",
        example: "SELECT (unnest(item_neighbours(customer_id, product_id, 'cosine', 5))).* FROM interactions WHERE interaction_type = 'purchase';",
    },
    work,
};

fn work(rows: &Rows) -> Result<Value> {
    let measure = match rows.text(2).unwrap_or_default() {
        "cosine" => Measure::Cosine,
        "jaccard" => Measure::Jaccard,
        other => {
            return Err(Error::Name {
                name: format!("method {other}"),
                known: "cosine and jaccard",
            });
        }
    };
    let interactions = interactions(rows, &vec![1.0; rows.len()])?;
    let (k, n_items) = (most(rows, 3)?, interactions.n_items());
    check("neighbours", n_items, k.min(n_items), MOST_ROWS)?;
    let similarity = fit(&interactions, measure, k, &cancel::asked())?;
    let items = 0..n_items as u32;
    let found = Found::new(items.map(|item| similarity.neighbours(item)));
    Ok(Value::Rows(vec![
        rows.labelled(1, found.of),
        rows.labelled(1, found.items),
        found.scores,
        found.ranks,
    ]))
}

#[cfg(test)]
mod tests {
    use datafusion_common::{Result, ScalarValue};
    use rapport_udf_face::check;

    fn ask(method: &str, k: f64) -> Result<ScalarValue> {
        let columns = [
            check::labels(["1", "1", "1", "2", "2", "3"]),
            check::labels(["bread", "milk", "milk", "bread", "milk", "bread"]),
            check::labels([method; 6]),
            check::column_of(&[k; 6]),
        ];
        check::aggregate(&crate::aggregate_functions(), "item_neighbours", &columns)
    }

    #[test]
    fn items_that_the_same_customers_had_are_near() {
        let answer = ask("jaccard", 3.0).expect("neighbours").to_string();
        let row = "item: bread, neighbour: milk, score: 0.6666666666666666, rank: 1";
        assert!(answer.contains(row), "{answer}");
    }

    #[test]
    fn another_method_is_refused_by_name() {
        let error = ask("near", 3.0).expect_err("refused");
        check::is_refusal(
            &error,
            "there is no method near; there are cosine and jaccard",
        );
        check::is_refusal(&ask("cosine", 0.0).expect_err("refused"), "k must be");
    }
}
