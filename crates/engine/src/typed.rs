//! Casts, comparisons and calls whose meaning lies in a PostgreSQL type that its Arrow type does not tell: uuid, json,
//! jsonb, char(n) and varchar(n) are all texts to DataFusion.
//!
//! A field's metadata says which it is. Here the plan is given the functions that check, convert and compare.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::{
    common::{
        DFSchema, ExprSchema, Result as PlanResult, ScalarValue,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Between, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF,
        expr::{InList, Placeholder, ScalarFunction},
        expr_rewriter::NamePreserver,
        utils::merge_schema,
    },
};
use rapport_lake::PG_TYPE;
use rapport_udf_postgres as udf;

use crate::{
    Error, Result, coerce,
    columns::column_type,
    expressions::{boolean, comparable},
    pg_type::{Kind, PgType},
    quantified,
};

/// Before the types are coerced.
pub(crate) fn give_types(
    plan: LogicalPlan,
    functions: &HashMap<String, Arc<ScalarUDF>>,
) -> Result<LogicalPlan> {
    let typing = Typing { functions };
    // What is above a new type sees it too.
    let mut is_changed = false;
    let typed = plan.transform_up_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            schema.merge(&DFSchema::try_from_qualified_schema(
                scan.table_name.clone(),
                &scan.source.schema(),
            )?);
        }
        let names = NamePreserver::new(&node);
        let changed = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| typing.typed(expr, &schema))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        is_changed |= changed.transformed;
        if is_changed {
            changed.map_data(LogicalPlan::recompute_schema)
        } else {
            Ok(changed)
        }
    });
    Ok(typed?.data)
}

struct Typing<'a> {
    functions: &'a HashMap<String, Arc<ScalarUDF>>,
}

/// What an expression is to PostgreSQL. `None`: a literal or parameter without a type.
pub(crate) fn kind_of(expr: &Expr, schema: &dyn ExprSchema) -> Option<Kind> {
    match expr {
        Expr::Literal(value, metadata) => {
            let is_typed = metadata
                .as_ref()
                .is_some_and(|metadata| metadata.inner().contains_key(PG_TYPE));
            let is_unknown = value.is_null() || value.try_as_str().is_some();
            if is_unknown && !is_typed {
                return None;
            }
        }
        Expr::Placeholder(Placeholder { field: None, .. }) => return None,
        Expr::Alias(alias) => {
            let own = alias.metadata.as_ref();
            let own = own.and_then(|metadata| metadata.inner().get(PG_TYPE));
            return match own.and_then(|text| PgType::parse(text).ok()) {
                Some(own) => Some(own.kind),
                None => kind_of(&alias.expr, schema),
            };
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results = results.chain(case.else_expr.as_deref());
            let kinds: Vec<Option<Kind>> = results.map(|expr| kind_of(expr, schema)).collect();
            if let Some(kind) = kinds.into_iter().flatten().find(is_labelled) {
                return Some(kind);
            }
        }
        Expr::ScalarFunction(call) if takes_type_of_arguments(call.name()) => {
            let kinds = call.args.iter().map(|arg| kind_of(arg, schema));
            let kinds: Vec<Option<Kind>> = kinds.collect();
            if let Some(kind) = kinds.into_iter().flatten().find(is_labelled) {
                return Some(kind);
            }
        }
        _ => {}
    }
    let field = expr.to_field(schema).ok()?.1;
    Some(column_type(&field).kind)
}

/// Types that only a field's metadata tells.
fn is_labelled(kind: &Kind) -> bool {
    matches!(kind, Kind::Uuid | Kind::Json | Kind::Jsonb)
}

fn takes_type_of_arguments(function: &str) -> bool {
    matches!(function, "coalesce" | "nullif" | "greatest" | "least")
}

/// A field of a type that only its metadata tells.
pub(crate) fn field_of(data_type: DataType, pg_type: &str) -> FieldRef {
    let metadata = HashMap::from([(PG_TYPE.to_owned(), pg_type.to_owned())]);
    Arc::new(Field::new("", data_type, true).with_metadata(metadata))
}

