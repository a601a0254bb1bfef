//! Which there are, and what the manual says of them.

use rapport_udf_face::Page;

use crate::Error;

#[derive(Debug)]
pub(crate) struct ModelFunction {
    pub name: &'static str,
    /// PostgreSQL's type.
    pub answers: &'static str,
    /// Types of models that it is asked of, with the column of their scores.
    pub scores: &'static [(&'static str, &'static str)],
    /// What it is asked of instead of a customer; empty if it can't be.
    pub features: &'static [Parameter],
    pub page: Page,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: &'static str,
    pub pg_type: &'static str,
    pub says: &'static str,
    pub is_optional: bool,
}

/// One of the ways to call a function.
pub(crate) struct Call {
    pub function: &'static ModelFunction,
    /// With the model, which is the first.
    pub parameters: Vec<&'static Parameter>,
}

pub(super) const fn parameter(
    name: &'static str,
    pg_type: &'static str,
    says: &'static str,
) -> Parameter {
    Parameter {
        name,
        pg_type,
        says,
        is_optional: false,
    }
}

pub(super) const MODEL: Parameter = parameter("model", "text", "name of a model, as a literal");
const CUSTOMER: Parameter = parameter(
    "customer",
    "bigint",
    "whose published score is asked for: a customer_id",
);
const REPEATS: Parameter = parameter(
    "repeats",
    "double precision",
    "purchases after the first, those of one day counted once",
);
const RECENCY: Parameter = parameter(
    "recency",
    "double precision",
    "days from the first purchase to the last; 0 for one without repeats, and only then",
);
const AGE: Parameter = parameter(
    "age",
    "double precision",
    "days from the first purchase to the end of observation",
);
const MEAN_SPEND: Parameter = parameter(
    "mean_spend",
    "double precision",
    "mean value of the repeats, above 0; NULL where it is not known",
);
const HORIZON: Parameter = parameter("horizon", "double precision", "how many days to look ahead");
const OPTIONAL_HORIZON: Parameter = parameter(
    "horizon",
    "double precision",
    "how many days to look ahead; the model's own horizon if it is left out",
)
.optional();

pub(super) const SECTION: &str = "Published models";

pub(crate) const FUNCTIONS: &[ModelFunction] = &[
    ModelFunction {
        name: "churn_probability",
        answers: "double precision",
        scores: &[("churn", "p_churn")],
        features: &[REPEATS, RECENCY, AGE, OPTIONAL_HORIZON],
        page: Page {
            section: SECTION,
            says: "Probability that a customer churns, after a churn model: as it was published, NULL for somebody without a score; or computed of features with the parameters of the version in use, as the chance of no purchase within the horizon. Refused are a model that does not exist (42704), one without a published version and one of another type or, of features, one that was not fitted to repeated purchases (22023).",
            example: "SELECT customer_id, churn_probability('churn', customer_id) FROM customers;",
        },
    },
    ModelFunction {
        name: "clv",
        answers: "double precision",
        scores: &[("clv", "clv")],
        features: &[REPEATS, RECENCY, AGE, MEAN_SPEND, OPTIONAL_HORIZON],
        page: Page {
            section: SECTION,
            says: "What a customer is expected to spend within the horizon, in money of today, after a clv model: as it was published, NULL for somebody without a score; or computed of features with the parameters of the version in use; the horizon is a literal then. Refused are a model that does not exist (42704), and one without a published version or of another type (22023).",
            example: "SELECT clv('clv', 2, 30, 365, 49.90), clv('clv', 2, 30, 365, 49.90, 730);",
        },
    },
    ModelFunction {
        name: "expected_purchases",
        answers: "double precision",
        scores: &[("clv", "expected_purchases")],
        features: &[REPEATS, RECENCY, AGE, HORIZON],
        page: Page {
            section: SECTION,
            says: "Days with a purchase that a customer is expected to have within the horizon, after a clv model: as it was published, NULL for somebody without a score; or computed of features with the parameters of the version in use. Refused are a model that does not exist (42704), and one without a published version or of another type (22023).",
            example: "SELECT expected_purchases('clv', 2, 30, 365, 90);",
        },
    },
    ModelFunction {
        name: "p_alive",
        answers: "double precision",
        scores: &[("clv", "p_alive"), ("churn", "p_alive")],
        features: &[REPEATS, RECENCY, AGE],
        page: Page {
            section: SECTION,
            says: "Probability that a customer has not left for good, after a clv or a churn model: as it was published, NULL for somebody without a score; or computed of features with the parameters of the version in use. Refused are a model that does not exist (42704), one without a published version and one that was not fitted to repeated purchases (22023).",
            example: "SELECT customer_id, p_alive('churn', customer_id) FROM customers;",
        },
    },
    ModelFunction {
        name: "segment_of",
        answers: "text",
        scores: &[("segmentation", "segment_name")],
        features: &[],
        page: Page {
            section: SECTION,
            says: "Name of the segment that a segmentation model has put a customer in, as it was published; NULL for somebody without one. Refused are a model that does not exist (42704), and one without a published version or of another type (22023).",
            example: "SELECT segment_of('segments', customer_id) AS segment, count(*) FROM customers GROUP BY segment;",
        },
    },
];

impl Parameter {
    pub(super) const fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

impl ModelFunction {
    pub(crate) fn calls(&'static self) -> impl Iterator<Item = Call> {
        let of_customer = vec![&MODEL, &CUSTOMER];
        let of_features = [&MODEL].into_iter().chain(self.features).collect();
        let of_features = Some(of_features).filter(|_| !self.features.is_empty());
        [Some(of_customer), of_features]
            .into_iter()
            .flatten()
            .map(move |parameters| Call {
                function: self,
                parameters,
            })
    }

    pub(crate) fn column_of(&self, kind: &str) -> Option<&'static str> {
        let column = self.scores.iter().find(|(known, _)| *known == kind);
        column.map(|(_, column)| *column)
    }

    /// 42883
    pub(crate) fn no_such_call(&'static self) -> Error {
        let calls: Vec<String> = self.calls().map(|call| call.syntax()).collect();
        Error::UndefinedFunction {
            message: format!("function {} does not exist with these arguments", self.name),
            hint: Some(format!("Call it as {}.", calls.join(" or "))),
        }
    }
}

impl Call {
    pub(crate) fn takes(&self, n: usize) -> bool {
        let is_needed = |parameter: &&&Parameter| !parameter.is_optional;
        let least = self.parameters.iter().filter(is_needed).count();
        (least..=self.parameters.len()).contains(&n)
    }

    pub(crate) fn syntax(&self) -> String {
        syntax(self.function.name, self.parameters.iter().copied())
    }
}

/// Such as `f(model, repeats [, horizon])`.
pub(crate) fn syntax(name: &str, parameters: impl Iterator<Item = &'static Parameter>) -> String {
    let mut text = format!("{name}(");
    for (index, parameter) in parameters.enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        text += &match parameter.is_optional {
            true => format!(" [{comma}{}]", parameter.name),
            false => format!("{comma}{}", parameter.name),
        };
    }
    text + ")"
}
