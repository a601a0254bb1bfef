//! The functions about customers, and their manual.

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, Documentation, ScalarUDF, WindowUDF};
use rapport_udf_churn as churn;
use rapport_udf_clv as clv;
use rapport_udf_identity as identity;
use rapport_udf_journey as journey;
use rapport_udf_recommendation as recommendation;
use rapport_udf_segmentation as segmentation;
use rapport_udf_voice as voice;

use crate::model_functions::{self, ModelFunction, STATEMENT_FUNCTIONS, StatementFunction};
use crate::table_functions::{FUNCTIONS, TableFunction};

pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    [
        churn::functions(),
        clv::functions(),
        identity::functions(),
        segmentation::functions(),
    ]
    .concat()
}

pub(crate) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [
        churn::aggregate_functions(),
        clv::aggregate_functions(),
        journey::aggregate_functions(),
        recommendation::aggregate_functions(),
        segmentation::aggregate_functions(),
        voice::aggregate_functions(),
    ]
    .concat()
}

pub(crate) fn window_functions() -> Vec<Arc<WindowUDF>> {
    journey::window_functions()
}

/// What the manual says of a function: the text of `\df+`, of `rapport functions` and of `FUNCTIONS.md`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManualPage {
    pub section: String,
    pub name: String,
    /// Such as `f(a, b [, weight])`.
    pub syntax: String,
    pub says: String,
    /// Names, and what they mean.
    pub arguments: Vec<(String, String)>,
    /// A statement.
    pub example: String,
}

/// Every function about customers, by section and name.
pub fn manual() -> Vec<ManualPage> {
    let scalars = scalar_functions();
    let aggregates = aggregate_functions();
    let windows = window_functions();
    let scalars = scalars
        .iter()
        .map(|function| (function.name(), function.documentation()));
    let aggregates = aggregates
        .iter()
        .map(|function| (function.name(), function.documentation()));
    let windows = windows
        .iter()
        .map(|function| (function.name(), function.documentation()));
    let documented = scalars.chain(aggregates).chain(windows);
    let mut pages: Vec<ManualPage> = documented
        .filter_map(|(name, documentation)| Some(page(name, documentation?)))
        .chain(FUNCTIONS.iter().map(page_of_relation))
        .chain(model_functions::FUNCTIONS.iter().map(page_of_model))
        .chain(STATEMENT_FUNCTIONS.iter().map(page_of_statement))
        .collect();
    pages.sort();
    pages
}

fn page(name: &str, documentation: &Documentation) -> ManualPage {
    let example = documentation.sql_example.as_deref().unwrap_or_default();
    let example = example.trim_start_matches("```sql").trim_end_matches("```");
    ManualPage {
        section: documentation.doc_section.label.to_owned(),
        name: name.to_owned(),
        syntax: documentation.syntax_example.clone(),
        says: in_one_line(&documentation.description),
        arguments: documentation
            .arguments
            .iter()
            .flatten()
            .map(|(name, says)| (name.clone(), in_one_line(says)))
            .collect(),
        example: in_one_line(example),
    }
}

fn page_of_relation(function: &TableFunction) -> ManualPage {
    let parameters = function.parameters.iter();
    ManualPage {
        section: function.page.section.to_owned(),
        name: function.name.to_owned(),
        syntax: function.syntax(),
        says: with_columns(function.page.says, function.columns),
        arguments: parameters
            .map(|parameter| {
                let default = parameter.default.filter(|default| *default != "NULL");
                let default = default.map(|default| format!("; {default} if left out"));
                let says = format!("{}{}", parameter.says, default.unwrap_or_default());
                (parameter.name.to_owned(), says)
            })
            .collect(),
        example: function.page.example.to_owned(),
    }
}

fn with_columns(says: &str, columns: &[(&str, &str)]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, pg_type)| match *pg_type {
            "anyelement" => (*name).to_owned(),
            pg_type => format!("{name} ({pg_type})"),
        })
        .collect();
    format!("{says} Columns: {}.", columns.join(", "))
}

fn page_of_statement(function: &'static StatementFunction) -> ManualPage {
    let parameters = function.parameters.iter();
    ManualPage {
        section: function.page.section.to_owned(),
        name: function.name.to_owned(),
        syntax: model_functions::syntax(function.name, parameters.clone()),
        says: with_columns(function.page.says, function.columns),
        arguments: parameters
            .map(|parameter| (parameter.name.to_owned(), parameter.says.to_owned()))
            .collect(),
        example: function.page.example.to_owned(),
    }
}

fn page_of_model(function: &'static ModelFunction) -> ManualPage {
    let calls: Vec<String> = function.calls().map(|call| call.syntax()).collect();
    let mut arguments: Vec<(String, String)> = vec![];
    for parameter in function.calls().flat_map(|call| call.parameters) {
        if arguments.iter().all(|(name, _)| name != parameter.name) {
            arguments.push((parameter.name.to_owned(), parameter.says.to_owned()));
        }
    }
    ManualPage {
        section: function.page.section.to_owned(),
        name: function.name.to_owned(),
        syntax: calls.join(" or "),
        says: function.page.says.to_owned(),
        arguments,
        example: function.page.example.to_owned(),
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_is_without_its_page() {
        let n = scalar_functions().len() + aggregate_functions().len() + window_functions().len();
        let pages = manual();
        let of_models = model_functions::FUNCTIONS.len() + STATEMENT_FUNCTIONS.len();
        assert_eq!(pages.len(), n + FUNCTIONS.len() + of_models);
        for page in pages {
            assert!(
                page.syntax.starts_with(&format!("{}(", page.name)),
                "{page:?}"
            );
            assert!(
                !page.says.is_empty() && !page.example.is_empty(),
                "{page:?}"
            );
            assert!(
                page.arguments.iter().all(|(_, says)| !says.is_empty()),
                "{page:?}"
            );
        }
    }

    #[test]
    fn each_function_over_a_relation_has_its_slt() {
        for function in FUNCTIONS {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/slt/relations");
            let file = format!("{file}/{}.slt", function.name);
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(text.contains(&format!("FROM {}(", function.name)), "{file}");
        }
    }
}