impl Typing<'_> {
    fn call(&self, name: &str, args: Vec<Expr>) -> PlanResult<Expr> {
        let function = self
            .functions
            .get(name)
            .ok_or_else(|| Error::not_supported(format!("the function {name} is not known"), ""))?;
        Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
            function.clone(),
            args,
        )))
    }

    fn typed(&self, expr: Expr, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
        match expr {
            Expr::Cast(cast) => self.cast(cast, schema),
            Expr::BinaryExpr(binary) => self.comparison(binary, schema),
            Expr::InList(mut list) => {
                if kind_of(&list.expr, schema) == Some(Kind::Bool) {
                    for item in &mut list.list {
                        if let Some(value) = boolean(item)? {
                            *item = value;
                        }
                    }
                }
                for item in &list.list {
                    comparable(&"=", &list.expr, item, schema)?;
                }
                let Some(kind) = kind_of(&list.expr, schema).filter(needs_care) else {
                    return Ok(Transformed::no(Expr::InList(list)));
                };
                let all = std::iter::once(list.expr.as_ref()).chain(&list.list);
                if all.into_iter().all(|expr| fills(expr, &kind, schema)) {
                    return Ok(Transformed::no(Expr::InList(list)));
                }
                let items = list.list.into_iter();
                let items = items.map(|item| self.comparable(item, &kind, schema));
                Ok(Transformed::yes(Expr::InList(InList::new(
                    Box::new(self.comparable(*list.expr, &kind, schema)?),
                    items.collect::<PlanResult<_>>()?,
                    list.negated,
                ))))
            }
            Expr::Between(between) => {
                let Some(kind) = kind_of(&between.expr, schema).filter(needs_care) else {
                    return Ok(Transformed::no(Expr::Between(between)));
                };
                Ok(Transformed::yes(Expr::Between(Between::new(
                    Box::new(self.comparable(*between.expr, &kind, schema)?),
                    between.negated,
                    Box::new(self.comparable(*between.low, &kind, schema)?),
                    Box::new(self.comparable(*between.high, &kind, schema)?),
                ))))
            }
            Expr::ScalarFunction(function) if takes_type_of_arguments(function.name()) => {
                let expr = Expr::ScalarFunction(function);
                let Some(kind) = kind_of(&expr, schema).filter(is_labelled) else {
                    return Ok(Transformed::no(expr));
                };
                let Expr::ScalarFunction(function) = expr else {
                    return Ok(Transformed::no(expr));
                };
                let args = function.args.into_iter();
                let args = args.map(|arg| self.comparable(arg, &kind, schema));
                let args = args.collect::<PlanResult<_>>()?;
                let made = Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args));
                Ok(Transformed::yes(labelled(made, field_of_kind(kind))))
            }
            Expr::AggregateFunction(call) if call.func.name() == "array_agg" => {
                let kind = call
                    .params
                    .args
                    .first()
                    .and_then(|arg| kind_of(arg, schema));
                let expr = Expr::AggregateFunction(call);
                Ok(match kind.filter(is_labelled) {
                    Some(kind) => {
                        let element = field_of_kind(kind);
                        let list = DataType::List(element.clone());
                        let of = &element.metadata()[PG_TYPE];
                        let field = field_of(list, &format!("{of}[]"));
                        Transformed::yes(labelled(expr, field))
                    }
                    None => Transformed::no(expr),
                })
            }
            Expr::ScalarSubquery(subquery) => {
                let field = subquery.subquery.schema().field(0).clone();
                let expr = Expr::ScalarSubquery(subquery);
                Ok(match is_labelled(&column_type(&field).kind) {
                    true => Transformed::yes(labelled(expr, field)),
                    false => Transformed::no(expr),
                })
            }
            Expr::Case(case) => {
                let expr = Expr::Case(case);
                let Some(kind) = kind_of(&expr, schema).filter(is_labelled) else {
                    return Ok(Transformed::no(expr));
                };
                let Expr::Case(mut case) = expr else {
                    return Ok(Transformed::no(expr));
                };
                let result = |result: Box<Expr>| -> PlanResult<Box<Expr>> {
                    Ok(Box::new(self.comparable(*result, &kind, schema)?))
                };
                case.else_expr = case.else_expr.map(result).transpose()?;
                let branches = case.when_then_expr.into_iter();
                let branches = branches.map(|(when, then)| Ok((when, result(then)?)));
                case.when_then_expr = branches.collect::<PlanResult<_>>()?;
                Ok(Transformed::yes(labelled(
                    Expr::Case(case),
                    field_of_kind(kind),
                )))
            }
            Expr::ScalarFunction(mut function)
                if function.name().starts_with(quantified::PREFIX) =>
            {
                let [one, many] = function.args.as_mut_slice() else {
                    return Ok(Transformed::no(Expr::ScalarFunction(function)));
                };
                let kind = match kind_of(one, schema) {
                    Some(kind) if needs_care(&kind) => kind,
                    None if let Some(Kind::Array(element)) = kind_of(many, schema) => element.kind,
                    _ => return Ok(Transformed::no(Expr::ScalarFunction(function))),
                };
                // The padding of items that nobody sees here stays, and so does that of the value.
                let is_spelled = !matches!(many, Expr::Placeholder(_) | Expr::Column(_));
                if is_spelled || kind == Kind::Uuid {
                    *one = self.comparable(std::mem::take(one), &kind, schema)?;
                }
                *many = self.comparable_items(std::mem::take(many), &kind, schema)?;
                Ok(Transformed::yes(Expr::ScalarFunction(function)))
            }
            Expr::ScalarFunction(function) => self.function(function, schema),
            expr => Ok(Transformed::no(expr)),
        }
    }

    /// The items of an array that is compared with a value of the kind. Of a literal they are of the kind; an ARRAY of
    /// literals is one of texts.
    fn comparable_items(
        &self,
        array: Expr,
        kind: &Kind,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Expr> {
        if let Some(items) = items_of_literal(&array)? {
            return self.array_of(items, kind, schema);
        }
        let Expr::ScalarFunction(mut made) = array else {
            return Ok(array);
        };
        if made.name() == "make_array" {
            let items = std::mem::take(&mut made.args).into_iter();
            let items = items.map(|item| match (kind, kind_of(&item, schema)) {
                (Kind::Uuid, None | Some(Kind::Text)) => Err(Error::UndefinedFunction {
                    message: "operator does not exist: uuid = text".to_owned(),
                    hint: Some("Cast the array: ARRAY[…]::uuid[].".to_owned()),
                }
                .into()),
                (Kind::Char(_), Some(Kind::Char(_))) => self.comparable(item, kind, schema),
                _ => Ok(item),
            });
            made.args = items.collect::<PlanResult<_>>()?;
        }
        Ok(Expr::ScalarFunction(made))
    }

    fn array_of(&self, items: Vec<Expr>, kind: &Kind, schema: &dyn ExprSchema) -> PlanResult<Expr> {
        let items = items.into_iter();
        let items = items.map(|item| self.comparable(item, kind, schema));
        self.call("make_array", items.collect::<PlanResult<_>>()?)
    }

    fn cast(&self, cast: Cast, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
        let Cast {
            expr: mut inner,
            field,
        } = cast;
        let from = kind_of(&inner, schema);
        let declared = field.metadata().get(PG_TYPE);
        let target = declared.and_then(|text| PgType::parse(text).ok());
        let same = |inner: Box<Expr>, field: FieldRef| {
            Ok(Transformed::no(Expr::Cast(Cast::new_from_field(
                inner, field,
            ))))
        };
        let Some(target) = target else {
            // To something that its Arrow type tells.
            let is_bytea = matches!(field.data_type(), DataType::Binary | DataType::BinaryView);
            let is_text = matches!(
                inner.get_type(schema),
                Ok(DataType::Utf8 | DataType::Utf8View)
            );
            if is_bytea && is_text && !matches!(*inner, Expr::Literal(..)) {
                return Ok(Transformed::yes(self.call(udf::TO_BYTEA, vec![*inner])?));
            }
            if matches!(from, Some(Kind::Char(_))) {
                let inner = Box::new(self.call(udf::UNPADDED, vec![*inner])?);
                return Ok(Transformed::yes(Expr::Cast(Cast::new_from_field(
                    inner, field,
                ))));
            }
            return same(inner, field);
        };
        let is_text = |kind: &Option<Kind>| {
            matches!(
                kind,
                None | Some(Kind::Text | Kind::Name | Kind::Varchar(_) | Kind::Char(_))
            )
        };
        let refused = || {
            let from = from.clone().map_or("unknown".to_owned(), |kind| {
                PgType {
                    oid: 0,
                    typmod: -1,
                    kind,
                }
                .name()
            });
            let message = format!("cannot cast type {from} to {}", target.name());
            datafusion::error::DataFusionError::from(Error::CannotCoerce { message })
        };
        if let Expr::Placeholder(_) = *inner {
            // Its type is what it is cast to, and it arrives as such.
            if matches!(target.kind, Kind::Text | Kind::Name | Kind::Varchar(None)) {
                return same(inner, field);
            }
        }
        let done = match (&target.kind, &from) {
            (Kind::Uuid, Some(Kind::Uuid)) => *inner,
            (Kind::Uuid, kind) if is_text(kind) => {
                placed(*inner, "uuid", |expr| self.call(udf::TO_UUID, vec![expr]))?
            }
            (Kind::Array(element), _) if element.kind == Kind::Uuid => {
                let items = match *inner {
                    Expr::ScalarFunction(ref mut made) if made.name() == "make_array" => {
                        Some(std::mem::take(&mut made.args))
                    }
                    ref literal => items_of_literal(literal)?,
                };
                return match items {
                    Some(items) => {
                        let inner = Box::new(self.array_of(items, &Kind::Uuid, schema)?);
                        let cast = Cast::new_from_field(inner, field);
                        Ok(Transformed::yes(Expr::Cast(cast)))
                    }
                    None if from.as_ref() == Some(&target.kind) => same(inner, field),
                    None if let Expr::Placeholder(_) = *inner => same(inner, field),
                    None => Err(Error::not_supported(
                        "a cast of texts in an array to uuid[] is not supported",
                        "Cast each by itself, as in ARRAY[a::uuid, b::uuid].",
                    )
                    .into()),
                };
            }
            (Kind::Json, Some(Kind::Json)) => *inner,
            (Kind::Json, kind) if is_text(kind) || kind == &Some(Kind::Jsonb) => {
                self.call(udf::json::TO_JSON, vec![text(*inner)])?
            }
            (Kind::Jsonb, Some(Kind::Jsonb)) => *inner,
            (Kind::Jsonb, kind) if is_text(kind) || kind == &Some(Kind::Json) => {
                self.call(udf::json::TO_JSONB, vec![text(*inner)])?
            }
            (Kind::Uuid | Kind::Json | Kind::Jsonb, _) => return Err(refused()),
            (Kind::Text | Kind::Name | Kind::Varchar(None), from) => {
                return match from {
                    // What numbers and times look like is told elsewhere.
                    Some(Kind::Array(_) | Kind::Bytea) => {
                        let shown = self.call(udf::TEXT_OF, vec![*inner])?;
                        Ok(Transformed::yes(labelled(shown, field)))
                    }
                    Some(Kind::Char(_)) => {
                        let shown = self.call(udf::UNPADDED, vec![*inner])?;
                        Ok(Transformed::yes(labelled(shown, field)))
                    }
                    _ => same(inner, field),
                };
            }
            (Kind::Char(length) | Kind::Varchar(Some(length)), from) => {
                let name = match target.kind {
                    Kind::Char(_) => udf::TO_CHAR,
                    _ => udf::TO_VARCHAR,
                };
                let shown = match from {
                    Some(Kind::Array(_) | Kind::Bytea) => self.call(udf::TEXT_OF, vec![*inner])?,
                    Some(Kind::Char(_)) => self.call(udf::UNPADDED, vec![*inner])?,
                    _ => text(*inner),
                };
                let length = i64::try_from(*length).unwrap_or(i64::MAX);
                let length = Expr::Literal(ScalarValue::Int64(Some(length)), None);
                let cut = self.call(name, vec![shown, length])?;
                return Ok(Transformed::yes(labelled(cut, field)));
            }
            _ => return same(inner, field),
        };
        Ok(Transformed::yes(done))
    }

    /// Both sides in the form in which they are equal as texts if they are equal.
    fn comparison(
        &self,
        binary: BinaryExpr,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        let is_comparison = matches!(
            binary.op,
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
        );
        if !is_comparison {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        }
        let kinds = [
            kind_of(&binary.left, schema),
            kind_of(&binary.right, schema),
        ];
        let Some(kind) = kinds.into_iter().flatten().find(needs_care) else {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        };
        let is_equality = matches!(
            binary.op,
            Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
        );
        if is_equality && fills(&binary.left, &kind, schema) && fills(&binary.right, &kind, schema)
        {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        }
        let left = self.comparable(*binary.left, &kind, schema)?;
        let right = self.comparable(*binary.right, &kind, schema)?;
        let name = match (&kind, binary.op) {
            (Kind::Jsonb, Operator::Eq) => "jsonb_eq",
            (Kind::Jsonb, Operator::NotEq) => "jsonb_ne",
            (Kind::Jsonb, Operator::Lt) => "jsonb_lt",
            (Kind::Jsonb, Operator::LtEq) => "jsonb_le",
            (Kind::Jsonb, Operator::Gt) => "jsonb_gt",
            (Kind::Jsonb, Operator::GtEq) => "jsonb_ge",
            _ => {
                let compared = BinaryExpr::new(Box::new(left), binary.op, Box::new(right));
                return Ok(Transformed::yes(Expr::BinaryExpr(compared)));
            }
        };
        Ok(Transformed::yes(self.call(name, vec![left, right])?))
    }

    fn comparable(&self, expr: Expr, kind: &Kind, schema: &dyn ExprSchema) -> PlanResult<Expr> {
        let own = kind_of(&expr, schema);
        Ok(match (kind, own) {
            (Kind::Uuid, None) => placed(expr, "uuid", |expr| self.call(udf::TO_UUID, vec![expr]))?,
            (Kind::Jsonb, None) => placed(expr, "jsonb", |expr| {
                self.call(udf::json::TO_JSONB, vec![expr])
            })?,
            (Kind::Char(_), None | Some(Kind::Char(_))) => {
                self.call(udf::UNPADDED, vec![text(expr)])?
            }
            _ => expr,
        })
    }

    fn function(
        &self,
        function: ScalarFunction,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        let ScalarFunction { func, mut args } = function;
        let name = func.name().to_owned();
        let fragment = |arg: Expr| {
            let is_json = match kind_of(&arg, schema) {
                Some(Kind::Json | Kind::Jsonb) => true,
                Some(Kind::Array(element)) => matches!(element.kind, Kind::Json | Kind::Jsonb),
                _ => false,
            };
            let is_json = Expr::Literal(ScalarValue::Boolean(Some(is_json)), None);
            self.call(udf::json::FRAGMENT, vec![arg, is_json])
        };
        match name.as_str() {
            "to_json" if args.len() == 1 => {
                return Ok(Transformed::yes(fragment(args.remove(0))?));
            }
            "to_jsonb" if args.len() == 1 => {
                let made = fragment(args.remove(0))?;
                return Ok(Transformed::yes(
                    self.call(udf::json::TO_JSONB, vec![made])?,
                ));
            }
            udf::json::ITEM if args.len() == 1 => {
                let made = fragment(args.remove(0))?;
                let null = Expr::Literal(ScalarValue::Utf8View(Some("null".to_owned())), None);
                return Ok(Transformed::yes(self.call("coalesce", vec![made, null])?));
            }
            "json_build_array" | "jsonb_build_array" => {
                let args = args.into_iter().map(fragment);
                let args = args.collect::<PlanResult<_>>()?;
                return Ok(Transformed::yes(self.call(&format!("\u{1}{name}"), args)?));
            }
            "row_to_json" | "json_build_object" | "jsonb_build_object" | udf::json::ROW => {
                let args = args.into_iter().enumerate().map(|(index, arg)| {
                    if index.is_multiple_of(2) {
                        self.call(udf::TEXT_OF, vec![arg])
                    } else {
                        fragment(arg)
                    }
                });
                let args = args.collect::<PlanResult<_>>()?;
                let name = match name.as_str() {
                    udf::json::ROW => "row_to_json",
                    name => name,
                };
                return Ok(Transformed::yes(self.call(&format!("\u{1}{name}"), args)?));
            }
            _ => {}
        }
        let keeps_padding = name.starts_with('\u{1}')
            || matches!(
                name.as_str(),
                "coalesce"
                    | "concat"
                    | "concat_ws"
                    | "format"
                    | "nullif"
                    | "octet_length"
                    | "pg_typeof"
            );
        let mut changed = false;
        if !keeps_padding {
            for arg in &mut args {
                if matches!(kind_of(arg, schema), Some(Kind::Char(_))) {
                    *arg = self.call(udf::UNPADDED, vec![arg.clone()])?;
                    changed = true;
                }
            }
        }
        let call = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
        Ok(if changed {
            Transformed::yes(call)
        } else {
            Transformed::no(call)
        })
    }
}

