//! Functions that say what a statement about models says, for the catalogue and the manual; the crate `models` carries
//! them out.

use rapport_udf_face::Page;

use super::list::{MODEL, Parameter, SECTION, parameter};
use crate::Error;

/// A call that stands for a statement.
#[derive(Debug)]
pub struct StatementFunction {
    pub name: &'static str,
    pub(crate) parameters: &'static [Parameter],
    /// Of its answer, with PostgreSQL's types.
    pub columns: &'static [(&'static str, &'static str)],
    pub(crate) volatility: &'static str,
    pub(crate) page: Page,
}

const REFRESHED: &[(&str, &str)] = &[
    ("model", "text"),
    ("version", "bigint"),
    ("rows", "bigint"),
    ("left_out", "bigint"),
    ("seconds", "double precision"),
    ("metric", "text"),
    ("value", "double precision"),
    ("baseline", "text"),
    ("baseline_value", "double precision"),
    ("grade", "text"),
    ("published", "boolean"),
    ("why", "text"),
];

pub const STATEMENT_FUNCTIONS: &[StatementFunction] = &[
    StatementFunction {
        name: "create_model",
        parameters: &[
            MODEL,
            parameter(
                "type",
                "text",
                "clv, churn, segmentation, uplift or recommendation",
            ),
            parameter("options", "text", "key = value, … as in OPTIONS").optional(),
            parameter(
                "query",
                "text",
                "what the model learns from; the warehouse's own history if it is left out",
            )
            .optional(),
        ],
        columns: REFRESHED,
        volatility: "VOLATILE",
        page: Page {
            section: SECTION,
            says: "CREATE MODEL as a function: makes a model, fits it, judges it, and publishes it if it is better than its baseline. Arguments are literals or parameters, and the call is the whole statement. Refused are a name that is taken (42710), and options and queries that do not fit the type (22023).",
            example: "SELECT * FROM create_model('clv', 'clv', 'horizon = 365');",
        },
    },
    StatementFunction {
        name: "refresh_model",
        parameters: &[
            MODEL,
            parameter(
                "as_of",
                "text",
                "a day: nothing after it is known; the newest of the history if it is left out",
            )
            .optional(),
        ],
        columns: REFRESHED,
        volatility: "VOLATILE",
        page: Page {
            section: SECTION,
            says: "REFRESH MODEL as a function: fits the model anew, judges it, and publishes it unless it is worse than its baseline or than the version in use; published says so, and why. Arguments are literals or parameters, and the call is the whole statement. Refused are a model that does not exist (42704), that is another's (42501), or that somebody else refreshes just now (55P03).",
            example: "SELECT * FROM refresh_model('clv');",
        },
    },
    StatementFunction {
        name: "refresh_all_models",
        parameters: &[],
        columns: REFRESHED,
        volatility: "VOLATILE",
        page: Page {
            section: SECTION,
            says: "REFRESH ALL MODELS as a function: a row for each model of one's own that was refreshed. One that fails keeps none of the others from being refreshed.",
            example: "SELECT * FROM refresh_all_models();",
        },
    },
    StatementFunction {
        name: "show_models",
        parameters: &[],
        columns: &[
            ("model", "text"),
            ("type", "text"),
            ("version", "bigint"),
            ("grade", "text"),
            ("metric", "text"),
            ("value", "double precision"),
            ("baseline_value", "double precision"),
            ("as_of", "date"),
            ("published_at", "timestamp with time zone"),
            ("scores", "text"),
            ("refresh", "text"),
            ("owner", "text"),
            ("last_run", "text"),
        ],
        volatility: "STABLE",
        page: Page {
            section: SECTION,
            says: "SHOW MODELS as a function: a row for each model, with the version in use, how it was judged, where its scores are, and how its last run ended.",
            example: "SELECT * FROM show_models();",
        },
    },
    StatementFunction {
        name: "describe_model",
        parameters: &[MODEL],
        columns: &[("part", "text"), ("name", "text"), ("value", "text")],
        volatility: "STABLE",
        page: Page {
            section: SECTION,
            says: "DESCRIBE MODEL as a function: how the model was made, its versions, and the metrics, parameters and features of the one in use. Refused is a model that does not exist (42704).",
            example: "SELECT * FROM describe_model('clv');",
        },
    },
    StatementFunction {
        name: "promote_model",
        parameters: &[
            MODEL,
            parameter("version", "bigint", "the version to be used from now on"),
            parameter(
                "because",
                "text",
                "the reason, which is kept; needed for a version that was judged and not published",
            )
            .optional(),
        ],
        columns: REFRESHED,
        volatility: "VOLATILE",
        page: Page {
            section: SECTION,
            says: "PROMOTE MODEL as a function: publishes the scores of an earlier version, or of one that was not published. Refused are a model or version that does not exist (42704), and a version without kept scores or a reason (22023).",
            example: "SELECT * FROM promote_model('clv', 1, 'the newer one has learned from a wrong import');",
        },
    },
    StatementFunction {
        name: "drop_model",
        parameters: &[
            MODEL,
            parameter(
                "cascade",
                "boolean",
                "whether views over its scores go too; false if it is left out",
            )
            .optional(),
        ],
        columns: &[("model", "text"), ("dropped", "text")],
        volatility: "VOLATILE",
        page: Page {
            section: SECTION,
            says: "DROP MODEL as a function: the model, its versions and the tables of its scores are gone. Refused are a model that does not exist (42704) or is another's (42501), and one over whose scores there are views (2BP01).",
            example: "SELECT * FROM drop_model('clv');",
        },
    },
];

impl StatementFunction {
    /// 0A000: it stands where a query is expected.
    pub(crate) fn stands_alone(&self) -> Error {
        let name = self.name;
        Error::not_supported(
            format!("{name} within another query is not supported"),
            &format!(
                "It stands alone: SELECT * FROM {name}(…). The tables models.models, models.versions, models.metrics and models.runs are for any query."
            ),
        )
    }

    /// Where an argument of this name stands.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.parameters
            .iter()
            .position(|parameter| parameter.name.eq_ignore_ascii_case(name))
    }

    /// The least and the most arguments it takes.
    pub fn n_arguments(&self) -> (usize, usize) {
        let needed = self.parameters.iter().filter(|p| !p.is_optional).count();
        (needed, self.parameters.len())
    }
}
