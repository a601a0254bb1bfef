//! Operators whose meaning depends on PostgreSQL's types, planned as the functions that stand behind them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::{
    common::{DFSchema, ExprSchema, Result, ScalarValue},
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, GetFieldAccess, Operator, ScalarUDF, cast,
        expr::{Placeholder, ScalarFunction},
        lit,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use rapport_udf_postgres::{json, refusal::Refusal};

use crate::{
    Error,
    coerce::bool_of,
    columns::column_type,
    common_kind::{Category, category},
    pg_type::{Kind, PgType},
    typed::kind_of,
};

fn texts_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))
}

pub(crate) fn shown(kind: Option<Kind>) -> String {
    match kind {
        Some(kind) => PgType {
            oid: 0,
            typmod: -1,
            kind,
        }
        .name_alone(),
        None => "unknown".to_owned(),
    }
}

/// What stands right of an operator if it is `ANY(array)` or `ALL(array)`.
pub(crate) const ANY: &str = "\u{1}any";
pub(crate) const ALL: &str = "\u{1}all";

/// Plans before DataFusion's own planners do.
#[derive(Debug)]
pub(crate) struct PostgresExpressions {
    functions: std::collections::HashMap<&'static str, Arc<ScalarUDF>>,
}

/// The functions behind operators.
const OPERATORS: &[&str] = &[
    "textregexeq",
    "texticregexeq",
    "textregexne",
    "texticregexne",
    "starts_with",
    "substring",
    "overlay",
    "strpos",
    "make_array",
    "jsonb_contains",
    "jsonb_contained",
    "jsonb_concat",
    "jsonb_exists",
    "jsonb_exists_any",
    "jsonb_exists_all",
    "jsonb_delete",
    "jsonb_delete_path",
    "array_append",
    "array_prepend",
    "arraycontains",
    "arraycontained",
    "arrayoverlap",
    rapport_udf_postgres::ARRAY_CONCAT,
    rapport_udf_postgres::ARRAY_ITEM,
    rapport_udf_postgres::ARRAY_SLICE,
    json::TO_JSONB,
    json::GET_JSON,
    json::GET_JSONB,
    json::GET_JSON_TEXT,
    json::GET_JSONB_TEXT,
    rapport_udf_postgres::TEXT_OF,
    rapport_udf_postgres::UNPADDED,
    rapport_udf_postgres::ANY_OF,
    rapport_udf_postgres::ALL_OF,
];

impl PostgresExpressions {
    /// Of all functions there are.
    pub(crate) fn new(functions: &[Arc<ScalarUDF>]) -> Self {
        let named = OPERATORS.iter().filter_map(|name| {
            let function = functions
                .iter()
                .rev()
                .find(|function| function.name() == *name);
            Some((*name, function?.clone()))
        });
        Self {
            functions: named.collect(),
        }
    }

    fn call(&self, name: &str, args: Vec<Expr>) -> Option<Expr> {
        let function = self.functions.get(name)?;
        Some(Expr::ScalarFunction(ScalarFunction::new_udf(
            function.clone(),
            args,
        )))
    }

    /// What the grammar has of its own, as the function that stands behind it.
    fn ours(&self, name: &str, args: Vec<Expr>) -> PlannerResult<Vec<Expr>> {
        match self.call(name, args.clone()) {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(args),
        }
    }

