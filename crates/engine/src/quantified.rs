//! `x = ANY (array)` and `x <> ALL (array)`, with each comparison, as PostgreSQL means them where something is NULL.
//!
//! Over an array that is known when the plan is made, a literal or a parameter's value, it becomes `IN` or a chain of
//! comparisons: those are pushed down to the files. A parameter in the array's place is an array of what it is compared with.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, ListArray, StringViewArray,
        UInt64Array,
    },
    compute::{
        cast,
        kernels::cmp::{eq, gt, gt_eq, lt, lt_eq, neq},
        take,
    },
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    common::{
        DFSchema, Result, ScalarValue, plan_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
        ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr::InList,
        expr_rewriter::NamePreserver,
        lit,
        simplify::{ExprSimplifyResult, SimplifyContext},
        type_coercion::binary::comparison_coercion,
        utils::merge_schema,
    },
    sql::sqlparser::ast::{self, BinaryOperator, Statement, VisitMut, VisitorMut},
};

use rapport_udf_postgres::by_weight;

use crate::{
    columns::column_type,
    pg_type::{Kind, PgType, array_oid},
    times::weight,
    tree::{call, take as taken},
};

/// Begins the names of the functions.
pub(crate) const PREFIX: &str = "\u{1}quantified ";

/// Longer arrays are not made into chains of comparisons.
const LONGEST_CHAIN: usize = 50;

const OPERATORS: [(BinaryOperator, Operator); 6] = [
    (BinaryOperator::Eq, Operator::Eq),
    (BinaryOperator::NotEq, Operator::NotEq),
    (BinaryOperator::Lt, Operator::Lt),
    (BinaryOperator::LtEq, Operator::LtEq),
    (BinaryOperator::Gt, Operator::Gt),
    (BinaryOperator::GtEq, Operator::GtEq),
];

/// Whether it is one of the operators of an order: patterns are matched elsewhere.
pub(crate) fn takes(op: &BinaryOperator) -> bool {
    OPERATORS.iter().any(|(known, _)| known == op)
}

/// Puts functions in the place of comparisons with arrays.
pub(crate) fn spell_out(statement: &mut Statement) {
    let _ = statement.visit(&mut Spell);
}

struct Spell;

impl VisitorMut for Spell {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        let (left, op, right, word) = match expr {
            ast::Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => (left, compare_op, right, "any"),
            ast::Expr::AllOp {
                left,
                compare_op,
                right,
            } => (left, compare_op, right, "all"),
            _ => return ControlFlow::Continue(()),
        };
        if takes(op) && !matches!(**right, ast::Expr::Subquery(_)) {
            let name = format!("{PREFIX}{word} {op}");
            *expr = call(&name, vec![taken(left), taken(right)]);
        }
        ControlFlow::Continue(())
    }
}

/// The function of that name, which has the prefix.
pub(crate) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    let (word, op) = name.strip_prefix(PREFIX)?.split_once(' ')?;
    let (_, operator) = OPERATORS
        .iter()
        .find(|(known, _)| known.to_string() == op)?;
    Some(Arc::new(ScalarUDF::from(Quantified {
        name: name.to_owned(),
        operator: *operator,
        is_all: word == "all",
        signature: Signature::user_defined(Volatility::Immutable),
    })))
}

