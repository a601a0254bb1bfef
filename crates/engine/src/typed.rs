//! Casts, comparisons and calls whose meaning lies in a PostgreSQL type that its Arrow type does not tell: uuid, json,
//! jsonb, char(n) and varchar(n) are all texts to DataFusion.
//!
//! A field's metadata says which it is. Here the plan is given the functions that check, convert and compare.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::functions_nested::expr_fn::array_transform;
use datafusion::{
    common::{
        Column, DFSchema, ExprSchema, Result as PlanResult, ScalarValue,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Aggregate, Between, BinaryExpr, Cast, Distinct, Expr, ExprSchemable, LogicalPlan,
        LogicalPlanBuilder, Operator, ScalarUDF, Unnest,
        expr::{Case, InList, InSubquery, Lambda, LambdaVariable, Placeholder, ScalarFunction},
        expr_rewriter::NamePreserver,
        lit,
        utils::merge_schema,
        when,
    },
};
use rapport_lake::PG_TYPE;
use rapport_udf_postgres::{
    self as udf,
    numeric::shown::{self, Step},
};

use crate::{
    Error, Result,
    columns::column_type,
    common_kind::{check_values, common_kind, is_labelled, is_told, without_length},
    correlated::columns_of,
    expressions::{boolean, check_operator, comparable, is_known, no_operator},
    no_order,
    pg_type::{Kind, PgType, is_unconstrained},
    quantified,
    times::grouped_by,
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
        no_order::check_node(&node, &schema)?;
        let names = NamePreserver::new(&node);
        let is_sort = matches!(node, LogicalPlan::Sort(_));
        let is_unnest = matches!(node, LogicalPlan::Unnest(_));
        let changed = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let mut changed = expr.transform_up(|expr| typing.typed(expr, &schema))?;
            if is_sort && let Some(key) = typing.sort_key(&changed.data, &schema)? {
                changed = Transformed::yes(key);
            }
            Ok(changed.update_data(|expr| called_once(name.restore(expr))))
        })?;
        let changed = changed.map_data(|node| typing.told_apart(node))?;
        is_changed |= changed.transformed || is_unnest;
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
            // What stands behind ELSE is the first, and is a NULL if nothing does.
            let last = case.else_expr.as_deref().map(|last| kind_of(last, schema));
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let kinds = results.map(|expr| kind_of(expr, schema));
            let kinds: Vec<Option<Kind>> = std::iter::once(last.flatten()).chain(kinds).collect();
            if let Some(kind) = common_kind(&kinds) {
                return Some(kind);
            }
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" && call.args.len() == 2 => {
            let [one, other] = [0, 1].map(|at| kind_of(&call.args[at], schema));
            if let Some(kind) = kind_of_nullif(one, other) {
                return Some(kind);
            }
        }
        Expr::ScalarFunction(call) if takes_type_of_arguments(call.name()) => {
            let kinds = call.args.iter().map(|arg| kind_of(arg, schema));
            let kinds: Vec<Option<Kind>> = kinds.collect();
            if let Some(kind) = common_kind(&kinds) {
                return Some(kind);
            }
        }
        Expr::ScalarFunction(call) if call.name() == udf::ARRAY_ITEM => {
            if let Some(kind) = kind_of_item(call, schema) {
                return Some(kind);
            }
        }
        Expr::ScalarFunction(call) if call.name() == "make_array" => {
            let kinds = call.args.iter().map(|arg| kind_of(arg, schema));
            let kinds: Vec<Option<Kind>> = kinds.collect();
            if let Some(kind) = common_kind(&kinds).filter(is_told) {
                return Some(array_of(kind).kind);
            }
        }
        _ => {}
    }
    let field = expr.to_field(schema).ok()?.1;
    Some(column_type(&field).kind)
}

/// `array[n]`, of an array whose items only their field tells.
fn kind_of_item(call: &ScalarFunction, schema: &dyn ExprSchema) -> Option<Kind> {
    match kind_of(call.args.first()?, schema)? {
        Kind::Array(element) => Some(element.kind).filter(is_told),
        _ => None,
    }
}

/// Of what `=` compares the two as, where that is not what they are to DataFusion.
fn kind_of_nullif(one: Option<Kind>, other: Option<Kind>) -> Option<Kind> {
    let is_char = |kind: &Option<Kind>| matches!(kind, Some(Kind::Char(_)));
    let is_text = |kind: &Option<Kind>| matches!(kind, Some(Kind::Text | Kind::Name));
    match (&one, &other) {
        (one, other) if !is_char(one) && !is_char(other) => [one, other]
            .into_iter()
            .flatten()
            .find(|kind| is_labelled(kind))
            .cloned(),
        (one, other) if is_text(one) || is_text(other) => Some(Kind::Text),
        (Some(Kind::Char(length)), _) => Some(Kind::Char(*length)),
        _ => Some(Kind::Char(None)),
    }
}

fn takes_type_of_arguments(function: &str) -> bool {
    matches!(function, "coalesce" | "greatest" | "least")
}

/// Whether an aggregate answers one of the values that it is given. Of a varchar, `min` and `max` make a text.
fn answers_one_value(aggregate: &str, kind: &Kind) -> bool {
    match aggregate {
        "min" | "max" => matches!(kind, Kind::Char(_)),
        "mode" | "percentile_disc" => is_told(kind),
        _ => false,
    }
}