    fn plan(&self, expr: &RawBinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
        let RawBinaryExpr { op, left, right } = expr;
        if let Some((name, array)) = quantified(right) {
            return self.over_array(left, op, name, array, schema);
        }
        let both = || vec![left.clone(), right.clone()];
        Ok(match op {
            BinaryOperator::PGRegexMatch => self.call("textregexeq", both()),
            BinaryOperator::PGRegexIMatch => self.call("texticregexeq", both()),
            BinaryOperator::PGRegexNotMatch => self.call("textregexne", both()),
            BinaryOperator::PGRegexNotIMatch => self.call("texticregexne", both()),
            BinaryOperator::PGStartsWith => self.call("starts_with", both()),
            BinaryOperator::StringConcat
            | BinaryOperator::AtArrow
            | BinaryOperator::ArrowAt
            | BinaryOperator::PGOverlap => {
                if let Some(planned) = self.arrays(expr, schema) {
                    return Ok(Some(planned));
                }
                match self.json(expr, schema)? {
                    Some(planned) => Some(planned),
                    None if op == &BinaryOperator::StringConcat => self.concat(left, right, schema),
                    None => None,
                }
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => {
                if kind_of(left, schema) == Some(Kind::Bool)
                    && let Some(value) = boolean(right)?
                {
                    return Ok(binary(left.clone(), op, value));
                }
                if kind_of(right, schema) == Some(Kind::Bool)
                    && let Some(value) = boolean(left)?
                {
                    return Ok(binary(value, op, right.clone()));
                }
                comparable(op, left, right, schema)?;
                if let Some([left, right]) = both_arrays(expr, schema) {
                    return Ok(binary(left, op, right));
                }
                self.json(expr, schema)?
            }
            _ => self.json(expr, schema)?,
        })
    }

    /// Operators of arrays.
    fn arrays(&self, expr: &RawBinaryExpr, schema: &DFSchema) -> Option<Expr> {
        let RawBinaryExpr { op, left, right } = expr;
        let (left_list, right_list) = (list_of(left, schema), list_of(right, schema));
        let both = || both_arrays(expr, schema).map(Vec::from);
        match op {
            BinaryOperator::AtArrow => self.call("arraycontains", both()?),
            BinaryOperator::ArrowAt => self.call("arraycontained", both()?),
            BinaryOperator::PGOverlap => self.call("arrayoverlap", both()?),
            _ => match (&left_list, &right_list) {
                (None, None) => None,
                _ if both().is_some() => self.call(rapport_udf_postgres::ARRAY_CONCAT, both()?),
                (Some(_), _) => self.call("array_append", vec![left.clone(), right.clone()]),
                (None, _) => self.call("array_prepend", vec![left.clone(), right.clone()]),
            },
        }
    }

    /// Operators of json and jsonb.
    fn json(&self, expr: &RawBinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (left_kind, right_kind) = (kind_of(left, schema), kind_of(right, schema));
        // What a sub-query has computed may be jsonb and not say so.
        let is_unlabelled = || match left.to_field(schema) {
            Ok((_, field)) => {
                matches!(left, Expr::Column(_))
                    && field.data_type() == &DataType::Utf8View
                    && !field.metadata().contains_key(rapport_lake::PG_TYPE)
            }
            Err(_) => false,
        };
        let is_arrow = matches!(
            op,
            BinaryOperator::Arrow
                | BinaryOperator::LongArrow
                | BinaryOperator::HashArrow
                | BinaryOperator::HashLongArrow
        );
        let is_jsonb = left_kind == Some(Kind::Jsonb) || (is_arrow && is_unlabelled());
        let is_json = is_jsonb || left_kind == Some(Kind::Json);
        let jsonb = |expr: &Expr, kind: &Option<Kind>| match kind {
            Some(Kind::Jsonb) => Some(expr.clone()),
            None => self.call(json::TO_JSONB, vec![expr.clone()]),
            Some(_) => None,
        };
        let both = |name: &str| {
            let either = is_jsonb || right_kind == Some(Kind::Jsonb);
            let left = jsonb(left, &left_kind).filter(|_| either)?;
            self.call(name, vec![left, jsonb(right, &right_kind)?])
        };
        let texts = || match right_kind {
            None => cast(right.clone(), texts_type()),
            Some(_) => right.clone(),
        };
        Ok(match op {
            BinaryOperator::Arrow | BinaryOperator::HashArrow if is_json => {
                let name = if is_jsonb {
                    json::GET_JSONB
                } else {
                    json::GET_JSON
                };
                let key = match op {
                    BinaryOperator::HashArrow => texts(),
                    _ => right.clone(),
                };
                self.call(name, vec![self.unread(left), key])
            }
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow if is_json => {
                let name = if is_jsonb {
                    json::GET_JSONB_TEXT
                } else {
                    json::GET_JSON_TEXT
                };
                let key = match op {
                    BinaryOperator::HashLongArrow => texts(),
                    _ => right.clone(),
                };
                self.call(name, vec![self.unread(left), key])
            }
            BinaryOperator::Arrow
            | BinaryOperator::LongArrow
            | BinaryOperator::HashArrow
            | BinaryOperator::HashLongArrow => {
                return Err(Error::UndefinedFunction {
                    message: format!(
                        "operator does not exist: {} {op} {}",
                        shown(left_kind),
                        shown(right_kind)
                    ),
                    hint: Some("Cast the left side to jsonb.".to_owned()),
                }
                .into());
            }
            BinaryOperator::AtArrow => both("jsonb_contains"),
            BinaryOperator::ArrowAt => both("jsonb_contained"),
            BinaryOperator::StringConcat => both("jsonb_concat"),
            BinaryOperator::Question if is_jsonb => {
                self.call("jsonb_exists", vec![left.clone(), right.clone()])
            }
            BinaryOperator::QuestionPipe if is_jsonb => {
                self.call("jsonb_exists_any", vec![left.clone(), texts()])
            }
            BinaryOperator::QuestionAnd if is_jsonb => {
                self.call("jsonb_exists_all", vec![left.clone(), texts()])
            }
            BinaryOperator::Minus if is_jsonb => {
                self.call("jsonb_delete", vec![left.clone(), right.clone()])
            }
            BinaryOperator::HashMinus if is_jsonb => {
                self.call("jsonb_delete_path", vec![left.clone(), texts()])
            }
            _ => None,
        })
    }

    /// What is only reached into need not be put into canonical form first: `text::jsonb` and `jsonb -> key` as they stand.
    fn unread(&self, expr: &Expr) -> Expr {
        match expr {
            Expr::Cast(cast) if !matches!(*cast.expr, Expr::Placeholder(_)) => {
                cast.expr.as_ref().clone()
            }
            Expr::ScalarFunction(call) if call.func.name() == json::GET_JSONB => {
                let other = self.call(json::GET_JSON, call.args.clone());
                other.unwrap_or_else(|| expr.clone())
            }
            other => other.clone(),
        }
    }

    /// Of a text and something else: that is cast to text.
    fn concat(&self, left: &Expr, right: &Expr, schema: &DFSchema) -> Option<Expr> {
        let (left_type, right_type) = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
        let is_text = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
            )
        };
        let other = |data_type: &DataType| {
            !is_text(data_type)
                && !data_type.is_null()
                && !matches!(
                    data_type,
                    DataType::List(_) | DataType::Binary | DataType::BinaryView
                )
        };
        let text = |expr: &Expr| self.call(rapport_udf_postgres::TEXT_OF, vec![expr.clone()]);
        let concatenated = |left: Expr, right: Expr| {
            let operator = Operator::StringConcat;
            Some(datafusion::logical_expr::binary_expr(left, operator, right))
        };
        let is_bytea =
            |data_type: &DataType| matches!(data_type, DataType::Binary | DataType::BinaryView);
        let is_literal = |expr: &Expr| kind_of(expr, schema).is_none();
        if left_type.is_null() && right_type.is_null() {
            return concatenated(cast(left.clone(), DataType::Utf8View), right.clone());
        }
        if is_bytea(&left_type) && is_literal(right) {
            return concatenated(left.clone(), cast(right.clone(), DataType::Binary));
        }
        if is_bytea(&right_type) && is_literal(left) {
            return concatenated(cast(left.clone(), DataType::Binary), right.clone());
        }
        let null = lit(ScalarValue::Utf8View(None));
        match (left_type.is_null(), right_type.is_null()) {
            (false, true) if other(&left_type) => return concatenated(text(left)?, null),
            (true, false) if other(&right_type) => return concatenated(null, text(right)?),
            _ => {}
        }
        let is_char = |expr: &Expr| matches!(kind_of(expr, schema), Some(Kind::Char(_)));
        if is_char(left) || is_char(right) {
            let unpadded = |expr: &Expr| match is_char(expr) {
                true => self.call(rapport_udf_postgres::UNPADDED, vec![expr.clone()]),
                false => Some(expr.clone()),
            };
            return Some(datafusion::logical_expr::binary_expr(
                unpadded(left)?,
                Operator::StringConcat,
                unpadded(right)?,
            ));
        }
        let (left, right) = match (is_text(&left_type), is_text(&right_type)) {
            (true, false) if other(&right_type) || is_bytea(&right_type) => {
                (left.clone(), text(right)?)
            }
            (false, true) if other(&left_type) || is_bytea(&left_type) => {
                (text(left)?, right.clone())
            }
            _ => return None,
        };
        Some(datafusion::logical_expr::binary_expr(
            left,
            Operator::StringConcat,
            right,
        ))
    }

    /// `left op ANY(array)`.
    fn over_array(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        quantifier: &str,
        array: &Expr,
        schema: &DFSchema,
    ) -> Result<Option<Expr>> {
        let Some(operator) = operator_text(op) else {
            return Ok(None);
        };
        let array = match array {
            Expr::Literal(value, _) if value.try_as_str().is_some() || value.is_null() => {
                cast(array.clone(), array_like(left, schema)?.0)
            }
            Expr::Placeholder(Placeholder { id, field: None }) => {
                let (data_type, pg_type) = array_like(left, schema)?;
                let metadata =
                    std::collections::HashMap::from([(rapport_lake::PG_TYPE.to_owned(), pg_type)]);
                let field = Field::new("", data_type, true).with_metadata(metadata);
                Expr::Placeholder(Placeholder::new_with_field(
                    id.clone(),
                    Some(Arc::new(field)),
                ))
            }
            other => other.clone(),
        };
        let name = if quantifier == ANY {
            rapport_udf_postgres::ANY_OF
        } else {
            rapport_udf_postgres::ALL_OF
        };
        let operator = Expr::Literal(ScalarValue::from(operator), None);
        Ok(self.call(name, vec![operator, left.clone(), array]))
    }
}

