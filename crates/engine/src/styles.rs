//! Text made of values inside a query is in the plain styles only. Where a session has asked for others, the results
//! are written in them, and a query that would make text of such a value itself is refused rather than answered in
//! another style than PostgreSQL's. So is one that reads intervals where a sign may mean more than it does in the plain style.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, Result as PlanResult, ScalarValue,
        config::ConfigOptions,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::DataFusionError,
    execution::{SessionState, session_state::SessionStateBuilder},
    logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan},
    optimizer::AnalyzerRule,
};

use rapport_udf_postgres::DateOrder;

use crate::{Error, pg_type::Kind, typed::kind_of};

/// Which values a session wants in other styles than the plain ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Styles {
    dates: bool,
    intervals: bool,
    /// A sign before the first part of an interval holds for all of it: `sql_standard`.
    spreads_signs: bool,
    bytes: bool,
    floats: bool,
    pub order: DateOrder,
}

impl Styles {
    /// As PostgreSQL shows the settings; what is not set is plain.
    pub(crate) fn of(settings: &BTreeMap<String, String>) -> Self {
        let is = |name: &str, plain: &dyn Fn(&str) -> bool| {
            settings
                .get(name)
                .is_some_and(|value| !plain(&value.to_ascii_lowercase()))
        };
        Self {
            dates: is("datestyle", &|value| value.starts_with("iso")),
            intervals: is("intervalstyle", &|value| value == "postgres"),
            spreads_signs: is("intervalstyle", &|value| value != "sql_standard"),
            bytes: is("bytea_output", &|value| value == "hex"),
            floats: is("extra_float_digits", &|value| {
                value.parse::<i32>().is_ok_and(|digits| digits > 0)
            }),
            order: settings
                .get("datestyle")
                .map(|value| DateOrder::of(value))
                .unwrap_or_default(),
        }
    }

    /// A state whose queries make no text in another style.
    pub(crate) fn guard(self, state: SessionState) -> SessionState {
        let order = self.order;
        if self
            == (Self {
                order,
                ..Self::default()
            })
        {
            return state;
        }
        SessionStateBuilder::new_from_existing(state)
            .with_analyzer_rule(Arc::new(RefuseStyled(self)))
            .build()
    }

    /// The setting that a value of this type would have to follow.
    fn wanted(self, data_type: &DataType) -> Option<&'static str> {
        use DataType::{
            Binary, BinaryView, Date32, Float32, Float64, Interval, LargeBinary, Timestamp,
        };
        match data_type {
            Date32 | Timestamp(_, _) if self.dates => Some("DateStyle"),
            Interval(_) if self.intervals => Some("IntervalStyle"),
            Binary | BinaryView | LargeBinary if self.bytes => Some("bytea_output"),
            Float32 | Float64 if self.floats => Some("extra_float_digits"),
            DataType::List(field) => self.wanted(field.data_type()),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct RefuseStyled(Styles);

impl AnalyzerRule for RefuseStyled {
    fn name(&self) -> &str {
        "RefuseStyled"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> PlanResult<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            node.apply_expressions(|expr| {
                expr.apply(|expr| self.check(expr, &schema))?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(plan)
    }
}

impl RefuseStyled {
    fn check(&self, expr: &Expr, schema: &DFSchema) -> PlanResult<TreeNodeRecursion> {
        if self.0.spreads_signs && may_spread_sign(expr, schema) {
            return Err(DataFusionError::from(Error::not_supported(
                "reading intervals with signs under this IntervalStyle is not supported",
                "SET IntervalStyle = 'postgres', and give each part its own sign.",
            )));
        }
        let sources: Vec<&Expr> = match expr {
            Expr::Cast(Cast { expr: inner, field }) if is_text(field.data_type()) => vec![inner],
            Expr::ScalarFunction(function) if !HAS_NO_STYLE.contains(&function.name()) => {
                match expr.get_type(schema) {
                    Ok(data_type) if is_text(&data_type) => function.args.iter().collect(),
                    _ => vec![],
                }
            }
            _ => vec![],
        };
        let setting = sources
            .into_iter()
            .filter_map(|source| source.get_type(schema).ok())
            .find_map(|data_type| self.0.wanted(&data_type));
        match setting {
            None => Ok(TreeNodeRecursion::Continue),
            Some(setting) => Err(DataFusionError::from(Error::not_supported(
                format!("a conversion to text under this {setting} is not supported"),
                "Set it to its default, or convert what the query answers.",
            ))),
        }
    }
}

/// An interval that is read from a text, or has been, unless it is of one sign.
fn may_spread_sign(expr: &Expr, schema: &DFSchema) -> bool {
    let sources: Vec<&Expr> = match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => {
            let (months, days) = (i64::from(value.months), i64::from(value.days));
            let parts = [months, days, value.nanoseconds];
            return parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0);
        }
        Expr::Cast(Cast { expr: inner, field }) if is_interval(field.data_type()) => vec![inner],
        Expr::ScalarFunction(function) => match expr.get_type(schema) {
            Ok(data_type) if is_interval(&data_type) => function.args.iter().collect(),
            _ => vec![],
        },
        _ => vec![],
    };
    sources.into_iter().any(|source| match source {
        Expr::Literal(value, _) => value
            .try_as_str()
            .flatten()
            .is_some_and(|text| text.contains('-')),
        // Columns of intervals are kept as texts, which are in the plain style.
        source => {
            source
                .get_type(schema)
                .is_ok_and(|data_type| is_text(&data_type))
                && kind_of(source, schema) != Some(Kind::Interval)
        }
    })
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// Functions that answer with text and say themselves how it is made.
const HAS_NO_STYLE: [&str; 8] = [
    "arrow_typeof",
    "convert_from",
    "date_format",
    "encode",
    "md5",
    "pg_typeof",
    "to_char",
    "to_hex",
];

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_styles_that_are_not_plain_matter() {
        let of = |settings: &[(&str, &str)]| {
            let settings = settings.iter();
            Styles::of(
                &settings
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        let plain = [
            ("datestyle", "ISO, MDY"),
            ("intervalstyle", "postgres"),
            ("bytea_output", "hex"),
            ("extra_float_digits", "3"),
        ];
        assert_eq!(of(&plain), Styles::default());
        assert_eq!(of(&[]), Styles::default());
        let order = DateOrder::Dmy;
        let plain = Styles {
            order,
            ..Styles::default()
        };
        assert_eq!(of(&[("datestyle", "ISO, DMY")]), plain);
        let german = of(&[("datestyle", "German, DMY"), ("extra_float_digits", "0")]);
        assert_eq!(german.wanted(&DataType::Date32), Some("DateStyle"));
        assert_eq!(
            german.wanted(&DataType::Float64),
            Some("extra_float_digits")
        );
        assert_eq!(german.wanted(&DataType::Binary), None);
        assert!(of(&[("intervalstyle", "sql_standard")]).spreads_signs);
        assert!(!of(&[("intervalstyle", "iso_8601")]).spreads_signs);
    }
}
