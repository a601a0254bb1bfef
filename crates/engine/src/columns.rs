//! What PostgreSQL would call and type a result column.

use std::{collections::HashSet, ops::ControlFlow};

use arrow::datatypes::{DataType, Field};
use datafusion::{
    common::DFSchema,
    sql::sqlparser::ast::{
        self, AccessExpr, BinaryOperator, Expr, Ident, OrderByKind, Query, Select, SelectItem,
        SetExpr, Statement, TimezoneInfo, TrimWhereField, UnaryOperator, Value, Visit, VisitMut,
        Visitor, VisitorMut,
    },
};
use rapport_lake::PG_TYPE;

use crate::{
    Error, Result,
    names::folded,
    pg_type::{Kind, PgType, is_unconstrained},
    tree::bare,
};

/// One column of a result, as a client sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Object identifier in `pg_type`.
    pub pg_type: u32,
    /// -1 when the type has no modifier.
    pub typmod: i32,
    /// Digits after the point that a number shows even where they are zeros; it shows more only if they are not.
    pub least_scale: i8,
    /// Of the table that it is a column of, in `pg_class`; 0 for what is computed.
    pub table_oid: u32,
    /// In `pg_attribute`; 0 for what is computed.
    pub number: i16,
    /// What the batches of the stream hold.
    pub data_type: DataType,
}

/// Object identifiers of the types that a result or a parameter may have.
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const RECORD: u32 = 2249;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// What a column that carries its PostgreSQL type in its metadata is, and else what its Arrow type is like.
///
/// Metadata that no longer fits, because an expression kept the field but changed its type, is not believed.
pub(crate) fn column_type(field: &Field) -> PgType {
    let declared = field
        .metadata()
        .get(PG_TYPE)
        .and_then(|text| PgType::parse(text).ok());
    match declared {
        Some(pg_type)
            if (presents(&pg_type.storage(), field.data_type())
                || is_read_from_text(&pg_type.kind, field.data_type()))
                && has_its_zone(&pg_type.kind, field.data_type()) =>
        {
            pg_type
        }
        _ => PgType::of_arrow(field.data_type()),
    }
}

/// In a field's metadata: the [`Column::least_scale`] of a `numeric` column that was made from a query.
pub(crate) const LEAST_SCALE: &str = "rapport.least_scale";

/// PostgreSQL keeps with each value how many digits it was written with. We know it of a column at best: where the scale
/// is computed or declared. Where each value may have another, only digits that say something are shown.
pub(crate) fn least_scale(field: &Field) -> i8 {
    let (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) = field.data_type()
    else {
        return 0;
    };
    match column_type(field).kind {
        Kind::Numeric(Some(_)) => *scale,
        _ if is_unconstrained(field.data_type()) => {
            let least = field.metadata().get(LEAST_SCALE);
            least.and_then(|scale| scale.parse().ok()).unwrap_or(0)
        }
        _ => *scale,
    }
}

/// A cast keeps the field of what it casts, and the lake keeps both kinds of timestamps in one type.
fn has_its_zone(kind: &Kind, presented: &DataType) -> bool {
    match presented {
        DataType::Timestamp(_, None) => *kind == Kind::Timestamp,
        DataType::Timestamp(_, Some(_)) => *kind == Kind::Timestamptz,
        _ => true,
    }
}

/// The lake keeps these as texts.
fn is_read_from_text(kind: &Kind, presented: &DataType) -> bool {
    match presented {
        DataType::Time64(_) => *kind == Kind::Time,
        DataType::Interval(_) => *kind == Kind::Interval,
        _ => false,
    }
}

fn presents(stored: &DataType, presented: &DataType) -> bool {
    match (stored, presented) {
        (DataType::Decimal128(..), DataType::Decimal128(..))
            if is_unconstrained(stored) && is_unconstrained(presented) =>
        {
            true
        }
        (DataType::Utf8, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) => true,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (DataType::List(stored), DataType::List(presented)) => {
            presents(stored.data_type(), presented.data_type())
        }
        (stored, presented) => stored == presented,
    }
}

/// The names that PostgreSQL would give to a select list.
pub(crate) struct Labels(Vec<Label>);

pub(crate) enum Label {
    One(String),
    /// `*`: as many as there are, named as they are.
    Many,
}

impl Labels {
    /// Names for the columns of the planned query. Between the first and the last of several `*` nothing tells which
    /// column comes from where; DataFusion's own names remain there.
    pub(crate) fn fit(&self, schema: &DFSchema) -> Vec<String> {
        let mut names: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| plain(field.name()))
            .collect();
        let is_one = |label: &&Label| matches!(label, Label::One(_));
        let before = self.0.iter().take_while(is_one).count();
        let after = self.0.iter().rev().take_while(is_one).count();
        for (name, label) in names.iter_mut().zip(&self.0[..before]) {
            if let Label::One(label) = label {
                name.clone_from(label);
            }
        }
        if before < self.0.len() {
            for (name, label) in names.iter_mut().rev().zip(self.0.iter().rev().take(after)) {
                if let Label::One(label) = label {
                    name.clone_from(label);
                }
            }
        }
        names
    }
}

