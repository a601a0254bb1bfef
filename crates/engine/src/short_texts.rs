//! `channel = 'web'` among the arguments of aggregates: a text of up to twelve bytes lies in its view as a whole, so that
//! two of them are compared as two numbers.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, BooleanArray, builder::make_view},
    buffer::BooleanBuffer,
    datatypes::{DataType, FieldRef, Schema},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{
        Result, ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    config::ConfigOptions,
    logical_expr::{ColumnarValue, Operator},
    physical_expr::{
        PhysicalExpr,
        expressions::{BinaryExpr, Literal},
    },
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ExecutionPlan,
        aggregates::{AggregateExec, AggregateInputMode},
    },
};

/// Bytes of a text that a view holds itself.
const MOST: usize = 12;

#[derive(Debug)]
pub(crate) struct CompareShortTexts;

impl PhysicalOptimizerRule for CompareShortTexts {
    fn name(&self) -> &str {
        "CompareShortTexts"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let compared = plan.transform_up(|node| {
            Ok(match node.downcast_ref::<AggregateExec>() {
                Some(aggregate) => match in_arguments(aggregate)? {
                    Some(compared) => Transformed::yes(Arc::new(compared) as _),
                    None => Transformed::no(node),
                },
                None => Transformed::no(node),
            })
        });
        Ok(compared?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn in_arguments(aggregate: &AggregateExec) -> Result<Option<AggregateExec>> {
    if aggregate.mode().input_mode() != AggregateInputMode::Raw {
        return Ok(None);
    }
    let schema = aggregate.input().schema();
    let mut is_changed = false;
    let mut functions = vec![];
    for function in aggregate.aggr_expr() {
        let mut is_compared = false;
        let mut compared = |argument: Arc<dyn PhysicalExpr>| {
            argument.transform_up(|expr| {
                Ok(match Comparison::of(&expr) {
                    Some(short) if short.text.data_type(&schema)? == DataType::Utf8View => {
                        is_compared = true;
                        Transformed::yes(Arc::new(short) as _)
                    }
                    _ => Transformed::no(expr),
                })
            })
        };
        let parts = function.all_expressions();
        let arguments = parts.args.into_iter();
        let arguments: Vec<Arc<dyn PhysicalExpr>> = arguments
            .map(|argument| Ok(compared(argument)?.data))
            .collect::<Result<_>>()?;
        let changed = is_compared
            .then(|| function.with_new_expressions(arguments, parts.order_by_exprs))
            .flatten();
        is_changed |= changed.is_some();
        functions.push(changed.map_or_else(|| Arc::clone(function), Arc::new));
    }
    Ok(is_changed.then(|| aggregate.with_new_aggr_exprs(functions)))
}

/// `text = 'short'`, known and shown as that.
#[derive(Debug, Eq)]
struct Comparison {
    written: Arc<dyn PhysicalExpr>,
    text: Arc<dyn PhysicalExpr>,
    /// Of the literal.
    view: u128,
}

impl Comparison {
    fn of(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        let equal = expr.downcast_ref::<BinaryExpr>()?;
        let literal = equal.right().downcast_ref::<Literal>()?;
        match (equal.op(), literal.value()) {
            (Operator::Eq, ScalarValue::Utf8View(Some(short))) if short.len() <= MOST => {
                Some(Self {
                    written: Arc::clone(expr),
                    text: Arc::clone(equal.left()),
                    view: make_view(short.as_bytes(), 0, 0),
                })
            }
            _ => None,
        }
    }
}

impl PartialEq for Comparison {
    fn eq(&self, other: &Self) -> bool {
        self.written.eq(&other.written)
    }
}

impl Hash for Comparison {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl PhysicalExpr for Comparison {
    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.written.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let ColumnarValue::Array(texts) = self.text.evaluate(batch)? else {
            return self.written.evaluate(batch);
        };
        let texts = texts.as_string_view();
        let views = texts.views();
        let same = BooleanBuffer::collect_bool(views.len(), |row| views[row] == self.view);
        let same = BooleanArray::new(same, texts.nulls().cloned());
        Ok(ColumnarValue::Array(Arc::new(same)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.written.children()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let written = Arc::clone(&self.written).with_new_children(children)?;
        Ok(match Self::of(&written) {
            Some(short) => Arc::new(short),
            None => written,
        })
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringViewArray};
    use datafusion::physical_expr::expressions::{binary, col, lit};

    use super::*;

    #[test]
    fn short_texts_are_equal_as_all_texts_are() {
        let texts = [
            Some("web"),
            None,
            Some(""),
            Some("we"),
            Some("web\0"),
            Some("twelve bytes"),
            Some("twelve bytes and more"),
            Some("größer"),
        ];
        let array: ArrayRef = Arc::new(StringViewArray::from(texts.to_vec()));
        let batch = RecordBatch::try_from_iter_with_nullable([("t", array, true)]);
        let batch = batch.expect("a column");
        let schema: &Schema = &batch.schema();
        for literal in ["web", "", "twelve bytes", "größer", "nothing"] {
            let literal = lit(ScalarValue::Utf8View(Some(literal.to_owned())));
            let column = col("t", schema).expect("a column");
            let written = binary(column, Operator::Eq, literal, schema).expect("texts");
            let short = Comparison::of(&written).expect("a short text");
            let of = |expr: &dyn PhysicalExpr| {
                let value = expr.evaluate(&batch).expect("a value");
                value.into_array(texts.len()).expect("an array")
            };
            assert_eq!(&of(&short), &of(written.as_ref()), "{written}");
        }
    }

    #[test]
    fn long_texts_are_left_to_arrow() {
        let array: ArrayRef = Arc::new(StringViewArray::from(vec!["twelve bytes and more"]));
        let batch = RecordBatch::try_from_iter([("t", array)]).expect("a column");
        let schema: &Schema = &batch.schema();
        let literal = lit(ScalarValue::Utf8View(Some(
            "twelve bytes and more".to_owned(),
        )));
        let column = col("t", schema).expect("a column");
        let written = binary(column, Operator::Eq, literal, schema).expect("texts");
        assert!(Comparison::of(&written).is_none());
    }
}
