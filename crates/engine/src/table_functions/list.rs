//! Which there are, and what the manual says of them.

use rapport_udf_face::Page;

#[derive(Debug)]
pub(crate) struct TableFunction {
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    /// What it answers, with PostgreSQL's types.
    pub columns: &'static [(&'static str, &'static str)],
    pub page: Page,
    pub sql: &'static str,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// PostgreSQL's, as `\df` shows it.
    pub pg_type: &'static str,
    pub says: &'static str,
    /// What stands for it when it is left out.
    pub default: Option<&'static str>,
    /// Never found by its place.
    pub is_named_only: bool,
    pub is_many: bool,
}

const fn required(name: &'static str, pg_type: &'static str, says: &'static str) -> Parameter {
    Parameter {
        name,
        pg_type,
        says,
        default: None,
        is_named_only: false,
        is_many: false,
    }
}

const fn optional(
    name: &'static str,
    pg_type: &'static str,
    default: &'static str,
    says: &'static str,
) -> Parameter {
    Parameter {
        default: Some(default),
        ..required(name, pg_type, says)
    }
}

const fn many(name: &'static str, pg_type: &'static str, says: &'static str) -> Parameter {
    Parameter {
        is_many: true,
        ..required(name, pg_type, says)
    }
}

const RELATION: Parameter = required(
    "relation",
    "record",
    "a table's or a view's name, or a query in parentheses; the other arguments are expressions over its columns",
);
const CUSTOMER: Parameter = required(
    "customer",
    "anyelement",
    "whose row it is; rows in which it is NULL are left out",
);
const OCCURRED_AT: Parameter = required(
    "occurred_at",
    "timestamp with time zone",
    "when it happened: a timestamp or a date; rows in which it is NULL are left out",
);
const EVENT: Parameter = required(
    "event",
    "text",
    "what happened; rows in which it is NULL are left out",
);
const LENGTH: Parameter = optional(
    "length",
    "integer",
    "5",
    "how many events of a journey are looked at, from its first",
);
const GAP: Parameter = optional(
    "gap",
    "interval",
    "interval '1000000 days'",
    "after how long without an event another journey begins; without it a customer has one journey",
);

const SECTION: &str = "Relations";