/// Without the mark that [`name_all`] added.
pub(crate) fn plain(name: &str) -> String {
    name.split(MARK).next().unwrap_or(name).to_owned()
}

/// In no name that a client types.
pub(crate) const MARK: char = '\u{1}';

/// Labels of a query's own select list; of a UNION, its first query's.
pub(crate) fn labels(query: &Query) -> Labels {
    match first_select(query) {
        Some(select) => Labels(select.projection.iter().map(label).collect()),
        None => Labels(vec![]),
    }
}

pub(crate) fn first_select(query: &Query) -> Option<&Select> {
    let mut body = &*query.body;
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Query(query) => body = &query.body,
            _ => return None,
        }
    }
}

pub(crate) fn label(item: &SelectItem) -> Label {
    match item {
        SelectItem::UnnamedExpr(expr) => {
            Label::One(expr_name(expr).unwrap_or_else(|| "?column?".to_owned()))
        }
        SelectItem::ExprWithAlias { alias, .. } => Label::One(folded(alias)),
        SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => Label::Many,
    }
}

/// 42702 if `ORDER BY name` may mean several columns of the select list, in this query or one in it.
pub(crate) fn check_order(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Orders) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Orders;

impl Visitor for Orders {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let (SetExpr::Select(select), Some(order_by)) = (query.body.as_ref(), &query.order_by)
        else {
            return ControlFlow::Continue(());
        };
        let OrderByKind::Expressions(exprs) = &order_by.kind else {
            return ControlFlow::Continue(());
        };
        for order in exprs {
            if let Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } = bare(&order.expr)
                && let Expr::Value(place) = bare(expr)
                && matches!(&place.value, Value::Number(place, _) if place.parse::<i32>().is_ok())
            {
                let message = format!("ORDER BY position -{place} is not in select list");
                return ControlFlow::Break(Error::InvalidColumnReference { message });
            }
            let Expr::Identifier(ident) = &order.expr else {
                continue;
            };
            let name = folded(ident);
            let meant = select.projection.iter().filter_map(|item| {
                let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item
                else {
                    return None;
                };
                matches!(label(item), Label::One(label) if label == name).then_some(expr)
            });
            let meant: Vec<&Expr> = meant.collect();
            if meant.windows(2).any(|two| !is_same(two[0], two[1])) {
                let message = format!("ORDER BY \"{name}\" is ambiguous");
                return ControlFlow::Break(Error::AmbiguousColumn { message });
            }
        }
        ControlFlow::Continue(())
    }
}

/// A column with and without its table may be one and the same.
fn is_same(left: &Expr, right: &Expr) -> bool {
    match (left, right) {
        (Expr::Nested(inner), other) | (other, Expr::Nested(inner)) => is_same(inner, other),
        (Expr::Identifier(ident), Expr::CompoundIdentifier(idents))
        | (Expr::CompoundIdentifier(idents), Expr::Identifier(ident)) => {
            idents.last().map(folded) == Some(folded(ident))
        }
        (left, right) => left == right,
    }
}

/// PostgreSQL's `FigureColname`. `None` is `?column?`, unless a cast around it has a better idea.
fn expr_name(expr: &Expr) -> Option<String> {
    let fixed = |name: &str| Some(name.to_owned());
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().map(folded),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let named = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(expr) => expr_name(expr),
                AccessExpr::Subscript(_) => None,
            });
            named.or_else(|| expr_name(root))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => expr_name(inner),
        Expr::QualifiedWildcard(row, _) => row.0.last()?.as_ident().map(folded),
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident());
            last.map(folded)
        }
        Expr::Cast {
            expr, data_type, ..
        } => match has_weak_name(expr) {
            true => Some(type_name(data_type)),
            false => expr_name(expr),
        },
        Expr::BinaryOp {
            op: BinaryOperator::Overlaps,
            ..
        } => fixed("overlaps"),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type)),
        Expr::Interval(_) => fixed("interval"),
        Expr::Case { else_result, .. } => else_result
            .as_deref()
            .filter(|otherwise| !has_weak_name(otherwise))
            .and_then(expr_name)
            .or_else(|| fixed("case")),
        Expr::Extract { .. } => fixed("extract"),
        Expr::Ceil { .. } => fixed("ceil"),
        Expr::Floor { .. } => fixed("floor"),
        Expr::Position { .. } => fixed("position"),
        Expr::Substring {
            shorthand: true, ..
        } => fixed("substr"),
        Expr::Substring { .. } => fixed("substring"),
        Expr::Trim { trim_where, .. } => fixed(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::Overlay { .. } => fixed("overlay"),
        Expr::AtTimeZone { .. } => fixed("timezone"),
        Expr::Exists { negated: false, .. } => fixed("exists"),
        Expr::Array(_) => fixed("array"),
        Expr::Tuple(_) => fixed("row"),
        Expr::Subquery(query) => match first_select(query)?.projection.first().map(label)? {
            Label::One(name) => Some(name),
            Label::Many => None,
        },
        _ => None,
    }
}