/// An array of char(n) without the padding of its items.
pub(crate) fn unpadded_items() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(UnpaddedItems {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// The types of parameters that are compared with, by the parameters' names.
pub(crate) fn parameters(plan: &LogicalPlan) -> Result<HashMap<String, u32>> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if schema.fields().is_empty() {
            schema = node.schema().as_ref().clone();
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(function) = expr
                    && function.name().starts_with(PREFIX)
                    && let [left, right] = function.args.as_slice()
                    && let Some((id, oid)) = parameter(left, right, &schema)
                    && PgType::of_parameter(oid).is_some()
                {
                    found.entry(id).or_insert(oid);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn parameter(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<(String, u32)> {
    let unknown = |expr: &Expr| match expr {
        Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
            Some(placeholder.id.clone())
        }
        _ => None,
    };
    if let Some(id) = unknown(right) {
        let (_, field) = left.to_field(schema).ok()?;
        return Some((id, array_oid(compared(&field).oid)));
    }
    let id = unknown(left)?;
    let (_, field) = right.to_field(schema).ok()?;
    match column_type(&field).kind {
        Kind::Array(element) => Some((id, element.oid)),
        _ => None,
    }
}

/// What values of a column are compared as: `varchar` has no operators of its own.
fn compared(field: &Field) -> PgType {
    let pg_type = column_type(field);
    match pg_type.kind {
        Kind::Varchar(_) => PgType::text(),
        _ => pg_type,
    }
}

/// Gives parameters that are compared with their types, which the planner of an INSERT leaves out.
pub(crate) fn tell_parameters(
    plan: LogicalPlan,
    types: &[Option<FieldRef>],
) -> Result<LogicalPlan> {
    let told = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let told = expr.transform_up(|expr| match expr {
                Expr::ScalarFunction(mut function) if function.name().starts_with(PREFIX) => {
                    function.args.iter_mut().for_each(|arg| tell(arg, types));
                    Ok(Transformed::yes(Expr::ScalarFunction(function)))
                }
                expr => Ok(Transformed::no(expr)),
            })?;
            Ok(told.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(told.data)
}

fn tell(expr: &mut Expr, types: &[Option<FieldRef>]) {
    let Expr::Placeholder(placeholder) = expr else {
        return;
    };
    let index = placeholder.id.strip_prefix('$');
    let index = index.and_then(|number| number.parse::<usize>().ok());
    if placeholder.field.is_none()
        && let Some(index) = index.and_then(|index| index.checked_sub(1))
        && let Some(field) = types.get(index)
    {
        placeholder.field.clone_from(field);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct UnpaddedItems {
    signature: Signature,
}

impl ScalarUDFImpl for UnpaddedItems {
    fn name(&self) -> &str {
        "\u{1}unpadded_items"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        let item = Field::new_list_field(DataType::Utf8View, true);
        Ok(DataType::List(Arc::new(item)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].to_array(args.number_rows)?;
        let lists = lists.as_list::<i32>();
        let items = cast(lists.values(), &DataType::Utf8View)?;
        let items = items.as_string_view().iter();
        let items = items.map(|text| text.map(|text| text.trim_end_matches(' ')));
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let unpadded = ListArray::try_new(
            item,
            lists.offsets().clone(),
            Arc::new(items.collect::<StringViewArray>()),
            lists.nulls().cloned(),
        )?;
        Ok(ColumnarValue::Array(Arc::new(unpadded)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    name: String,
    operator: Operator,
    is_all: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [one, many] = types else {
            return plan_err!("a comparison has two sides");
        };
        let element = match many {
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _) => element.data_type(),
            // A literal, or a parameter that nobody has told the type of.
            _ => &DataType::Null,
        };
        let is_text = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            )
        };
        let common = match (one, element) {
            (DataType::Null, DataType::Null) => DataType::Utf8View,
            (one, DataType::Null) => one.clone(),
            (DataType::Null, element) => element.clone(),
            (one, element) if is_text(one) && !is_text(element) => element.clone(),
            (one, element) => match comparison_coercion(one, element) {
                Some(common) => common,
                None => return plan_err!("{one} and {element} can't be compared"),
            },
        };
        let list = DataType::List(Arc::new(Field::new_list_field(common.clone(), true)));
        Ok(vec![common, list])
    }

    fn simplify(&self, args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let [one, Expr::Literal(ScalarValue::List(many), _)] = args.as_slice()
            && let Some(simple) = self.over_known(one, many)?
        {
            return Ok(ExprSimplifyResult::Simplified(simple));
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one = args.args[0].to_array(args.number_rows)?;
        let many = args.args[1].to_array(args.number_rows)?;
        let answers = self.compute(&one, many.as_list::<i32>())?;
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }
}

impl Quantified {
    /// With an array that is the same for all rows. `None`: it is computed row by row.
    fn over_known(&self, one: &Expr, many: &ListArray) -> Result<Option<Expr>> {
        if many.is_null(0) {
            return Ok(Some(lit(ScalarValue::Boolean(None))));
        }
        let values = many.value(0);
        if values.is_empty() {
            return Ok(Some(lit(self.is_all)));
        }
        if one.is_volatile() {
            return Ok(None);
        }
        let values = (0..values.len()).map(|at| ScalarValue::try_from_array(&values, at));
        let mut values: Vec<Expr> = values
            .map(|value| Ok(Expr::Literal(value?, None)))
            .collect::<Result<_>>()?;
        let mut one = one.clone();
        if matches!(many.value_type(), DataType::Interval(_)) {
            one = weight(one);
            values = values.into_iter().map(weight).collect();
        }
        let negated = match (self.operator, self.is_all) {
            (Operator::Eq, false) => Some(false),
            (Operator::NotEq, true) => Some(true),
            _ => None,
        };
        if let Some(negated) = negated {
            return Ok(Some(Expr::InList(InList::new(
                Box::new(one),
                values,
                negated,
            ))));
        }
        if values.len() > LONGEST_CHAIN {
            return Ok(None);
        }
        let compare = |value| {
            let (one, value) = (Box::new(one.clone()), Box::new(value));
            Expr::BinaryExpr(BinaryExpr::new(one, self.operator, value))
        };
        let terms = values.into_iter().map(compare);
        Ok(match self.is_all {
            true => terms.reduce(Expr::and),
            false => terms.reduce(Expr::or),
        })
    }

    fn compute(&self, one: &ArrayRef, many: &ListArray) -> Result<BooleanArray> {
        // Each value beside each element of its array.
        let mut rows = Vec::with_capacity(many.values().len());
        let mut elements = Vec::with_capacity(many.values().len());
        for row in 0..many.len() {
            if many.is_valid(row) {
                let from = usize::try_from(many.value_offsets()[row]).expect("an offset");
                for at in from..from + many.value(row).len() {
                    rows.push(row as u64);
                    elements.push(at as u64);
                }
            }
        }
        let left = by_weight(&take(one, &UInt64Array::from(rows), None)?);
        let right = by_weight(&take(many.values(), &UInt64Array::from(elements), None)?);
        let compared = match self.operator {
            Operator::Eq => eq(&left, &right),
            Operator::NotEq => neq(&left, &right),
            Operator::Lt => lt(&left, &right),
            Operator::LtEq => lt_eq(&left, &right),
            Operator::Gt => gt(&left, &right),
            _ => gt_eq(&left, &right),
        }?;
        let mut answers = BooleanBuilder::with_capacity(many.len());
        let mut compared = compared.iter();
        for row in 0..many.len() {
            if many.is_null(row) {
                answers.append_null();
                continue;
            }
            // One that decides, or else NULL if one of them is.
            let mut answer = Some(self.is_all);
            for one in compared.by_ref().take(many.value(row).len()) {
                answer = match (answer, one) {
                    (Some(decided), _) if decided != self.is_all => answer,
                    (_, Some(one)) if one != self.is_all => Some(one),
                    (_, None) => None,
                    _ => answer,
                };
            }
            answers.append_option(answer);
        }
        Ok(answers.finish())
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int32Type;

    use super::*;

    fn check(name: &str, expected: [Option<bool>; 5]) {
        let Some(function) = function(&format!("{PREFIX}{name}")) else {
            panic!("no function {name}");
        };
        let one: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![
            Some(2),
            Some(2),
            Some(2),
            None,
            Some(2),
        ]));
        let many = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
            Some(vec![Some(1), Some(2), None]),
            Some(vec![Some(1), None]),
            Some(vec![]),
            Some(vec![Some(1)]),
            None,
        ]);
        let args = vec![
            ColumnarValue::Array(one),
            ColumnarValue::Array(Arc::new(many)),
        ];
        let answer = function.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields: vec![],
            number_rows: 5,
            return_field: Arc::new(Field::new("", DataType::Boolean, true)),
            config_options: Arc::default(),
        });
        let answer = answer.expect("it compares").to_array(5).expect("an array");
        let answers: Vec<Option<bool>> = answer.as_boolean().iter().collect();
        assert_eq!(answers, expected, "{name}");
    }

    #[test]
    fn what_is_null_is_unknown_unless_another_decides() {
        check("any =", [Some(true), None, Some(false), None, None]);
        check("all <>", [Some(false), None, Some(true), None, None]);
        check("any >", [Some(true), Some(true), Some(false), None, None]);
        check("all >=", [None, None, Some(true), None, None]);
    }
}