/// The type of an array of such values, and what PostgreSQL calls it.
fn array_like(left: &Expr, schema: &DFSchema) -> Result<(DataType, String)> {
    let field = left.to_field(schema)?.1;
    let element = match field.data_type() {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        other => other.clone(),
    };
    let pg_type = match column_type(&field) {
        // Lengths of texts and digits of numbers are those of a column, not of what it is compared with.
        PgType {
            kind: Kind::Char(_) | Kind::Varchar(_),
            ..
        } => "text[]".to_owned(),
        PgType {
            kind: Kind::Numeric(_),
            ..
        } => "numeric[]".to_owned(),
        other => format!("{}[]", other.name()),
    };
    let list = DataType::List(Arc::new(Field::new_list_field(element, true)));
    Ok((list, pg_type))
}

/// The array of `ANY(array)` or `ALL(array)`.
fn quantified(expr: &Expr) -> Option<(&str, &Expr)> {
    match expr {
        Expr::ScalarFunction(call) if matches!(call.name(), ANY | ALL) => {
            Some((call.func.name(), call.args.first()?))
        }
        _ => None,
    }
}

fn operator_text(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::PGLikeMatch => "~~",
        BinaryOperator::PGILikeMatch => "~~*",
        BinaryOperator::PGNotLikeMatch => "!~~",
        BinaryOperator::PGNotILikeMatch => "!~~*",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        _ => return None,
    })
}