/// Whether a cast around it names the column.
fn has_weak_name(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => has_weak_name(inner),
        Expr::Cast { expr: inner, .. } => has_weak_name(inner),
        Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::Value(_) => true,
        Expr::Case { else_result, .. } => else_result.as_deref().is_none_or(has_weak_name),
        other => expr_name(other).is_none(),
    }
}

/// The name in `pg_type`, which is what PostgreSQL calls the column of a cast.
fn type_name(data_type: &ast::DataType) -> String {
    match data_type {
        ast::DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            return "timestamptz".to_owned();
        }
        ast::DataType::Interval { .. } => return "interval".to_owned(),
        // An array is called after its elements.
        ast::DataType::Array(
            ast::ArrayElemTypeDef::SquareBracket(inner, _)
            | ast::ArrayElemTypeDef::AngleBracket(inner)
            | ast::ArrayElemTypeDef::Parenthesis(inner),
        ) => return type_name(inner),
        _ => {}
    }
    let text = data_type.to_string().to_lowercase();
    let word = text.split('(').next().unwrap_or(&text).trim().to_owned();
    let name = match word.as_str() {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" | "double" | "float" => "float8",
        "decimal" | "dec" => "numeric",
        "character varying" | "char varying" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time without time zone" => "time",
        other => other,
    };
    name.to_owned()
}

/// Names the columns of every query of the statement as PostgreSQL does, so that an outer query may call them so.
/// PostgreSQL allows two columns of one name, DataFusion does not: all but the first get a mark.
pub(crate) fn name_all(statement: &mut Statement) {
    let _ = statement.visit(&mut NameAll);
}

struct NameAll;

impl VisitorMut for NameAll {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut bodies = vec![&mut *query.body];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(select) => name_columns(select),
                SetExpr::SetOperation { left, right, .. } => bodies.extend([&mut **left, right]),
                // A query of its own is visited by itself.
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

fn name_columns(select: &mut Select) {
    let mut seen = HashSet::new();
    let mut after_all = false;
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (name, is_named) = match item {
            SelectItem::UnnamedExpr(expr) => (expr_name(expr), is_column(expr)),
            SelectItem::ExprWithAlias { alias, .. } => (Some(folded(alias)), true),
            SelectItem::Wildcard(_) => {
                after_all = true;
                continue;
            }
            _ => continue,
        };
        let name = name.unwrap_or_else(|| "?column?".to_owned());
        // A column that `*` has given already, and what HAVING would take for the column that it is made of.
        let is_taken = match item {
            SelectItem::UnnamedExpr(expr) if is_column(expr) => after_all,
            SelectItem::UnnamedExpr(expr) => {
                select.having.is_some() && !matches!(expr, Expr::Function(_))
            }
            _ => false,
        };
        let is_new = seen.insert(name.clone()) && !is_taken;
        if is_new && is_named {
            continue;
        }
        let alias = match is_new {
            true => Ident::with_quote('"', name),
            false => Ident::with_quote('"', format!("{name}{MARK}{index}")),
        };
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let expr = expr.clone();
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
            _ => {}
        }
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, parse::parse};

    fn check(select: &str, expected: &str) {
        let statement = parse(select, &Limits::default())
            .expect("it parses")
            .remove(0)
            .ast;
        let Statement::Query(query) = statement else {
            panic!("a query")
        };
        let names: Vec<String> = labels(&query)
            .0
            .into_iter()
            .map(|label| match label {
                Label::One(name) => name,
                Label::Many => "*".to_owned(),
            })
            .collect();
        assert_eq!(names.join(" "), expected, "{select}");
    }

    #[test]
    fn columns_are_named_as_postgres_names_them() {
        check(
            "SELECT 1, 'a', NULL, 1 + 2, a = b, -a",
            "?column? ?column? ?column? ?column? ?column? ?column?",
        );
        check("SELECT a, t.b, T.C, \"D\", x AS Y", "a b c D y");
        check(
            "SELECT sum(a), Count(*), pg_catalog.abs(1), coalesce(a, b)",
            "sum count abs coalesce",
        );
        check(
            "SELECT 1::int, a::text, CAST('x' AS varchar(3)), sum(a)::numeric",
            "int4 a varchar sum",
        );
        check(
            "SELECT DATE '2024-01-01', INTERVAL '1 day', true",
            "date interval ?column?",
        );
        check(
            "SELECT extract(year FROM a), substring(a from 2), trim(a), position('a' in b)",
            "extract substring btrim position",
        );
        check(
            "SELECT CASE WHEN a THEN 1 END, CASE WHEN a THEN 1 ELSE b END, (a)",
            "case b a",
        );
        check(
            "SELECT (SELECT max(x) FROM t), EXISTS (SELECT 1), ARRAY[1], a[1]",
            "max exists array a",
        );
        check("SELECT *, a UNION SELECT 1, 2", "* a");
    }
}
