//! `FROM t TABLESAMPLE BERNOULLI (10)`: each row with that chance, by `random()`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, SetExpr, TableAlias, TableFactor, TableSampleKind,
    TableSampleMethod, Value,
};

use crate::{Error, Result, parse, tree::call};

pub(crate) fn spell_out(factor: &mut TableFactor) -> Result<()> {
    let TableFactor::Table {
        name,
        alias,
        sample,
        ..
    } = factor
    else {
        return Ok(());
    };
    let Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
        sample.take()
    else {
        return Ok(());
    };
    let is_known = matches!(
        sample.name,
        Some(TableSampleMethod::Bernoulli | TableSampleMethod::System)
    );
    let share = sample.quantity.map(|quantity| quantity.value);
    let (Some(share), true, None) = (share, is_known, &sample.seed) else {
        return Err(Error::not_supported(
            "this TABLESAMPLE is not supported",
            "BERNOULLI and SYSTEM are, without REPEATABLE. For the same rows each time, take those whose hash says so.",
        ));
    };
    let named = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .cloned()
            .unwrap_or_else(|| Ident::new("sample")),
        columns: vec![],
        at: None,
    });
    let mut query = parse::query("SELECT * FROM t")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        let number = |text: &str| Expr::Value(Value::Number(text.to_owned(), false).into());
        let binary = |left, op, right| Expr::BinaryOp {
            left: Box::new(left),
            op,
            right: Box::new(right),
        };
        let chance = binary(
            call("random", vec![]),
            BinaryOperator::Multiply,
            number("100"),
        );
        select.selection = Some(binary(
            chance,
            BinaryOperator::Lt,
            Expr::Nested(Box::new(share)),
        ));
        std::mem::swap(&mut select.from[0].relation, factor);
    }
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(named),
        sample: None,
    };
    Ok(())
}
