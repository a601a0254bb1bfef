//! What PostgreSQL's parser spells out, spelled out before a statement is planned: patterns with an escape, `SIMILAR TO`,
//! comparisons with all elements of an array, functions that answer several rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident,
    ObjectName, Query, Select, SelectItem, SetExpr, Statement, Subscript, TableFactor, Value,
    VisitMut, VisitorMut,
};

use rapport_udf_postgres::{json, refusal::Refusal};

use crate::{
    Error, Result, array_of_query,
    expressions::{ALL, ANY},
    hidden_columns::{self, makes_rows},
    hypothetical, named_windows, ordered_input, ordered_texts, quantified, refused, sampled,
    set_returning,
    tree::{ascending, call, take},
    types_of_values,
};

/// Changes nothing that PostgreSQL and DataFusion plan alike.
pub(crate) fn spell_out(statement: &mut Statement) -> Result<()> {
    let mut spelling = Spelling {
        depth: 0,
        is_insert: matches!(statement, Statement::Insert(_)),
    };
    match statement.visit(&mut spelling) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Spelling {
    /// Of sub-queries.
    depth: usize,
    /// Its VALUES are of the types of its columns.
    is_insert: bool,
}

impl VisitorMut for Spelling {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let Err(error) = refused::check_query(query) {
            return ControlFlow::Break(error);
        }
        if let SetExpr::Select(select) = query.body.as_mut()
            && let Err(error) = named_windows::spell_out(select, query.order_by.as_mut())
        {
            return ControlFlow::Break(error);
        }
        ordered_input::spell_out_named(query);
        if let SetExpr::Values(values) = query.body.as_mut()
            && let Err(error) =
                types_of_values::spell_out(values, self.is_insert && self.depth == 0)
        {
            return ControlFlow::Break(error);
        }
        self.depth += 1;
        match hidden_columns::spell_out(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Err(error) = refused::check_call(expr) {
            return ControlFlow::Break(error);
        }
        if is_distinct_over_window(expr) {
            let what = "DISTINCT is not implemented for window functions";
            let hint = "Keep the first row of each value in a sub-query, and aggregate that.";
            return ControlFlow::Break(Error::not_supported(what, hint));
        }
        if let Some(place) = takes_no_rows(expr) {
            let message = format!("set-returning functions are not allowed in {place}");
            return ControlFlow::Break(Error::Refused(Refusal::new("0A000", message)));
        }
        if let Some(simpler) = without_subquery(expr) {
            *expr = simpler;
        }
        if let Some(simpler) = greatest_of_values(expr) {
            *expr = simpler;
        }
        match array_of_query::spelled(expr) {
            Ok(Some(spelled)) => *expr = spelled,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        ordered_input::spell_out(select);
        match named_windows::spell_out(select, None) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        ordered_texts::spell_out(select);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        set_returning::unnest_values(factor);
        name_columns(factor);
        if let Err(error) = sampled::spell_out(factor) {
            return ControlFlow::Break(error);
        }
        if let Some(query) = set_returning::as_query(factor) {
            *factor = query;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // Within a sub-query an array in brackets is planned without the columns of the query around it.
        if self.depth > 1
            && let Expr::Array(array) = expr
        {
            *expr = call("make_array", std::mem::take(&mut array.elem));
        }
        match spelled(expr) {
            Ok(Some(spelled)) => *expr = spelled,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// `LATERAL (SELECT a.id) AS b`: DataFusion calls a column of the tables beside it otherwise.
fn name_columns(factor: &mut TableFactor) {
    let TableFactor::Derived {
        lateral: true,
        subquery,
        ..
    } = factor
    else {
        return;
    };
    let SetExpr::Select(select) = subquery.body.as_mut() else {
        return;
    };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) = item
            && let Some(alias) = names.last().cloned()
        {
            let expr = Expr::CompoundIdentifier(names.clone());
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

fn is_distinct_over_window(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(Function { over: Some(_), args: FunctionArguments::List(list), .. })
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
}

/// What PostgreSQL calls an expression that would have to choose among the rows of a function.
fn takes_no_rows(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Case { .. } if makes_rows(expr) => Some("CASE"),
        Expr::Function(function)
            if plain_name(&function.name).as_deref() == Some("coalesce") && makes_rows(expr) =>
        {
            Some("COALESCE")
        }
        _ => None,
    }
}

fn spelled(expr: &mut Expr) -> Result<Option<Expr>> {
    Ok(match expr {
        Expr::Like {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        } => {
            let escape = escape_char.take().map(|escape| escape.value);
            let operator = match negated {
                false => BinaryOperator::PGLikeMatch,
                true => BinaryOperator::PGNotLikeMatch,
            };
            like(expr, pattern, escape, operator, *any)
        }
        Expr::ILike {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        } => {
            let escape = escape_char.take().map(|escape| escape.value);
            let operator = match negated {
                false => BinaryOperator::PGILikeMatch,
                true => BinaryOperator::PGNotILikeMatch,
            };
            like(expr, pattern, escape, operator, *any)
        }
        Expr::SimilarTo {
            negated,
            expr,
            pattern,
            escape_char,
        } => {
            let mut args = vec![take(pattern)];
            args.extend(escape_char.take().map(Expr::Value));
            let operator = match negated {
                false => BinaryOperator::PGRegexMatch,
                true => BinaryOperator::PGRegexNotMatch,
            };
            let pattern = call("similar_to_escape", args);
            Some(binary(take(expr), operator, pattern))
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } if !quantified::takes(compare_op) && !matches!(right.as_ref(), Expr::Subquery(_)) => {
            Some(binary(
                take(left),
                compare_op.clone(),
                call(ANY, vec![take(right)]),
            ))
        }
        Expr::AllOp {
            left,
            compare_op,
            right,
        } if !quantified::takes(compare_op) && !matches!(right.as_ref(), Expr::Subquery(_)) => {
            Some(binary(
                take(left),
                compare_op.clone(),
                call(ALL, vec![take(right)]),
            ))
        }
        Expr::Substring {
            expr,
            substring_from,
            substring_for,
            shorthand,
            ..
        } => {
            let one = || Box::new(Expr::Value(Value::Number("1".to_owned(), false).into()));
            let mut from = substring_from.take().unwrap_or_else(one);
            let mut args = vec![take(expr), take(&mut from)];
            args.extend(substring_for.take().map(|count| *count));
            Some(call(if *shorthand { "substr" } else { "substring" }, args))
        }
        Expr::CompoundFieldAccess { access_chain, .. } => {
            for access in access_chain {
                if let AccessExpr::Subscript(Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    ..
                }) = access
                {
                    // A bound that is left out is the first or the last.
                    let number =
                        |text: &str| Expr::Value(Value::Number(text.to_owned(), false).into());
                    lower_bound.get_or_insert_with(|| number("1"));
                    upper_bound.get_or_insert_with(|| number("2147483647"));
                }
            }
            None
        }
        Expr::Function(function) => {
            if let Some(counted) = hypothetical::spelled(function)? {
                return Ok(Some(counted));
            }
            if let Some(number) = bucket(function) {
                return Ok(Some(number));
            }
            sort_distinct(function);
            match json_aggregate(function) {
                Some(made) => Some(made),
                None => rows(function),
            }
        }
        _ => None,
    })
}

fn like(
    expr: &mut Expr,
    pattern: &mut Box<Expr>,
    escape: Option<Value>,
    operator: BinaryOperator,
    any: bool,
) -> Option<Expr> {
    if let Some(escape) = escape {
        let args = vec![take(pattern), Expr::Value(escape.into())];
        **pattern = call("like_escape", args);
    }
    if let Expr::Function(function) = pattern.as_ref()
        && let Some(name) = plain_name(&function.name)
        && let FunctionArguments::List(list) = &function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] = list.args.as_slice()
        && name == "all"
    {
        return Some(binary(take(expr), operator, call(ALL, vec![array.clone()])));
    }
    any.then(|| binary(take(expr), operator, call(ANY, vec![take(pattern)])))
}

/// A sub-query, its SELECT, and the one expression that it selects.
fn of_one_column(expr: &Expr) -> Option<(&Query, &Select, &Expr)> {
    let Expr::Subquery(query) = expr else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(only) | SelectItem::ExprWithAlias { expr: only, .. }] => {
            Some((query, select, only))
        }
        _ => None,
    }
}

/// `(SELECT (regexp_matches(a, b))[1])` has no row where there is no match: then `regexp_match` is NULL.
fn without_subquery(expr: &Expr) -> Option<Expr> {
    let (query, select, only) = of_one_column(expr)?;
    let is_bare = select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && query.limit_clause.is_none()
        && query.with.is_none();
    if !is_bare {
        return None;
    }
    let mut only = only.clone();
    let mut inner = &mut only;
    loop {
        match inner {
            Expr::Nested(nested) => inner = nested,
            Expr::CompoundFieldAccess { root, .. } => inner = root,
            _ => break,
        }
    }
    let Expr::Function(function) = inner else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    if plain_name(&function.name).as_deref() != Some("regexp_matches") || list.args.len() > 2 {
        return None;
    }
    function.name = ObjectName::from(vec![Ident::new("regexp_match")]);
    Some(only)
}

/// `(SELECT max(v) FROM (VALUES (a), (b)) AS t (v))` is `greatest(a, b)`.
fn greatest_of_values(expr: &Expr) -> Option<Expr> {
    let (query, select, only) = of_one_column(expr)?;
    let Expr::Function(function) = only else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let name = match plain_name(&function.name)?.as_str() {
        "max" => "greatest",
        "min" => "least",
        _ => return None,
    };
    let [table] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::Derived {
        subquery,
        alias: Some(alias),
        ..
    } = &table.relation
    else {
        return None;
    };
    let SetExpr::Values(values) = subquery.body.as_ref() else {
        return None;
    };
    let ([column], [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(given)))]) =
        (alias.columns.as_slice(), list.args.as_slice())
    else {
        return None;
    };
    let is_plain = table.joins.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && subquery.limit_clause.is_none()
        && subquery.fetch.is_none()
        && function.filter.is_none()
        && function.over.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty())
        && crate::names::folded(&column.name) == crate::names::folded(given)
        && values.rows.len() > 1
        && values.rows.iter().all(|row| row.content.len() == 1);
    let items = values.rows.iter().map(|row| row.content[0].clone());
    is_plain.then(|| call(name, items.collect()))
}