/// Of an array that is written as one text, `'{a,b}'`; `None` if it is another expression, or has none.
fn items_of_literal(array: &Expr) -> PlanResult<Option<Vec<Expr>>> {
    let Expr::Literal(value, _) = array else {
        return Ok(None);
    };
    let items = value
        .try_as_str()
        .flatten()
        .map(coerce::items)
        .transpose()?;
    let items = items.filter(|items| !items.is_empty());
    Ok(items.map(|items| {
        let items = items.into_iter();
        let items = items.map(|item| Expr::Literal(ScalarValue::Utf8View(item), None));
        items.collect()
    }))
}

/// What `pg_typeof` answers.
pub(crate) fn type_of(expr: &Expr, schema: &dyn ExprSchema) -> Expr {
    let shown = match kind_of(expr, schema) {
        Some(kind) => bare_name(kind),
        None => "unknown".to_owned(),
    };
    Expr::Literal(ScalarValue::Utf8View(Some(shown)), None)
}

/// Without lengths and digits.
fn bare_name(kind: Kind) -> String {
    let kind = match kind {
        Kind::Numeric(_) => Kind::Numeric(None),
        Kind::Varchar(_) => Kind::Varchar(None),
        Kind::Char(_) => return "character".to_owned(),
        Kind::Array(element) => return format!("{}[]", bare_name(element.kind)),
        kind => kind,
    };
    PgType {
        oid: 0,
        typmod: -1,
        kind,
    }
    .name()
}

