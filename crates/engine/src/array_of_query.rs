//! `ARRAY(SELECT …)`: the rows of a sub-query as one array, in their order.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, FieldRef},
};
use datafusion::{
    common::{Result as PlanResult, exec_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
    },
    sql::sqlparser::ast::{
        Distinct, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident,
        OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, TableAlias, TableAliasColumnDef,
        TableFactor, Value,
    },
};

use rapport_udf_postgres::refusal::Refusal;

use crate::{
    Error, Result,
    names::folded,
    parse,
    tree::{call, calls, column},
};

/// A name that no client can type: an array, and an empty one where there is none.
pub(crate) const OR_EMPTY: &str = "\u{1}or_empty";

const ITEM: &str = "\u{1}item";

/// `None`: the expression is something else.
pub(crate) fn spelled(expr: &Expr) -> Result<Option<Expr>> {
    let Expr::Function(function) = expr else {
        return Ok(None);
    };
    let FunctionArguments::Subquery(query) = &function.args else {
        return Ok(None);
    };
    let is_array = matches!(function.name.0.as_slice(), [name]
        if name.as_ident().is_some_and(|name| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("array")));
    if !is_array {
        return Ok(None);
    }
    let aggregated = Expr::Subquery(Box::new(aggregated(query.as_ref().clone())?));
    Ok(Some(call(OR_EMPTY, vec![aggregated])))
}

fn aggregated(mut query: Query) -> Result<Query> {
    let order = match query.order_by.as_ref().map(|order_by| &order_by.kind) {
        Some(OrderByKind::Expressions(keys)) => keys.clone(),
        _ => vec![],
    };
    let is_on = matches!(query.body.as_ref(), SetExpr::Select(select)
        if matches!(select.distinct, Some(Distinct::On(_))));
    let is_cut = query.limit_clause.is_some() || query.fetch.is_some() || is_on;
    let SetExpr::Select(select) = query.body.as_mut() else {
        let keys = order.into_iter().map(|key| OrderByExpr {
            expr: column(ITEM),
            ..key
        });
        let keys = keys.collect();
        return over(query, keys);
    };
    let [item] = select.projection.as_slice() else {
        return Err(Error::Syntax {
            message: "subquery must return only one column".to_owned(),
            position: None,
        });
    };
    let (value, alias) = match item {
        SelectItem::UnnamedExpr(value) => (value.clone(), None),
        SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(folded(alias))),
        _ => {
            return Err(Error::not_supported(
                "ARRAY(SELECT * …) is not supported",
                "Name the column.",
            ));
        }
    };
    let is_item = |key: &Expr| match key {
        Expr::Value(number) => matches!(&number.value, Value::Number(number, _) if number == "1"),
        Expr::Identifier(name) if alias.is_some() => Some(folded(name)) == alias,
        key => *key == value,
    };
    let is_plain = !is_cut
        && select.distinct.is_none()
        && select.having.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && !calls(&value)
        && !order.iter().any(|key| calls(&key.expr));
    if is_plain {
        let keys = order.into_iter().map(|key| match is_item(&key.expr) {
            true => OrderByExpr {
                expr: value.clone(),
                ..key
            },
            false => key,
        });
        select.projection = vec![SelectItem::UnnamedExpr(array_agg(
            value.clone(),
            keys.collect(),
        ))];
        query.order_by = None;
        return Ok(query);
    }
    let (is_distinct, mut keys) = (select.distinct.is_some() && !is_on, vec![]);
    for (at, key) in order.into_iter().enumerate() {
        let name = match is_item(&key.expr) {
            true => ITEM.to_owned(),
            false if is_distinct => {
                return Err(Error::Refused(Refusal::new(
                    "42P10",
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                )));
            }
            false => {
                let name = format!("\u{1}key{at}");
                select.projection.push(SelectItem::ExprWithAlias {
                    expr: key.expr.clone(),
                    alias: Ident::with_quote('"', &name),
                });
                name
            }
        };
        keys.push(OrderByExpr {
            expr: column(&name),
            ..key
        });
    }
    select.projection[0] = SelectItem::ExprWithAlias {
        expr: value,
        alias: Ident::with_quote('"', alias.as_deref().unwrap_or(ITEM)),
    };
    if !is_cut {
        query.order_by = None;
    }
    over(query, keys)
}

/// `SELECT array_agg(item ORDER BY keys) FROM (query) AS array (item, …)`
fn over(query: Query, keys: Vec<OrderByExpr>) -> Result<Query> {
    let mut made = parse::query("SELECT 1 FROM (SELECT 1) AS array")?;
    if let SetExpr::Select(select) = made.body.as_mut() {
        select.projection = vec![SelectItem::UnnamedExpr(array_agg(
            column(ITEM),
            keys.clone(),
        ))];
        if let Some(TableFactor::Derived {
            subquery, alias, ..
        }) = select.from.first_mut().map(|from| &mut from.relation)
        {
            **subquery = query;
            let mut names = vec![ITEM.to_owned()];
            names.extend(keys.iter().filter_map(|key| match &key.expr {
                Expr::Identifier(name) if name.value != ITEM => Some(name.value.clone()),
                _ => None,
            }));
            let columns = names.iter().map(|name| TableAliasColumnDef {
                name: Ident::with_quote('"', name),
                data_type: None,
            });
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', "\u{1}array"),
                columns: columns.collect(),
                at: None,
            });
        }
    }
    Ok(made)
}

fn array_agg(value: Expr, keys: Vec<OrderByExpr>) -> Expr {
    let mut made = call("array_agg", vec![value]);
    if let Expr::Function(Function {
        args: FunctionArguments::List(list),
        ..
    }) = &mut made
        && !keys.is_empty()
    {
        list.clauses = vec![FunctionArgumentClause::OrderBy(keys)];
    }
    made
}

pub(crate) fn or_empty() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(OrEmpty {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrEmpty {
    signature: Signature,
}

impl ScalarUDFImpl for OrEmpty {
    fn name(&self) -> &str {
        OR_EMPTY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> PlanResult<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> PlanResult<FieldRef> {
        Ok(args.arg_fields[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        if array.null_count() == 0 {
            return Ok(ColumnarValue::Array(array));
        }
        let Some(lists) = array.as_list_opt::<i32>() else {
            return exec_err!("{OR_EMPTY} takes a list");
        };
        let DataType::List(field) = lists.data_type() else {
            return exec_err!("{OR_EMPTY} takes a list");
        };
        // What lies below a NULL is not shown.
        let lengths = (0..lists.len()).map(|row| match lists.is_null(row) {
            true => 0,
            false => lists.value(row).len(),
        });
        let offsets = OffsetBuffer::from_lengths(lengths);
        let shown: Vec<ArrayRef> = lists.iter().flatten().collect();
        let shown: Vec<&dyn Array> = shown.iter().map(AsRef::as_ref).collect();
        let values = match shown.is_empty() {
            true => arrow::array::new_empty_array(field.data_type()),
            false => arrow::compute::concat(&shown)?,
        };
        let made = ListArray::try_new(field.clone(), offsets, values, None)?;
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}