/// `width_bucket(a, ARRAY[1, 5])` is how many of the bounds are not above the value.
fn bucket(function: &Function) -> Option<Expr> {
    if plain_name(&function.name)? != "width_bucket" {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(bounds)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    let mut bounds = bounds;
    while let Expr::Cast { expr, .. } | Expr::Nested(expr) = bounds {
        bounds = expr;
    }
    let Expr::Array(bounds) = bounds else {
        return None;
    };
    let reached = bounds.elem.iter().map(|bound| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Nested(Box::new(binary(
            value.clone(),
            BinaryOperator::GtEq,
            bound.clone(),
        )))),
        data_type: DataType::Integer(None),
        array: false,
        format: None,
    });
    let number = reached.reduce(|left, right| binary(left, BinaryOperator::Plus, right))?;
    Some(Expr::Nested(Box::new(number)))
}

/// PostgreSQL finds the distinct values of an aggregate by sorting them, and leaves them sorted.
fn sort_distinct(function: &mut Function) {
    let is_list = plain_name(&function.name)
        .is_some_and(|name| matches!(name.as_str(), "array_agg" | "string_agg"));
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first() else {
        return;
    };
    let has_order = list
        .clauses
        .iter()
        .any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    if is_list
        && !has_order
        && function.over.is_none()
        && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
    {
        let key = ascending(value.clone());
        list.clauses
            .push(FunctionArgumentClause::OrderBy(vec![key]));
    }
}