/// A text literal as the boolean that it is beside one. 22P02 if it is none.
pub(crate) fn boolean(expr: &Expr) -> Result<Option<Expr>> {
    let Expr::Literal(value, None) = expr else {
        return Ok(None);
    };
    let Some(text) = value.try_as_str().flatten() else {
        return Ok(None);
    };
    let value = bool_of(text).ok_or_else(|| Error::InvalidText {
        message: format!("invalid input syntax for type boolean: \"{text}\""),
    })?;
    Ok(Some(lit(value)))
}

fn binary(left: Expr, op: &BinaryOperator, right: Expr) -> Option<Expr> {
    let op = match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    };
    let (left, right) = (Box::new(left), Box::new(right));
    Some(Expr::BinaryExpr(BinaryExpr::new(left, op, right)))
}

/// 42883 for types between which PostgreSQL has no comparison and DataFusion would cast one side.
pub(crate) fn comparable(
    op: &impl std::fmt::Display,
    left: &Expr,
    right: &Expr,
    schema: &dyn ExprSchema,
) -> crate::Result<()> {
    let kinds = (kind_of(left, schema), kind_of(right, schema));
    if is_known(left, schema) && is_known(right, schema) {
        check_operator(op, kinds.0.clone(), kinds.1.clone())?;
    }
    let category_of = |kind: &Option<Kind>| match kind {
        Some(Kind::Array(item)) => category(&item.kind),
        kind => kind.as_ref().and_then(category),
    };
    let is_array = |kind: &Option<Kind>| matches!(kind, Some(Kind::Array(_)));
    // The NULLs of a UNION are texts until its types are matched.
    let may_match =
        |one, other| one == Category::Text && !matches!(other, Category::Number | Category::Truth);
    match (category_of(&kinds.0), category_of(&kinds.1)) {
        _ if is_array(&kinds.0) != is_array(&kinds.1) => Ok(()),
        (Some(one), Some(other)) if may_match(one, other) || may_match(other, one) => Ok(()),
        (Some(one), Some(other)) if one != other => Err(no_operator(op, kinds.0, kinds.1)),
        _ => Ok(()),
    }
}

/// Whether its type has been told, and is not what is left of one that is not known yet.
pub(crate) fn is_known(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    match kind_of(expr, schema) {
        None => true,
        Some(Kind::Text | Kind::Varchar(_) | Kind::Char(_)) => expr
            .to_field(schema)
            .is_ok_and(|(_, field)| field.metadata().contains_key(rapport_lake::PG_TYPE)),
        Some(_) => true,
    }
}