pub(crate) const FUNCTIONS: &[TableFunction] = &[
    TableFunction {
        name: "attribution",
        parameters: &[
            required(
                "method",
                "text",
                "first, last, linear, position (40 % to the first and the last touch each), time_decay, markov, markov_2, markov_3, markov_4 or shapley",
            ),
            RELATION,
            CUSTOMER,
            OCCURRED_AT,
            required(
                "channel",
                "text",
                "which channel the customer was touched by; NULL for a row that is no touch",
            ),
            required("converted", "boolean", "whether the row is a conversion"),
            optional(
                "value",
                "double precision",
                "1",
                "what a conversion is worth, not below 0",
            ),
            optional(
                "half_life",
                "double precision",
                "7",
                "of time_decay: by how many days earlier a touch counts half",
            ),
        ],
        columns: &[
            ("channel", "text"),
            ("conversions", "double precision"),
            ("share", "double precision"),
            ("removal_effect", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "What each channel is credited with. The touches of a customer before a conversion, since the conversion before it, are its path; those after the last conversion are a path that led nowhere. The channel of a converting row is a touch too. Conversions are the sum of value; those without any touch are credited to the channel NULL. removal_effect, the share of conversions that would be lost without the channel, is known for markov only, which shares out the value as it shares out the conversions (see attribution_credits). A method or half_life that is NULL gives no rows; a value that is NULL counts as 0, and where all do, conversions and share are NULL. Refused (22023) are another method, the value of a conversion below 0 and a half_life that is not above 0.",
            example: "SELECT * FROM attribution('markov', interactions, customer_id, occurred_at, CASE WHEN interaction_type <> 'purchase' THEN channel END, interaction_type = 'purchase');",
        },
        sql: include_str!("attribution.sql"),
    },
    TableFunction {
        name: "cohorts",
        parameters: &[
            RELATION,
            CUSTOMER,
            OCCURRED_AT,
            optional(
                "period",
                "text",
                "'month'",
                "day, week, month, quarter or year",
            ),
            optional(
                "amount",
                "double precision",
                "NULL",
                "what is summed over the rows of a cohort in a period",
            ),
        ],
        columns: &[
            ("cohort", "date"),
            ("period", "date"),
            ("age", "integer"),
            ("size", "bigint"),
            ("customers", "bigint"),
            ("share", "double precision"),
            ("amount", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "Who came back. A cohort is the customers whose first row lies in the same period; a row of the answer tells how many of them (customers, share) have a row in a later period, age periods on. Periods in which nobody at all was active are left out. A period that is NULL gives no rows; another one than those named is refused (22023).",
            example: "SELECT * FROM cohorts((SELECT * FROM interactions WHERE interaction_type = 'purchase'), customer_id, occurred_at, 'month', amount);",
        },
        sql: include_str!("cohorts.sql"),
    },
    TableFunction {
        name: "funnel",
        parameters: &[
            RELATION,
            CUSTOMER,
            OCCURRED_AT,
            required(
                "window",
                "interval",
                "how long after its first step a funnel may be completed",
            ),
            Parameter {
                is_named_only: true,
                ..optional(
                    "modes",
                    "text",
                    "''",
                    "as those of window_funnel, such as 'strict_order'",
                )
            },
            many(
                "step",
                "boolean",
                "what a row has to be to count as the step; named with bought => interaction_type = 'purchase'",
            ),
        ],
        columns: &[
            ("step", "integer"),
            ("name", "text"),
            ("customers", "bigint"),
            ("share_of_first", "double precision"),
            ("share_of_previous", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "How many customers get to each step of a funnel: those whose rows meet the steps up to this one in their order and within the window (see window_funnel).",
            example: "SELECT * FROM funnel(interactions, customer_id, occurred_at, interval '7 days', viewed => interaction_type = 'view', bought => interaction_type = 'purchase');",
        },
        sql: include_str!("funnel.sql"),
    },
    TableFunction {
        name: "lookalike",
        parameters: &[
            RELATION,
            CUSTOMER,
            required(
                "seed",
                "boolean",
                "whether the customer is one of those that others are to be like",
            ),
            required("k", "integer", "how many are wanted"),
            many(
                "feature",
                "double precision",
                "numbers that tell customers apart; those with a NULL are left out",
            ),
        ],
        columns: &[
            ("customer", "anyelement"),
            ("rank", "integer"),
            ("score", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "The k customers most like those of the seed, who are not among them: by the probability of being one that a logistic regression with penalty 1 gives from the features, each brought to mean 0 and deviation 1 (see ridge_logistic_fit). One row for each customer is expected.",
            example: "SELECT * FROM lookalike((SELECT customer_id, sum(amount) AS spent, count(*) AS n FROM interactions GROUP BY customer_id), customer_id, spent > 1000, 100, n);",
        },
        sql: include_str!("lookalike.sql"),
    },
    TableFunction {
        name: "paths",
        parameters: &[RELATION, CUSTOMER, OCCURRED_AT, EVENT, LENGTH, GAP],
        columns: &[
            ("path", "text"),
            ("steps", "integer"),
            ("journeys", "bigint"),
            ("customers", "bigint"),
            ("share", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "Which ways customers take: the first events of each journey, in order, such as 'search > view > buy', with the number of journeys that begin like this, of customers who made them, and their share of all journeys.",
            example: "SELECT * FROM paths(interactions, customer_id, occurred_at, interaction_type, 4, interval '30 minutes') LIMIT 20;",
        },
        sql: include_str!("paths.sql"),
    },
    TableFunction {
        name: "recommend",
        parameters: &[
            RELATION,
            CUSTOMER,
            required(
                "item",
                "anyelement",
                "what the customer bought, saw or liked; rows in which it is NULL are left out",
            ),
            required("k", "integer", "how many items each customer is told"),
            optional(
                "method",
                "text",
                "'cosine'",
                "cosine, jaccard, als or popularity",
            ),
            optional(
                "neighbours",
                "integer",
                "50",
                "of cosine and jaccard: how many items most like an item are looked at",
            ),
            optional(
                "weight",
                "double precision",
                "1",
                "of als: how much of the item the customer had; several rows add up",
            ),
        ],
        columns: &[
            ("customer", "anyelement"),
            ("rank", "integer"),
            ("item", "anyelement"),
            ("score", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "The k items for each customer that suit best what the customer has, and that the customer does not have. With cosine and jaccard the score is the sum of their similarities to what the customer has (see item_neighbours), with als the product of tastes (see als_recommend), with popularity the number of customers who have the item, which the others are to be judged against. Equal scores are ranked by item. Refused (22023) are another method, and with als a weight below 0.",
            example: "SELECT * FROM recommend(interactions, customer_id, product_id, 5);",
        },
        sql: include_str!("recommend.sql"),
    },
    TableFunction {
        name: "survival_curve",
        parameters: &[
            RELATION,
            required(
                "duration",
                "double precision",
                "how long the customer has been seen, in any unit",
            ),
            required(
                "event",
                "boolean",
                "whether the customer left then; false for those who are still there",
            ),
            optional(
                "stratum",
                "text",
                "NULL",
                "what is told apart, such as the tariff",
            ),
            optional(
                "level",
                "double precision",
                "0.95",
                "of confidence, between 0 and 1",
            ),
        ],
        columns: &[
            ("stratum", "text"),
            ("time", "double precision"),
            ("at_risk", "double precision"),
            ("events", "double precision"),
            ("censored", "double precision"),
            ("survival", "double precision"),
            ("low", "double precision"),
            ("high", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "The share of customers that stays longer than each time at which somebody left, after Kaplan and Meier, with the interval of confidence of log(-log(survival)) (see km_curve). A level that is NULL gives no rows; rows whose duration or event is NULL are left out, and those whose stratum is NULL are a stratum.",
            example: "SELECT * FROM survival_curve(customers, tenure, churned, contract);",
        },
        sql: include_str!("survival_curve.sql"),
    },
    TableFunction {
        name: "transitions",
        parameters: &[RELATION, CUSTOMER, OCCURRED_AT, EVENT, LENGTH, GAP],
        columns: &[
            ("step", "integer"),
            ("event", "text"),
            ("next_event", "text"),
            ("journeys", "bigint"),
            ("customers", "bigint"),
            ("share", "double precision"),
        ],
        page: Page {
            section: SECTION,
            says: "What comes after what: for each step of a journey, from 1, how many journeys go on from an event to the next one, and their share of those that are there; next_event is NULL where a journey ends. Drawn as a Sankey diagram it is the map of the journey.",
            example: "SELECT * FROM transitions(interactions, customer_id, occurred_at, interaction_type, 4, interval '30 minutes');",
        },
        sql: include_str!("transitions.sql"),
    },
];