/// `json_agg` and its kind: the texts of all values, put together and enclosed.
fn json_aggregate(function: &Function) -> Option<Expr> {
    let name = plain_name(&function.name)?;
    let is_object = match name.as_str() {
        "json_agg" | "jsonb_agg" => false,
        "json_object_agg" | "jsonb_object_agg" => true,
        "array_to_json" => {
            let FunctionArguments::List(list) = &function.args else {
                return None;
            };
            return match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] => {
                    Some(call("to_json", vec![array.clone()]))
                }
                _ => None,
            };
        }
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    if !is_object && list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        let mut array = function.clone();
        array.name = ObjectName::from(vec![Ident::new("array_agg")]);
        sort_distinct(&mut array);
        let made = match name.as_str() {
            "jsonb_agg" => "to_jsonb",
            _ => json::AGGREGATED,
        };
        return Some(call(made, vec![Expr::Function(array)]));
    }
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let args = args.collect::<Option<Vec<_>>>()?;
    let item = match (is_object, args.as_slice()) {
        (false, [value]) => call(json::ITEM, vec![value.clone()]),
        (true, [key, value]) => {
            let value = call("to_json", vec![value.clone()]);
            call(json::MEMBER, vec![key.clone(), value])
        }
        _ => return None,
    };
    let separator = Expr::Value(Value::SingleQuotedString(", ".to_owned()).into());
    let mut joined = function.clone();
    joined.name = ObjectName::from(vec![Ident::new("string_agg")]);
    if let FunctionArguments::List(list) = &mut joined.args {
        list.args = [item, separator]
            .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
            .into();
    }
    let around = if is_object {
        "\u{1}json_object_of"
    } else {
        "\u{1}json_array_of"
    };
    let made = call(around, vec![Expr::Function(joined)]);
    Some(if name.starts_with("jsonb") {
        call(json::TO_JSONB, vec![made])
    } else {
        made
    })
}