/// uuid, json and jsonb are compared with their like, and json with nothing.
pub(crate) fn check_operator(
    op: &impl std::fmt::Display,
    left: Option<Kind>,
    right: Option<Kind>,
) -> crate::Result<()> {
    let is_text =
        |kind: &Option<Kind>| matches!(kind, Some(Kind::Text | Kind::Varchar(_) | Kind::Char(_)));
    let is_own = |kind: &Option<Kind>| matches!(kind, Some(Kind::Uuid | Kind::Jsonb));
    let is_json = |kind: &Option<Kind>| *kind == Some(Kind::Json);
    let has_none = is_json(&left)
        || is_json(&right)
        || is_own(&left) && is_text(&right)
        || is_text(&left) && is_own(&right);
    match has_none {
        true => Err(no_operator(op, left, right)),
        false => Ok(()),
    }
}

/// 42883
pub(crate) fn no_operator(
    op: &impl std::fmt::Display,
    left: Option<Kind>,
    right: Option<Kind>,
) -> Error {
    Error::UndefinedFunction {
        message: format!(
            "operator does not exist: {} {op} {}",
            shown(left),
            shown(right)
        ),
        hint: Some(
            "No operator matches the given name and argument types. You might need to add explicit type casts."
                .to_owned(),
        ),
    }
}

fn list_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    let data_type = expr.get_type(schema).ok()?;
    matches!(data_type, DataType::List(_) | DataType::LargeList(_)).then_some(data_type)
}

/// The type that has no parts, if it is one of which that is known.
fn takes_no_subscript(expr: &RawFieldAccessExpr, schema: &DFSchema) -> Option<String> {
    let is_subscript = !matches!(expr.field_access, GetFieldAccess::NamedStructField { .. });
    let kind = kind_of(&expr.expr, schema)?;
    let has_parts = matches!(
        kind,
        Kind::Array(_) | Kind::Jsonb | Kind::Name | Kind::Record
    );
    let is_list = list_of(&expr.expr, schema).is_some();
    (is_subscript && !has_parts && !is_list).then(|| shown(Some(kind)))
}

/// Both sides, if they are arrays: a literal beside an array is one.
fn both_arrays(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<[Expr; 2]> {
    let (left, right) = (list_of(&expr.left, schema), list_of(&expr.right, schema));
    let side = |expr: &Expr, own: &Option<DataType>, other: Option<DataType>| match own {
        Some(_) => Some(expr.clone()),
        None => {
            let is_unknown = kind_of(expr, schema).is_none();
            other
                .filter(|_| is_unknown)
                .map(|other| cast(expr.clone(), other))
        }
    };
    Some([
        side(&expr.left, &left, right.clone())?,
        side(&expr.right, &right, left)?,
    ])
}

impl ExprPlanner for PostgresExpressions {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        Ok(match self.plan(&expr, schema)? {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if let Some(name) = takes_no_subscript(&expr, schema) {
            let message =
                format!("cannot subscript type {name} because it does not support subscripting");
            return Err(Refusal::new("42804", message).into());
        }
        let planned = match &expr.field_access {
            GetFieldAccess::NamedStructField { name }
                if kind_of(&expr.expr, schema) == Some(Kind::Jsonb) =>
            {
                let key = Expr::Literal(name.clone(), None);
                self.call(json::GET_JSONB, vec![expr.expr.clone(), key])
            }
            GetFieldAccess::ListIndex { key }
                if kind_of(&expr.expr, schema) == Some(Kind::Jsonb) =>
            {
                // As a path, which finds nothing in a scalar.
                let key = cast(key.as_ref().clone(), DataType::Utf8View);
                let path = self.call("make_array", vec![key]);
                path.and_then(|path| self.call(json::GET_JSONB, vec![expr.expr.clone(), path]))
            }
            GetFieldAccess::ListIndex { key } => self.call(
                rapport_udf_postgres::ARRAY_ITEM,
                vec![expr.expr.clone(), key.as_ref().clone()],
            ),
            GetFieldAccess::ListRange { start, stop, .. } => self.call(
                rapport_udf_postgres::ARRAY_SLICE,
                vec![
                    expr.expr.clone(),
                    start.as_ref().clone(),
                    stop.as_ref().clone(),
                ],
            ),
            GetFieldAccess::NamedStructField { .. } => None,
        };
        Ok(match planned {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.ours("overlay", args))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.ours("strpos", args))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.ours("substring", args))
    }
}
