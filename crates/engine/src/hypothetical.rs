//! `rank(x) WITHIN GROUP (ORDER BY y)`: where a row of that value would stand among the rows of the group, by counting those
//! before it.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr,
};

use crate::{Error, Result, parse, syntax::plain_name};

/// The same by aggregates that DataFusion knows; `None` if it is another function.
pub(crate) fn spelled(function: &Function) -> Result<Option<Expr>> {
    let Some(name) = plain_name(&function.name) else {
        return Ok(None);
    };
    let is_hypothetical = matches!(
        name.as_str(),
        "rank" | "dense_rank" | "percent_rank" | "cume_dist"
    );
    if !is_hypothetical || function.within_group.is_empty() {
        return Ok(None);
    }
    let (FunctionArguments::List(list), [key]) = (&function.args, function.within_group.as_slice())
    else {
        return Err(several(&name));
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return Err(several(&name));
    };
    let is_descending = key.options.asc == Some(false);
    let nulls_first = key.options.nulls_first.unwrap_or(is_descending);
    let (key, value) = (&key.expr, format!("({value})"));
    let beyond = if is_descending { ">" } else { "<" };
    let nulls = match nulls_first {
        true => format!(" OR ({key}) IS NULL"),
        false => String::new(),
    };
    let among = match &function.filter {
        Some(filter) => format!("({filter}) AND "),
        None => String::new(),
    };
    let before = format!("FILTER (WHERE {among}(({key}) {beyond} {value}{nulls}))");
    let equal = format!("FILTER (WHERE {among}({key}) = {value})");
    let all = format!("FILTER (WHERE {among}true)");
    let sql = match name.as_str() {
        "rank" => format!("1 + count(*) {before}"),
        "dense_rank" if nulls_first => {
            format!(
                "1 + count(DISTINCT {key}) {before} + least(count(*) FILTER (WHERE {among}({key}) IS NULL), 1)"
            )
        }
        "dense_rank" => format!("1 + count(DISTINCT {key}) {before}"),
        "percent_rank" => format!(
            "CASE WHEN count(*) {all} = 0 THEN 0::float8 ELSE (count(*) {before})::float8 / count(*) {all} END"
        ),
        _ => format!("(1 + count(*) {before} + count(*) {equal})::float8 / (1 + count(*) {all})"),
    };
    let query = parse::query(&format!("SELECT ({sql})"))?;
    let SetExpr::Select(mut select) = *query.body else {
        return Ok(None);
    };
    Ok(match select.projection.pop() {
        Some(SelectItem::UnnamedExpr(expr)) => Some(expr),
        _ => None,
    })
}

fn several(name: &str) -> Error {
    Error::not_supported(
        format!("{name} within groups that are ordered by several keys is not supported"),
        "Order by one key.",
    )
}