/// Functions that answer several rows, as an array to be unnested.
fn rows(function: &mut Function) -> Option<Expr> {
    let name = plain_name(&function.name)?;
    let (array, shape) = (array_of_rows(&name)?, shape_of_rows(&name));
    function.name = ObjectName::from(vec![Ident::new(array)]);
    let array = Expr::Function(function.clone());
    let rows = call("unnest", vec![array]);
    Some(match shape {
        Some(cast) => call(cast, vec![rows]),
        None => rows,
    })
}

/// The function that answers as an array what this one answers as rows.
pub(crate) fn array_of_rows(name: &str) -> Option<&'static str> {
    Some(match name {
        "regexp_matches" => "\u{1}regexp_matches",
        "regexp_split_to_table" => "regexp_split_to_array",
        "string_to_table" => "string_to_array",
        "json_array_elements" => "\u{1}json_array_elements",
        "jsonb_array_elements" => "\u{1}jsonb_array_elements",
        "json_array_elements_text" => "\u{1}json_array_elements_text",
        "jsonb_array_elements_text" => "\u{1}jsonb_array_elements_text",
        "json_object_keys" => "\u{1}json_object_keys",
        "jsonb_object_keys" => "\u{1}jsonb_object_keys",
        "generate_subscripts" => "\u{1}generate_subscripts",
        _ => return None,
    })
}

/// What makes a row's value of that type; unnested it is a text.
pub(crate) fn shape_of_rows(name: &str) -> Option<&'static str> {
    match name {
        "json_array_elements" | "json_each" => Some(json::TO_JSON),
        "jsonb_array_elements" | "jsonb_each" => Some(json::TO_JSONB),
        _ => None,
    }
}

/// A function's name in lower case, without `pg_catalog`.
pub(crate) fn plain_name(name: &ObjectName) -> Option<String> {
    let ident = |index: usize| name.0.get(index).and_then(|part| part.as_ident());
    let folded = |ident: &Ident| crate::names::folded(ident);
    match name.0.len() {
        1 => ident(0).map(folded),
        2 if ident(0).map(folded).as_deref() == Some("pg_catalog") => ident(1).map(folded),
        _ => None,
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}
