//! How a table's files are laid out: order, bloom filters, dictionaries, and which columns have statistics.
//!
//! Statistics in the log outlive the rows they were taken from, so they are kept for numbers, times and a few codes
//! only, never for what may be an e-mail or a name.

use arrow::datatypes::{DataType, Schema};

use crate::TableName;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Ascending, NULLs last.
    pub sort: Vec<String>,
    pub bloom: Vec<String>,
    pub dictionary: Vec<String>,
    pub statistics: Vec<String>,
}

struct BuiltIn {
    table: &'static str,
    sort: &'static [&'static str],
    bloom: &'static [&'static str],
    dictionary: &'static [&'static str],
    statistics: &'static [&'static str],
}

const BUILT_INS: &[BuiltIn] = &[
    BuiltIn {
        table: "interactions",
        sort: &["customer_id", "occurred_at"],
        bloom: &["interaction_id"],
        dictionary: &[
            "source",
            "channel",
            "touchpoint",
            "interaction_type",
            "direction",
            "context",
            "campaign_id",
            "agent_id",
            "product_id",
            "currency",
            "outcome",
            "survey",
        ],
        statistics: &[
            "customer_id",
            "occurred_at",
            "received_at",
            "channel",
            "interaction_type",
        ],
    },
    BuiltIn {
        table: "customers",
        sort: &["customer_id"],
        bloom: &["customer_ref"],
        dictionary: &[],
        statistics: &["customer_id", "first_seen"],
    },
    BuiltIn {
        table: "customer_identities",
        sort: &["kind", "value"],
        bloom: &["value"],
        dictionary: &["kind", "source"],
        statistics: &["kind", "customer_id", "since"],
    },
    BuiltIn {
        table: "products",
        sort: &["product_id"],
        bloom: &[],
        dictionary: &["category", "currency"],
        statistics: &["price"],
    },
    BuiltIn {
        table: "campaigns",
        sort: &["campaign_id"],
        bloom: &[],
        dictionary: &["channel"],
        statistics: &["starts_at", "ends_at"],
    },
    BuiltIn {
        table: "offers",
        sort: &["offer_id"],
        bloom: &[],
        dictionary: &["campaign_id", "product_id"],
        statistics: &[],
    },
    BuiltIn {
        table: "agents",
        sort: &["agent_id"],
        bloom: &[],
        dictionary: &["team"],
        statistics: &[],
    },
    BuiltIn {
        table: "consents",
        sort: &["customer_id", "since"],
        bloom: &[],
        dictionary: &["purpose", "channel", "source"],
        statistics: &["customer_id", "since"],
    },
    BuiltIn {
        table: "channel_costs",
        sort: &["channel", "valid_from"],
        bloom: &[],
        dictionary: &["channel", "currency"],
        statistics: &["channel", "valid_from"],
    },
    BuiltIn {
        table: "code_dictionary",
        sort: &["system", "field", "code"],
        bloom: &[],
        dictionary: &["system", "field", "lang"],
        statistics: &["valid_from", "valid_to"],
    },
    BuiltIn {
        table: "quarantine",
        sort: &[],
        bloom: &[],
        dictionary: &["load_id", "source", "file", "column", "reason"],
        statistics: &["line", "refused_at"],
    },
];

/// The built-in tables by name; any other table is unsorted and has statistics on its numbers and times.
pub fn of(name: &TableName, schema: &Schema) -> Layout {
    let built_in = BUILT_INS
        .iter()
        .find(|built_in| name.schema == "public" && built_in.table == name.table);
    match built_in {
        Some(built_in) => {
            // A user's own table may have taken the name before `init`; what it lacks is left out.
            let present = |columns: &[&str]| -> Vec<String> {
                let has = |column: &&&str| schema.field_with_name(column).is_ok();
                columns
                    .iter()
                    .filter(has)
                    .map(ToString::to_string)
                    .collect()
            };
            let sort = present(built_in.sort);
            Layout {
                sort: if sort.len() == built_in.sort.len() {
                    sort
                } else {
                    vec![]
                },
                bloom: present(built_in.bloom),
                dictionary: present(built_in.dictionary),
                statistics: present(built_in.statistics),
            }
        }
        None => Layout {
            sort: vec![],
            bloom: vec![],
            dictionary: columns_where(schema, |data_type| *data_type == DataType::Utf8),
            statistics: columns_where(schema, has_safe_statistics),
        },
    }
}

fn columns_where(schema: &Schema, keep: impl Fn(&DataType) -> bool) -> Vec<String> {
    let fields = schema.fields().iter();
    fields
        .filter(|field| keep(field.data_type()))
        .map(|field| field.name().clone())
        .collect()
}

/// Floats have none: a minimum and maximum that leave NaN out would hide rows that PostgreSQL finds.
fn has_safe_statistics(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Decimal128(..) | DataType::Date32 | DataType::Timestamp(..)
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    #[test]
    fn a_users_table_keeps_no_minima_of_text() {
        let schema = Schema::new(vec![
            Field::new("email", DataType::Utf8, true),
            Field::new("age", DataType::Int32, true),
            Field::new("weight", DataType::Float64, true),
        ]);
        let layout = of(&TableName::public("mine"), &schema);
        assert_eq!(layout.statistics, ["age"]);
        assert!(layout.sort.is_empty());
    }

    #[test]
    fn interactions_are_sorted_by_customer_and_time() {
        let fields =
            ["customer_id", "occurred_at"].map(|name| Field::new(name, DataType::Int64, true));
        let layout = of(
            &TableName::public("interactions"),
            &Schema::new(fields.to_vec()),
        );
        assert_eq!(layout.sort, ["customer_id", "occurred_at"]);
    }

    #[test]
    fn the_name_counts_in_the_default_schema_only() {
        let fields =
            ["customer_id", "occurred_at"].map(|name| Field::new(name, DataType::Int64, true));
        let layout = of(
            &TableName::new("mine", "interactions"),
            &Schema::new(fields.to_vec()),
        );
        assert!(layout.sort.is_empty());
    }
}