fn needs_care(kind: &Kind) -> bool {
    matches!(kind, Kind::Uuid | Kind::Jsonb | Kind::Char(_))
}

/// Whether this is a text of exactly the characters that a char(n) has: two of them are equal as they stand, and a scan may
/// compare them.
fn fills(expr: &Expr, kind: &Kind, schema: &dyn ExprSchema) -> bool {
    let Kind::Char(length) = kind else {
        return false;
    };
    match (expr, kind_of(expr, schema)) {
        (Expr::Literal(value, _), None) => value
            .try_as_str()
            .flatten()
            .is_some_and(|text| text.chars().count() == *length && !text.ends_with(' ')),
        (_, own) => own.as_ref() == Some(kind),
    }
}

fn field_of_kind(kind: Kind) -> FieldRef {
    let pg_type = PgType {
        oid: 0,
        typmod: -1,
        kind,
    };
    field_of(DataType::Utf8View, &pg_type.name())
}

/// A parameter gets the type, anything else goes through the function.
fn placed(
    expr: Expr,
    pg_type: &str,
    convert: impl FnOnce(Expr) -> PlanResult<Expr>,
) -> PlanResult<Expr> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = field_of(DataType::Utf8View, pg_type);
            convert(Expr::Placeholder(Placeholder::new_with_field(
                id,
                Some(field),
            )))
        }
        Expr::Literal(value, _) if value.is_null() => Ok(text(Expr::Literal(value, None))),
        Expr::Literal(value, metadata) if pg_type == "uuid" => {
            // Said while planning, and not row by row.
            let Some(given) = value.try_as_str().flatten() else {
                return convert(text(Expr::Literal(value, metadata)));
            };
            let value = ScalarValue::Utf8View(Some(udf::uuid(given)?.hyphenated().to_string()));
            let field = field_of(DataType::Utf8View, pg_type);
            Ok(Expr::Literal(
                value,
                Some(FieldMetadata::from(field.metadata())),
            ))
        }
        expr => convert(text(expr)),
    }
}

/// As text to DataFusion, whatever it was.
fn text(expr: Expr) -> Expr {
    datafusion::logical_expr::cast(expr, DataType::Utf8View)
}

/// With the type that a cast names.
fn labelled(expr: Expr, field: FieldRef) -> Expr {
    let metadata = FieldMetadata::from(field.metadata());
    let name = expr.schema_name().to_string();
    expr.alias_with_metadata(name, Some(metadata))
}