fn array_of(element: Kind) -> PgType {
    let element = PgType {
        oid: 0,
        typmod: -1,
        kind: element,
    };
    PgType {
        oid: 0,
        typmod: -1,
        kind: Kind::Array(Box::new(element)),
    }
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

    /// Groups, distinct rows and what INTERSECT and EXCEPT compare: 1 and 1.0 are one jsonb. And what the items of arrays are.
    fn told_apart(&self, node: LogicalPlan) -> PlanResult<LogicalPlan> {
        let is_jsonb = |expr: &Expr, schema: &DFSchema| kind_of(expr, schema) == Some(Kind::Jsonb);
        let key = |expr: Expr| self.call(udf::json::SORT_KEY, vec![expr]);
        let aggregate = match node {
            LogicalPlan::Unnest(unnest) => return with_types_of_items(unnest),
            LogicalPlan::Aggregate(aggregate) => aggregate,
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = columns_of(&input);
                if !columns
                    .iter()
                    .any(|column| is_jsonb(column, input.schema()))
                {
                    return Ok(LogicalPlan::Distinct(Distinct::All(input)));
                }
                Aggregate::try_new(input, columns, vec![])?
            }
            LogicalPlan::Join(mut join) => {
                for (left, right) in &mut join.on {
                    if is_jsonb(left, join.left.schema()) && is_jsonb(right, join.right.schema()) {
                        *left = key(std::mem::take(left))?;
                        *right = key(std::mem::take(right))?;
                    }
                }
                return Ok(LogicalPlan::Join(join));
            }
            node => return Ok(node),
        };
        let input = aggregate.input.clone();
        grouped_by(aggregate, |expr| is_jsonb(expr, input.schema()), key)
    }

    /// What stands for it where values are sorted, if it is not itself.
    fn sort_key(&self, expr: &Expr, schema: &dyn ExprSchema) -> PlanResult<Option<Expr>> {
        let function = match kind_of(expr, schema) {
            Some(Kind::Jsonb) => udf::json::SORT_KEY,
            Some(kind) if is_sortable_array(&kind) => udf::ARRAY_KEY,
            _ => return Ok(None),
        };
        self.call(function, vec![expr.clone()]).map(Some)
    }

    /// Two arrays of one type in the order that PostgreSQL has them in: a NULL item is the greatest.
    fn arrays_in_order(
        &self,
        left: &Expr,
        op: Operator,
        right: &Expr,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Option<Expr>> {
        let is_order = matches!(
            op,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        );
        let is_sortable = |expr: &Expr| {
            let kind = kind_of(expr, schema);
            kind.is_some_and(|kind| is_sortable_array(&kind))
        };
        if !is_order || !is_sortable(left) || !is_sortable(right) {
            return Ok(None);
        }
        let (one, other) = (left.get_type(schema)?, right.get_type(schema)?);
        let is_same = one.equals_datatype(&other) || is_of_texts(&one) && is_of_texts(&other);
        let common = match is_same {
            true => None,
            false => match common_list(&one, &other) {
                Some(common) => Some(common),
                None => return Ok(None),
            },
        };
        let key = |expr: &Expr| {
            let array = match &common {
                Some(common) => datafusion::logical_expr::cast(expr.clone(), common.clone()),
                None => expr.clone(),
            };
            self.call(udf::ARRAY_KEY, vec![array])
        };
        let keys = BinaryExpr::new(Box::new(key(left)?), op, Box::new(key(right)?));
        Ok(Some(Expr::BinaryExpr(keys)))
    }

    /// `greatest` or `least` of two arrays.
    fn extreme_array(
        &self,
        function: &ScalarFunction,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Option<Expr>> {
        let kind = function.args.first().and_then(|arg| kind_of(arg, schema));
        let op = match function.name() {
            "greatest" => Operator::GtEq,
            "least" => Operator::LtEq,
            _ => return Ok(None),
        };
        if !kind.is_some_and(|kind| is_sortable_array(&kind)) {
            return Ok(None);
        }
        let is_same = |one: &Expr, other: &Expr| {
            let types = (one.get_type(schema), other.get_type(schema));
            matches!(types, (Ok(one), Ok(other)) if common_list(&one, &other).is_none())
        };
        let two = match function.args.as_slice() {
            [one, other] if is_same(one, other) => self
                .arrays_in_order(one, op, other, schema)?
                .map(|found| (one, other, found)),
            _ => None,
        };
        let Some((one, other, is_first)) = two else {
            let message = format!("{} of such arrays is not supported", function.name());
            return Err(Error::not_supported(message, "Compare them in a CASE.").into());
        };
        let is_first = other.clone().is_null().or(is_first);
        when(is_first, one.clone())
            .otherwise(other.clone())
            .map(Some)
    }

    fn typed(&self, expr: Expr, schema: &dyn ExprSchema) -> PlanResult<Transformed<Expr>> {
        check_values(&expr, schema)?;
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
                let mut is_array = false;
                for item in &mut list.list {
                    is_array |= read_as_array(item, &list.expr, schema);
                }
                if is_array {
                    return Ok(Transformed::yes(Expr::InList(list)));
                }
                let Some(kind) = kind_of(&list.expr, schema).filter(needs_care) else {
                    return Ok(Transformed::no(Expr::InList(list)));
                };
                let all = std::iter::once(list.expr.as_ref()).chain(&list.list);
                if all.into_iter().all(|expr| fills(expr, &kind, schema)) {
                    return Ok(Transformed::no(Expr::InList(list)));
                }
                // PostgreSQL makes an array of several constants, and that one is of the kind.
                let is_constant =
                    |item: &Expr| item.column_refs().is_empty() && !item.contains_outer();
                let is_array = list.list.iter().filter(|item| is_constant(item)).count() > 1;
                let items = list.list.into_iter().map(|item| match &kind {
                    Kind::Char(_) if is_array && is_constant(&item) => {
                        self.call(udf::UNPADDED, vec![text(item)])
                    }
                    kind => self.key(item, kind, schema),
                });
                Ok(Transformed::yes(Expr::InList(InList::new(
                    Box::new(self.key(*list.expr, &kind, schema)?),
                    items.collect::<PlanResult<_>>()?,
                    list.negated,
                ))))
            }
            Expr::InSubquery(found) => self.in_subquery(found, schema),
            Expr::Between(mut between) => {
                read_as_array(&mut between.low, &between.expr, schema);
                read_as_array(&mut between.high, &between.expr, schema);
                let Between {
                    expr, low, high, ..
                } = &between;
                if let Some(low) = self.arrays_in_order(expr, Operator::GtEq, low, schema)?
                    && let Some(high) = self.arrays_in_order(expr, Operator::LtEq, high, schema)?
                {
                    let within = low.and(high);
                    return Ok(Transformed::yes(match between.negated {
                        true => !within,
                        false => within,
                    }));
                }
                let Some(kind) = kind_of(&between.expr, schema).filter(needs_care) else {
                    return Ok(Transformed::no(Expr::Between(between)));
                };
                Ok(Transformed::yes(Expr::Between(Between::new(
                    Box::new(self.key(*between.expr, &kind, schema)?),
                    between.negated,
                    Box::new(self.key(*between.low, &kind, schema)?),
                    Box::new(self.key(*between.high, &kind, schema)?),
                ))))
            }
            Expr::ScalarFunction(function) if takes_type_of_arguments(function.name()) => {
                let kinds = function.args.iter().map(|arg| kind_of(arg, schema));
                let kinds: Vec<Option<Kind>> = kinds.collect();
                let Some(kind) = common_kind(&kinds) else {
                    if let Some(field) = same_digits(&kinds) {
                        let expr = Expr::ScalarFunction(function);
                        return Ok(Transformed::yes(labelled(expr, field)));
                    }
                    if let Some(extreme) = self.extreme_array(&function, schema)? {
                        return Ok(Transformed::yes(extreme));
                    }
                    return self.function(function, schema);
                };
                if matches!(function.name(), "greatest" | "least") {
                    no_order::check_comparison(&kind)?;
                }
                if kind == Kind::Jsonb && matches!(function.name(), "greatest" | "least") {
                    let message = format!("{} of jsonb is not supported", function.name());
                    return Err(Error::not_supported(message, "Compare them in a CASE.").into());
                }
                let args = function.args.into_iter();
                let args = args.map(|arg| self.converted(arg, &kind, schema));
                let args = args.collect::<PlanResult<_>>()?;
                let made = Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args));
                Ok(Transformed::yes(labelled(made, field_of_kind(kind))))
            }
            Expr::ScalarFunction(function)
                if function.name() == "nullif" && function.args.len() == 2 =>
            {
                let [one, other] = [0, 1].map(|at| kind_of(&function.args[at], schema));
                if let Some(field) = same_digits(std::slice::from_ref(&one)) {
                    let expr = Expr::ScalarFunction(function);
                    return Ok(Transformed::yes(labelled(expr, field)));
                }
                let Some(kind) = kind_of_nullif(one, other) else {
                    return self.function(function, schema);
                };
                let Ok([one, other]) = <[Expr; 2]>::try_from(function.args) else {
                    unreachable!("it was just counted");
                };
                let one = text(self.converted(one, &kind, schema)?);
                let key = |expr: &Expr| self.key(expr.clone(), &kind, schema);
                let other = self.converted(other, &kind, schema)?;
                let made = when(
                    key(&one)?.eq(key(&other)?),
                    lit(ScalarValue::Utf8View(None)),
                )
                .otherwise(one)?;
                Ok(Transformed::yes(labelled(made, field_of_kind(kind))))
            }
            Expr::ScalarFunction(function) if function.name() == udf::ARRAY_ITEM => {
                let kind = kind_of_item(&function, schema);
                let expr = Expr::ScalarFunction(function);
                Ok(match kind {
                    Some(kind) => Transformed::yes(labelled(expr, field_of_kind(kind))),
                    None => Transformed::no(expr),
                })
            }
            Expr::ScalarFunction(function) if function.name() == "make_array" => {
                let kinds = function.args.iter().map(|arg| kind_of(arg, schema));
                let kind = common_kind(&kinds.collect::<Vec<_>>()).filter(is_told);
                let Some(kind) = kind else {
                    return Ok(Transformed::no(Expr::ScalarFunction(function)));
                };
                let args = function.args.into_iter();
                let args = args.map(|arg| self.converted(arg, &kind, schema));
                let args = args.collect::<PlanResult<_>>()?;
                let made = Expr::ScalarFunction(ScalarFunction::new_udf(function.func, args));
                Ok(Transformed::yes(labelled(made, list_of(kind))))
            }
            Expr::AggregateFunction(mut call) => {
                let name = call.func.name().to_owned();
                if call.params.distinct {
                    no_order::check_equality(&call.params.args, schema)?;
                }
                no_order::check_order(&call.params.order_by, schema)?;
                // Of distinct values, those that they are sorted by have to be the same.
                let mut is_sorted = false;
                if !call.params.distinct && !call.func.supports_within_group_clause() {
                    for key in &mut call.params.order_by {
                        if let Some(expr) = self.sort_key(&key.expr, schema)? {
                            key.expr = expr;
                            is_sorted = true;
                        }
                    }
                }
                if name == "string_agg"
                    && let Some(joined) = call.params.args.first_mut()
                    && matches!(kind_of(joined, schema), Some(Kind::Char(_)))
                {
                    let padded = joined.clone();
                    *joined = self.call(udf::UNPADDED, vec![padded.clone()])?;
                    // Of distinct texts, those that they are sorted by have to be the same.
                    let keys = call.params.order_by.iter_mut();
                    for key in keys.filter(|key| key.expr == padded) {
                        key.expr = joined.clone();
                    }
                    return Ok(Transformed::yes(Expr::AggregateFunction(call)));
                }
                check_arguments(&name, &call.params.args, schema)?;
                if name == "count"
                    && call.params.distinct
                    && let [counted] = call.params.args.as_mut_slice()
                    && kind_of(counted, schema) == Some(Kind::Jsonb)
                {
                    *counted = self.key(std::mem::take(counted), &Kind::Jsonb, schema)?;
                    return Ok(Transformed::yes(Expr::AggregateFunction(call)));
                }
                let field = field_of_aggregate(&name, &call.params.args, schema);
                let expr = Expr::AggregateFunction(call);
                Ok(match field {
                    Some(field) => Transformed::yes(labelled(expr, field)),
                    None if is_sorted => Transformed::yes(expr),
                    None => Transformed::no(expr),
                })
            }
            Expr::WindowFunction(mut call) => {
                check_window(call.fun.name(), &call.params.args)?;
                no_order::check_equality(&call.params.partition_by, schema)?;
                no_order::check_order(&call.params.order_by, schema)?;
                let mut is_sorted = false;
                // DataFusion has no windows over bytes.
                let written = |bytes: Expr| {
                    let hex = lit(ScalarValue::Utf8View(Some("hex".to_owned())));
                    self.call("encode", vec![bytes, hex])
                };
                for key in &mut call.params.order_by {
                    if let Some(expr) = self.sort_key(&key.expr, schema)? {
                        key.expr = written(expr)?;
                        is_sorted = true;
                    }
                }
                for part in &mut call.params.partition_by {
                    if kind_of(part, schema) == Some(Kind::Jsonb) {
                        *part = written(self.key(std::mem::take(part), &Kind::Jsonb, schema)?)?;
                        is_sorted = true;
                    }
                }
                let field = match call.fun.name() {
                    "lag" | "lead" | "first_value" | "last_value" | "nth_value" => {
                        without_modifier(call.params.args.first(), schema)
                    }
                    name => field_of_aggregate(name, &call.params.args, schema),
                };
                let expr = Expr::WindowFunction(call);
                Ok(match field {
                    Some(field) => Transformed::yes(labelled(expr, field)),
                    None if is_sorted => Transformed::yes(expr),
                    None => Transformed::no(expr),
                })
            }
            Expr::Like(like) => {
                let operator = match (like.negated, like.case_insensitive) {
                    (false, false) => "~~",
                    (false, true) => "~~*",
                    (true, false) => "!~~",
                    (true, true) => "!~~*",
                };
                match kind_of(&like.expr, schema).filter(is_labelled) {
                    Some(kind) => {
                        let pattern = kind_of(&like.pattern, schema);
                        Err(no_operator(&operator, Some(kind), pattern).into())
                    }
                    None => Ok(Transformed::no(Expr::Like(like))),
                }
            }
            Expr::ScalarSubquery(subquery) => {
                let field = subquery.subquery.schema().field(0).clone();
                let expr = Expr::ScalarSubquery(subquery);
                Ok(match is_labelled(&column_type(&field).kind) {
                    true => Transformed::yes(labelled(expr, field)),
                    false => Transformed::no(expr),
                })
            }
            Expr::Case(mut case) => {
                let is_compared = self.compare_in_case(&mut case, schema)?;
                let last = case.else_expr.as_deref().map(|last| kind_of(last, schema));
                let results = case.when_then_expr.iter();
                let kinds = results.map(|(_, then)| kind_of(then, schema));
                let kinds: Vec<Option<Kind>> =
                    std::iter::once(last.flatten()).chain(kinds).collect();
                let Some(kind) = common_kind(&kinds) else {
                    let expr = Expr::Case(case);
                    return Ok(match same_digits(&kinds) {
                        Some(field) => Transformed::yes(labelled(expr, field)),
                        None if is_compared => Transformed::yes(expr),
                        None => Transformed::no(expr),
                    });
                };
                let result = |result: Box<Expr>| -> PlanResult<Box<Expr>> {
                    Ok(Box::new(self.converted(*result, &kind, schema)?))
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
                if kind == Kind::Jsonb
                    && let Some(items) = items_of(many)?
                {
                    let items = items.into_iter();
                    let items = items.map(|item| self.key(item, &kind, schema));
                    *many = self.call("make_array", items.collect::<PlanResult<_>>()?)?;
                    *one = self.key(std::mem::take(one), &kind, schema)?;
                    return Ok(Transformed::yes(Expr::ScalarFunction(function)));
                }
                // Nothing has padded the items of a parameter.
                if matches!(kind, Kind::Char(_))
                    && matches!(many, Expr::Placeholder(Placeholder { field: Some(_), .. }))
                {
                    if matches!(kind_of(many, schema), Some(Kind::Array(item))
                        if matches!(item.kind, Kind::Char(_)))
                    {
                        *many = quantified::unpadded_items().call(vec![std::mem::take(many)]);
                    }
                    *one = self.comparable(std::mem::take(one), &kind, schema)?;
                    return Ok(Transformed::yes(Expr::ScalarFunction(function)));
                }
                // A literal is of the length of the items that it is compared with.
                if let (Kind::Char(Some(length)), Expr::Literal(value, _)) = (&kind, &*one)
                    && let Some(text) = value.try_as_str().flatten()
                {
                    let text = format!("{:<length$}", text.trim_end_matches(' '));
                    *one = lit(ScalarValue::Utf8View(Some(text)));
                }
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
        if !matches!(array.clone().unalias(), Expr::ScalarFunction(made) if made.name() == "make_array")
        {
            return Ok(array);
        }
        let Expr::ScalarFunction(mut made) = array.unalias() else {
            unreachable!("it was just looked at");
        };
        {
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
        let target = target.filter(|target| !is_told_by_arrow(&target.kind));
        if let Some(from) = &from {
            let to = match &target {
                Some(target) => target.clone(),
                None => PgType::of_arrow(field.data_type()),
            };
            // A literal that fits is an integer, and only those are truth values.
            let is_small = matches!(&*inner, Expr::Literal(ScalarValue::Int64(Some(number)), _)
                if i32::try_from(*number).is_ok());
            let from = if is_small { &Kind::Int4 } else { from };
            check_cast(from, &to.kind)?;
            // A list of texts that nobody calls text[] is how others are kept.
            let is_named = declared.is_some() || !is_of_texts(field.data_type());
            if let (Kind::Array(one), Kind::Array(other)) = (from, &to.kind)
                && one.kind != other.kind
                && is_named
            {
                return self.cast_of_items(*inner, &one.kind, other, field, schema);
            }
        }
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
            if let DataType::List(item) = field.data_type()
                && is_text
                && !matches!(*inner, Expr::Literal(..) | Expr::Placeholder(_))
            {
                let item = PgType::of_arrow(item.data_type());
                return self.array_of_text(*inner, &item, field, schema);
            }
            if matches!(from, Some(Kind::Numeric(Some(_))))
                && field.data_type() == &udf::numeric::ANY_SCALE
            {
                let plain = field_of(field.data_type().clone(), "numeric");
                let cast = Expr::Cast(Cast::new_from_field(inner, field));
                return Ok(Transformed::yes(labelled(cast, plain)));
            }
            if let Some(Kind::Array(item)) = &from
                && matches!(item.kind, Kind::Char(_))
                && is_of_texts(field.data_type())
                && !matches!(*inner, Expr::Placeholder(_))
            {
                return Err(no_cast_of_items("text[]"));
            }
            if matches!(from, Some(Kind::Json | Kind::Jsonb)) {
                return self.cast_of_json(*inner, field, from == Some(Kind::Jsonb));
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
        if let Some(written) = written(&inner, &from) {
            *inner = written;
        }
        let done = match (&target.kind, &from) {
            (Kind::Uuid, Some(Kind::Uuid)) => *inner,
            (Kind::Uuid, kind) if is_text(kind) => {
                placed(*inner, "uuid", |expr| self.call(udf::TO_UUID, vec![expr]))?
            }
            (Kind::Array(element), kind)
                if matches!(element.kind, Kind::Uuid | Kind::Json | Kind::Jsonb) =>
            {
                if kind
                    .as_ref()
                    .is_some_and(|kind| is_text(&Some(kind.clone())))
                {
                    return self.array_of_text(*inner, element, field, schema);
                }
                if let Some(items) = items_of_literal(&inner)? {
                    *inner = self.array_of(items, &element.kind, schema)?;
                }
                return same(inner, field);
            }
            (Kind::Array(element), _)
                if let Kind::Varchar(Some(length)) | Kind::Char(Some(length)) = element.kind =>
            {
                if from.is_none() && matches!(*inner, Expr::Placeholder(_))
                    || from.as_ref() == Some(&target.kind)
                {
                    return same(inner, field);
                }
                let items = match *inner {
                    Expr::ScalarFunction(ref mut made) if made.name() == "make_array" => {
                        std::mem::take(&mut made.args)
                    }
                    ref literal @ Expr::Literal(..) => match items_of_literal(literal)? {
                        Some(items) => items,
                        None => return same(inner, field),
                    },
                    _ => return Err(no_cast_of_items(&target.name())),
                };
                let name = match element.kind {
                    Kind::Char(_) => udf::TO_CHAR,
                    _ => udf::TO_VARCHAR,
                };
                let length = Expr::Literal(ScalarValue::from(i64::try_from(length).ok()), None);
                let items = items.into_iter().map(|item| {
                    let cut = self.call(name, vec![text(item), length.clone()])?;
                    Ok(match &element.kind {
                        // What it is compared with is without its padding.
                        kind @ Kind::Char(_) => labelled(cut, field_of_kind(kind.clone())),
                        _ => cut,
                    })
                });
                let cut = self.call("make_array", items.collect::<PlanResult<_>>()?)?;
                return Ok(Transformed::yes(labelled(cut, field)));
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
            (Kind::Char(None), Some(Kind::Char(_))) => {
                return Ok(Transformed::yes(labelled(*inner, field)));
            }
            (Kind::Text | Kind::Name | Kind::Varchar(None) | Kind::Char(None), from) => {
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
            (Kind::Char(Some(length)) | Kind::Varchar(Some(length)), from) => {
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

    /// Of a text that is computed.
    fn array_of_text(
        &self,
        inner: Expr,
        item: &PgType,
        field: FieldRef,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        let texts = self.call(udf::TO_TEXTS, vec![inner])?;
        self.cast_of_items(texts, &Kind::Text, item, field, schema)
    }

    /// An array is cast as each of its items is. Of an ARRAY they are written there.
    fn cast_of_items(
        &self,
        array: Expr,
        from: &Kind,
        to: &PgType,
        field: FieldRef,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        const ITEM: &str = "item";
        let (DataType::List(given), DataType::List(wanted)) =
            (array.get_type(schema)?, field.data_type())
        else {
            return Ok(Transformed::no(Expr::Cast(Cast::new_from_field(
                Box::new(array),
                field,
            ))));
        };
        let item = match field.metadata().contains_key(PG_TYPE) {
            true => field_of(wanted.data_type().clone(), &to.name()),
            false => Arc::clone(wanted),
        };
        let cast = |value: Expr| {
            let cast = self.cast(
                Cast::new_from_field(Box::new(value), Arc::clone(&item)),
                schema,
            );
            cast.map(|cast| cast.data)
        };
        let array = match array {
            Expr::ScalarFunction(mut made) if made.name() == "make_array" => {
                made.args = made.args.into_iter().map(cast).collect::<PlanResult<_>>()?;
                Expr::ScalarFunction(made)
            }
            array => {
                // Whatever becomes of what the array is made of, its items stay what they are here.
                let given = Arc::new(Field::new_list_field(given.data_type().clone(), true));
                let array = datafusion::logical_expr::cast(array, DataType::List(given.clone()));
                let value = LambdaVariable::new(ITEM.to_owned(), Some(given));
                let value = Expr::LambdaVariable(value);
                let value = match is_told(from) {
                    true => labelled(value, field_of_kind(from.clone())),
                    false => value,
                };
                let body = cast(value)?;
                array_transform(
                    array,
                    Expr::Lambda(Lambda::new(vec![ITEM.to_owned()], body)),
                )
            }
        };
        if &array.get_type(schema)? == field.data_type() {
            return Ok(Transformed::yes(labelled(array, field)));
        }
        let cast = Cast::new_from_field(Box::new(array), field);
        Ok(Transformed::yes(Expr::Cast(cast)))
    }

    /// To a type that its Arrow type tells: of a jsonb that is a number or a truth value.
    fn cast_of_json(
        &self,
        inner: Expr,
        field: FieldRef,
        is_jsonb: bool,
    ) -> PlanResult<Transformed<Expr>> {
        let to = field.data_type();
        let name = PgType::of_arrow(to).name_alone();
        if !is_jsonb || !(to.is_numeric() || *to == DataType::Boolean) {
            let from = if is_jsonb { "jsonb" } else { "json" };
            let message = format!("cannot cast type {from} to {name}");
            return Err(Error::CannotCoerce { message }.into());
        }
        let name = Expr::Literal(ScalarValue::Utf8View(Some(name)), None);
        let mut scalar = self.call(udf::json::SCALAR, vec![inner, name])?;
        if to.is_integer() {
            // A fraction is rounded.
            scalar = datafusion::logical_expr::cast(scalar, udf::numeric::ANY_SCALE);
        }
        let cast = Cast::new_from_field(Box::new(scalar), field);
        Ok(Transformed::yes(Expr::Cast(cast)))
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
        if binary.op == Operator::StringConcat {
            return self.concatenation(binary, schema);
        }
        if !is_comparison {
            return Ok(Transformed::no(Expr::BinaryExpr(binary)));
        }
        let mut binary = binary;
        no_order::check_operands(&[&*binary.left, &*binary.right], schema)?;
        let BinaryExpr { left, right, .. } = &mut binary;
        let is_padded = self.read_as_padded(left, right, schema)?
            || self.read_as_padded(right, left, schema)?;
        if matches!(
            binary.op,
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
        ) {
            comparable(&"=", &binary.left, &binary.right, schema)?;
            let is_array = read_as_array(&mut binary.left, &binary.right, schema)
                || read_as_array(&mut binary.right, &binary.left, schema);
            if is_array {
                return Ok(Transformed::yes(Expr::BinaryExpr(binary)));
            }
        }
        let (left, right) = (&binary.left, &binary.right);
        if let Some(keys) = self.arrays_in_order(left, binary.op, right, schema)? {
            return Ok(Transformed::yes(keys));
        }
        let kinds = [
            kind_of(&binary.left, schema),
            kind_of(&binary.right, schema),
        ];
        let Some(kind) = kinds.into_iter().flatten().find(needs_care) else {
            let expr = Expr::BinaryExpr(binary);
            return Ok(match is_padded {
                true => Transformed::yes(expr),
                false => Transformed::no(expr),
            });
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
            (Kind::Jsonb, op) => {
                let keys = [left, right].map(|side| self.call(udf::json::SORT_KEY, vec![side]));
                let [left, right] = keys;
                let compared = BinaryExpr::new(Box::new(left?), op, Box::new(right?));
                return Ok(Transformed::yes(Expr::BinaryExpr(compared)));
            }
            _ => {
                let compared = BinaryExpr::new(Box::new(left), binary.op, Box::new(right));
                return Ok(Transformed::yes(Expr::BinaryExpr(compared)));
            }
        };
        Ok(Transformed::yes(self.call(name, vec![left, right])?))
    }

    /// `'{a,b}'` beside an array of char(n), whose items are padded.
    fn read_as_padded(
        &self,
        literal: &mut Expr,
        array: &Expr,
        schema: &dyn ExprSchema,
    ) -> PlanResult<bool> {
        let Some(Kind::Array(item)) = kind_of(array, schema) else {
            return Ok(false);
        };
        let given = match &*literal {
            Expr::Cast(cast) if !cast.field.metadata().contains_key(PG_TYPE) => &cast.expr,
            literal => literal,
        };
        let is_unknown = matches!(given, Expr::Literal(..)) && kind_of(given, schema).is_none();
        if !is_unknown {
            return Ok(false);
        }
        match (item.kind, items_of_literal(given)?) {
            (Kind::Char(Some(length)), Some(items)) => {
                let length = lit(ScalarValue::from(i64::try_from(length).ok()));
                let items = items.into_iter();
                let items = items
                    .map(|item| self.call(udf::TO_CHAR, vec![text(item), length.clone()]))
                    .collect::<PlanResult<_>>()?;
                *literal = self.call("make_array", items)?;
                Ok(true)
            }
            (Kind::Time, Some(_)) => Err(Error::not_supported(
                "a text beside an array of times is not supported",
                "Write the array with its type: ARRAY[time '10:00'].",
            )
            .into()),
            _ => Ok(false),
        }
    }

    /// `CASE a WHEN b`, as `a = b` is compared. Whether there is anything to do.
    fn compare_in_case(&self, case: &mut Case, schema: &dyn ExprSchema) -> PlanResult<bool> {
        let Some(base) = &mut case.expr else {
            return Ok(false);
        };
        let others = case.when_then_expr.iter_mut().map(|(when, _)| when);
        let mut all: Vec<&mut Box<Expr>> = std::iter::once(base).chain(others).collect();
        let mut kinds = all.iter().filter_map(|expr| kind_of(expr, schema));
        let Some(kind) = kinds.find(needs_care) else {
            return Ok(false);
        };
        for expr in &mut all {
            ***expr = self.key(std::mem::take(&mut ***expr), &kind, schema)?;
        }
        Ok(true)
    }

    /// A char(n) is without its padding beside a text.
    fn concatenation(
        &self,
        mut binary: BinaryExpr,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        let mut changed = false;
        for side in [&mut binary.left, &mut binary.right] {
            if matches!(kind_of(side, schema), Some(Kind::Char(_))) {
                **side = self.call(udf::UNPADDED, vec![std::mem::take(&mut **side)])?;
                changed = true;
            }
        }
        let expr = Expr::BinaryExpr(binary);
        Ok(match changed {
            true => Transformed::yes(expr),
            false => Transformed::no(expr),
        })
    }

    fn comparable(&self, expr: Expr, kind: &Kind, schema: &dyn ExprSchema) -> PlanResult<Expr> {
        let own = kind_of(&expr, schema);
        Ok(match (kind, own) {
            (Kind::Uuid, None) => placed(expr, "uuid", |expr| self.call(udf::TO_UUID, vec![expr]))?,
            (Kind::Jsonb, None) => placed(expr, "jsonb", |expr| {
                self.call(udf::json::TO_JSONB, vec![expr])
            })?,
            (Kind::Char(_), None | Some(Kind::Char(_) | Kind::Varchar(_))) => {
                self.call(udf::UNPADDED, vec![text(expr)])?
            }
            _ => expr,
        })
    }

    /// In the form in which what is equal is the same.
    fn key(&self, expr: Expr, kind: &Kind, schema: &dyn ExprSchema) -> PlanResult<Expr> {
        let expr = self.comparable(expr, kind, schema)?;
        match kind {
            Kind::Jsonb => self.call(udf::json::SORT_KEY, vec![expr]),
            _ => Ok(expr),
        }
    }

    /// The padding of a char(n) does not count on either side, nor how a number in jsonb is written.
    fn in_subquery(
        &self,
        found: InSubquery,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        let rows = found.subquery.subquery.schema();
        let item = Expr::Column(Column::from(rows.qualified_field(0)));
        let kinds = [kind_of(&found.expr, schema), kind_of(&item, rows.as_ref())];
        let [known, known_item] = [
            is_known(&found.expr, schema),
            is_known(&item, rows.as_ref()),
        ];
        if known && known_item {
            check_operator(&"=", kinds[0].clone(), kinds[1].clone())?;
        }
        let mut asked = kinds.iter().flatten();
        let kind = asked.find(|kind| match kind {
            Kind::Char(_) => kinds[0] != kinds[1],
            kind => **kind == Kind::Jsonb,
        });
        let Some(kind) = kind else {
            return Ok(Transformed::no(Expr::InSubquery(found)));
        };
        let item = self.key(item, kind, rows.as_ref())?;
        let rows = LogicalPlanBuilder::from(found.subquery.subquery.as_ref().clone());
        let rows = rows.project([item])?.build()?;
        Ok(Transformed::yes(Expr::InSubquery(InSubquery {
            expr: Box::new(self.key(*found.expr, kind, schema)?),
            subquery: found.subquery.with_plan(rows.into()),
            negated: found.negated,
        })))
    }

    /// As a value of the kind that it stands for with others.
    fn converted(&self, expr: Expr, kind: &Kind, schema: &dyn ExprSchema) -> PlanResult<Expr> {
        match (kind, kind_of(&expr, schema)) {
            (Kind::Char(_), _) => Ok(expr),
            (Kind::Text | Kind::Varchar(_), Some(Kind::Char(_))) => {
                self.call(udf::UNPADDED, vec![expr])
            }
            _ => self.comparable(expr, kind, schema),
        }
    }

    /// A value as JSON by one of the functions that are told whether it is so already; a row of values by each of them.
    fn json(&self, function: &str, value: Expr, schema: &dyn ExprSchema) -> PlanResult<Expr> {
        // `ROW(…)` has an alias.
        if let Expr::ScalarFunction(row) = value.clone().unalias()
            && row.name() == "struct"
        {
            let object = match function {
                udf::json::LINE => "\u{1}\u{1}json_row",
                _ => "\u{1}row_to_json",
            };
            let members = row.args.into_iter().enumerate().map(|(at, value)| {
                let name = ScalarValue::Utf8View(Some(format!("f{}", at + 1)));
                let value = self.json(udf::json::FRAGMENT, value, schema)?;
                Ok([Expr::Literal(name, None), value])
            });
            let members = members.collect::<PlanResult<Vec<_>>>()?;
            return self.call(object, members.concat());
        }
        let kind = kind_of(&value, schema);
        if let Some(written) = written(&value, &kind) {
            return self.call(function, vec![written, lit(true)]);
        }
        let is_json = match kind {
            Some(Kind::Json | Kind::Jsonb) => true,
            Some(Kind::Array(element)) => matches!(element.kind, Kind::Json | Kind::Jsonb),
            _ => false,
        };
        let is_json = Expr::Literal(ScalarValue::Boolean(Some(is_json)), None);
        self.call(function, vec![value, is_json])
    }

    fn function(
        &self,
        function: ScalarFunction,
        schema: &dyn ExprSchema,
    ) -> PlanResult<Transformed<Expr>> {
        let ScalarFunction { func, mut args } = function;
        let name = func.name().to_owned();
        let fragment = |arg: Expr| self.json(udf::json::FRAGMENT, arg, schema);
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
            "row_to_json" if args.len() == 1 && is_row(&args[0], schema) => {
                return Ok(Transformed::yes(fragment(args.remove(0))?));
            }
            udf::json::AGGREGATED if args.len() == 1 => {
                let made = self.json(udf::json::AGGREGATED_FRAGMENT, args.remove(0), schema)?;
                return Ok(Transformed::yes(made));
            }
            udf::json::MEMBER => {
                check_keys(&args, schema)?;
            }
            udf::json::ITEM if args.len() == 1 => {
                let item = args.remove(0);
                let is_array = matches!(item.get_type(schema), Ok(DataType::List(_)));
                let made = match is_array || is_row(&item, schema) {
                    true => self.json(udf::json::LINE, item, schema)?,
                    false => fragment(item)?,
                };
                let null = Expr::Literal(ScalarValue::Utf8View(Some("null".to_owned())), None);
                return Ok(Transformed::yes(self.call("coalesce", vec![made, null])?));
            }
            "json_build_array" | "jsonb_build_array" => {
                let args = args.into_iter().map(fragment);
                let args = args.collect::<PlanResult<_>>()?;
                return Ok(Transformed::yes(self.call(&format!("\u{1}{name}"), args)?));
            }
            "row_to_json"
            | "json_build_object"
            | "jsonb_build_object"
            | udf::json::ROW
            | udf::json::ROW_ON_LINES => {
                check_keys(&args, schema)?;
                let args = args.into_iter().enumerate().map(|(index, arg)| {
                    if index.is_multiple_of(2) {
                        self.call(udf::TEXT_OF, vec![arg])
                    } else {
                        fragment(arg)
                    }
                });
                let args = args.collect::<PlanResult<_>>()?;
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
                    | "make_array"
                    | "nullif"
                    | "octet_length"
                    | "pg_typeof"
                    | "similar_to"
                    | "struct"
                    | "textregexeq"
                    | "textregexne"
                    | "texticregexeq"
                    | "texticregexne"
            );
        let mut changed = false;
        if matches!(
            name.as_str(),
            udf::TEXT_OF | "concat" | "concat_ws" | "format"
        ) {
            for arg in &mut args {
                if let Some(written) = written(arg, &kind_of(arg, schema)) {
                    *arg = written;
                    changed = true;
                }
            }
        }
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

/// Types that their Arrow type tells well enough where something is cast to them: only their names say more.
fn is_told_by_arrow(kind: &Kind) -> bool {
    match kind {
        Kind::Numeric(_) => true,
        Kind::Array(item) => matches!(
            item.kind,
            Kind::Text | Kind::Name | Kind::Varchar(None) | Kind::Char(None)
        ),
        _ => false,
    }
}

fn no_cast_of_items(to: &str) -> datafusion::error::DataFusionError {
    let message = format!("a cast of such an array to {to} is not supported");
    Error::not_supported(message, "Cast each of its items by itself.").into()
}

fn is_of_texts(array: &DataType) -> bool {
    matches!(array, DataType::List(item) if item.data_type().is_string())
}

/// Whether its items are in an order that their Arrow type has too.
fn is_sortable_array(kind: &Kind) -> bool {
    match kind {
        Kind::Array(item) => !matches!(
            item.kind,
            Kind::Json | Kind::Jsonb | Kind::Record | Kind::Interval | Kind::Array(_)
        ),
        _ => false,
    }
}

/// What arrays of two types of numbers are compared as, if each of their items is exact in it.
fn common_list(one: &DataType, other: &DataType) -> Option<DataType> {
    let (DataType::List(one), DataType::List(other)) = (one, other) else {
        return None;
    };
    let (one, other) = (one.data_type(), other.data_type());
    let fits = |item: &DataType| match item {
        DataType::Decimal128(precision, scale) => {
            (0..=10).contains(scale) && i16::from(*precision) - i16::from(*scale) <= 28
        }
        item => item.is_integer(),
    };
    let item = match one.is_integer() && other.is_integer() {
        _ if one.equals_datatype(other) => return None,
        true => DataType::Int64,
        false if fits(one) && fits(other) => DataType::Decimal128(38, 10),
        false => return None,
    };
    Some(DataType::List(Arc::new(Field::new_list_field(item, true))))
}

/// The text of a numeric that says how many digits it shows, and is of the type of those that do not.
fn written(number: &Expr, kind: &Option<Kind>) -> Option<Expr> {
    match kind {
        Some(Kind::Numeric(Some((precision, scale))))
            if is_unconstrained(&DataType::Decimal128(*precision, *scale)) =>
        {
            let scale = lit(i32::from(*scale));
            Some(shown::function(Step::Written).call(vec![number.clone(), scale]))
        }
        _ => None,
    }
}

/// A literal without a type is an array beside one.
fn read_as_array(literal: &mut Expr, array: &Expr, schema: &dyn ExprSchema) -> bool {
    let is_unknown = matches!(literal, Expr::Literal(..)) && kind_of(literal, schema).is_none();
    match array.get_type(schema) {
        Ok(list @ DataType::List(_)) if is_unknown => {
            *literal = datafusion::logical_expr::cast(std::mem::take(literal), list);
            true
        }
        _ => false,
    }
}

fn is_row(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Struct(_)))
}

/// Of keys and values by turns: 22023 unless each key can be a member's name in JSON.
fn check_keys(args: &[Expr], schema: &dyn ExprSchema) -> PlanResult<()> {
    let has_parts = |key: &Expr| {
        let kind = kind_of(key, schema);
        let is_array_or_json = matches!(kind, Some(Kind::Array(_) | Kind::Json | Kind::Jsonb));
        is_array_or_json || is_row(key, schema)
    };
    match args.iter().step_by(2).any(has_parts) {
        true => Err(udf::refusal::refuse(
            "22023",
            "key value must be scalar, not array, composite, or json",
        )),
        false => Ok(()),
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
        .map(udf::array_items)
        .transpose()?;
    let items = items.filter(|items| !items.is_empty());
    Ok(items.map(|items| {
        let items = items.into_iter();
        let items = items.map(|item| Expr::Literal(ScalarValue::Utf8View(item), None));
        items.collect()
    }))
}

/// The same of an ARRAY too, also where it is cast.
fn items_of(array: &Expr) -> PlanResult<Option<Vec<Expr>>> {
    match array {
        Expr::Alias(alias) => items_of(&alias.expr),
        Expr::Cast(cast) => items_of(&cast.expr),
        Expr::ScalarFunction(made) if made.name() == "make_array" => Ok(Some(made.args.clone())),
        array => items_of_literal(array),
    }
}

/// Whether PostgreSQL has such a cast; DataFusion has more.
fn check_cast(from: &Kind, to: &Kind) -> Result<()> {
    use Kind as K;
    let is_text = |kind: &K| {
        matches!(
            kind,
            K::Text | K::Name | K::Varchar(_) | K::Char(_) | K::InternalChar | K::Record
        )
    };
    let is_number = |kind: &K| {
        matches!(
            kind,
            K::Int2 | K::Int4 | K::Int8 | K::Float4 | K::Float8 | K::Numeric(_)
        )
    };
    let is_known = match (from, to) {
        (from, to) if is_text(from) || is_text(to) => true,
        (K::Bool, to) => matches!(to, K::Bool | K::Int4),
        (K::Uuid, to) => *to == K::Uuid,
        (K::Json, to) => matches!(to, K::Json | K::Jsonb),
        (K::Jsonb, to) => matches!(to, K::Json | K::Jsonb | K::Bool) || is_number(to),
        (K::Bytea, to) => *to == K::Bytea,
        (K::Array(one), K::Array(other)) => check_cast(&one.kind, &other.kind).is_ok(),
        (K::Array(_), _) => false,
        (K::Date, to) => matches!(to, K::Date | K::Timestamp | K::Timestamptz),
        (K::Timestamp | K::Timestamptz, to) => {
            matches!(to, K::Date | K::Time | K::Timestamp | K::Timestamptz)
        }
        (K::Time | K::Interval, to) => matches!(to, K::Time | K::Interval),
        (from, to) if is_number(from) => match to {
            K::Bool => *from == K::Int4,
            to => is_number(to) || *to == K::Oid,
        },
        (_, to) => !matches!(
            to,
            K::Array(_) | K::Bool | K::Bytea | K::Uuid | K::Json | K::Jsonb
        ),
    };
    if is_known {
        return Ok(());
    }
    let (from, to) = (bare_name(from.clone()), bare_name(to.clone()));
    Err(Error::CannotCoerce {
        message: format!("cannot cast type {from} to {to}"),
    })
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
            .is_some_and(|text| Some(text.chars().count()) == *length && !text.ends_with(' ')),
        // Of several lengths.
        (_, Some(Kind::Char(None))) => false,
        (_, own) => own.as_ref() == Some(kind),
    }
}

/// The functions themselves say it otherwise, or not at all.
fn check_window(name: &str, args: &[Expr]) -> PlanResult<()> {
    let (at, code) = match name {
        "ntile" => (0, "22014"),
        "nth_value" => (1, "22016"),
        _ => return Ok(()),
    };
    let number = match args.get(at) {
        Some(Expr::Literal(value, _)) => value.cast_to(&DataType::Int64)?,
        _ => return Ok(()),
    };
    match number {
        ScalarValue::Int64(Some(..=0)) => Err(udf::refusal::refuse(
            code,
            format!("argument of {name} must be greater than zero"),
        )),
        _ => Ok(()),
    }
}

/// DataFusion takes more than PostgreSQL does, and other things.
fn check_arguments(name: &str, args: &[Expr], schema: &dyn ExprSchema) -> Result<()> {
    let kinds = args.iter().map(|arg| kind_of(arg, schema));
    let kinds: Vec<Option<Kind>> = kinds.collect();
    match (name, kinds.as_slice()) {
        ("count", [_, _, ..]) => {
            let named = |kind: Option<Kind>| kind.map_or("unknown".to_owned(), bare_name);
            let kinds: Vec<String> = kinds.into_iter().map(named).collect();
            Err(Error::UndefinedFunction {
                message: format!("function count({}) does not exist", kinds.join(", ")),
                hint: Some("Count a row of them: count((a, b)).".to_owned()),
            })
        }
        ("max" | "min", [Some(Kind::Json)]) => Err(Error::UndefinedFunction {
            message: format!("function {name}(json) does not exist"),
            hint: Some("Cast it to text.".to_owned()),
        }),
        ("max" | "min", [Some(kind)]) if no_order::is_of_intervals(kind) => {
            no_order::check_operands(&[&args[0]], schema)
        }
        // `b > ANY (SELECT …)` is said by it.
        ("max" | "min", [Some(Kind::Jsonb)]) => Err(Error::not_supported(
            format!("{name} of jsonb is not supported"),
            "Sort the values and take the first: ORDER BY value LIMIT 1.",
        )),
        ("mode" | "percentile_disc", [Some(Kind::Json), ..]) => {
            no_order::check_order(&[args[0].clone().sort(true, false)], schema)
        }
        ("string_agg", [Some(Kind::Bytea), ..]) => Err(Error::not_supported(
            "string_agg of bytea is not supported",
            "Put the texts together: string_agg(encode(value, 'hex'), '').",
        )),
        _ => Ok(()),
    }
}

fn field_of_aggregate(name: &str, args: &[Expr], schema: &dyn ExprSchema) -> Option<FieldRef> {
    let kind = kind_of(args.first()?, schema).filter(is_told)?;
    if name == "array_agg" {
        return Some(list_of(without_length(kind)));
    }
    let of_several = args.get(1).map(|places| places.get_type(schema));
    if name == "percentile_disc" && matches!(of_several, Some(Ok(DataType::List(_)))) {
        return Some(list_of(without_length(kind)));
    }
    answers_one_value(name, &kind).then(|| field_of_kind(without_length(kind)))
}

/// The type of what a window takes from another row, if that has a length or a number of digits.
fn without_modifier(value: Option<&Expr>, schema: &dyn ExprSchema) -> Option<FieldRef> {
    fn bare(pg_type: PgType) -> PgType {
        PgType {
            typmod: -1,
            kind: match pg_type.kind {
                Kind::Numeric(_) => Kind::Numeric(None),
                Kind::Array(item) => Kind::Array(Box::new(bare(*item))),
                kind => without_length(kind),
            },
            ..pg_type
        }
    }
    let field = value?.to_field(schema).ok()?.1;
    let declared = PgType::parse(field.metadata().get(PG_TYPE)?).ok()?;
    (declared.typmod >= 0).then(|| field_of(field.data_type().clone(), &bare(declared).name()))
}

/// The numeric that all are: as many digits, and none of them without a type.
fn same_digits(kinds: &[Option<Kind>]) -> Option<FieldRef> {
    let first = kinds.first()?;
    let Some(kind @ Kind::Numeric(Some((precision, scale)))) = first else {
        return None;
    };
    let name = PgType {
        oid: 0,
        typmod: -1,
        kind: kind.clone(),
    }
    .name();
    let field = || field_of(DataType::Decimal128(*precision, *scale), &name);
    kinds.iter().all(|other| other == first).then(field)
}

fn list_of(element: Kind) -> FieldRef {
    let name = array_of(element.clone()).name();
    field_of(DataType::List(field_of_kind(element)), &name)
}

pub(crate) fn field_of_kind(kind: Kind) -> FieldRef {
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
        Expr::Literal(value, _) if value.is_null() => {
            let metadata = FieldMetadata::from(field_of(DataType::Utf8View, pg_type).metadata());
            Ok(Expr::Literal(ScalarValue::Utf8View(None), Some(metadata)))
        }
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

/// The items of a varchar[] are varchars, which the field of their list does not tell.
fn with_types_of_items(unnest: Unnest) -> PlanResult<LogicalPlan> {
    let input = unnest.input.schema();
    let lists = unnest.list_type_columns.iter().filter_map(|(at, list)| {
        let mut kind = column_type(input.field(*at)).kind;
        for _ in 0..list.depth {
            let Kind::Array(item) = kind else {
                return None;
            };
            kind = item.kind;
        }
        let kind = without_length(kind);
        let item = unnest.schema.field_from_column(&list.output_column).ok()?;
        (is_told(&kind) && item.data_type().is_string())
            .then(|| (list.output_column.clone(), field_of_kind(kind)))
    });
    let lists: HashMap<Column, FieldRef> = lists.collect();
    if lists.is_empty() {
        return Ok(LogicalPlan::Unnest(unnest));
    }
    let columns = unnest.schema.columns().into_iter().map(|column| {
        let Some(field) = lists.get(&column) else {
            return Expr::Column(column);
        };
        let metadata = Some(FieldMetadata::from(field.metadata()));
        let (relation, name) = (column.relation.clone(), column.name.clone());
        Expr::Column(column).alias_qualified_with_metadata(relation, name, metadata)
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(LogicalPlan::Unnest(unnest))
        .project(columns)?
        .build()
}

/// With one name: DataFusion looks for a window function below no more than that.
fn called_once(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(mut outer) => {
            if let Expr::Alias(inner) = *outer.expr {
                outer.metadata = outer.metadata.or(inner.metadata);
                outer.expr = inner.expr;
            }
            Expr::Alias(outer)
        }
        expr => expr,
    }
}

/// With the type that a cast names.
fn labelled(expr: Expr, field: FieldRef) -> Expr {
    let metadata = FieldMetadata::from(field.metadata());
    let name = expr.schema_name().to_string();
    expr.alias_with_metadata(name, Some(metadata))
}
