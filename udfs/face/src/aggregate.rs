//! A function of all rows.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, not_impl_err};
use datafusion_doc::Documentation;
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::answer::{Answer, Value};
use crate::argument::{self, Argument};
use crate::page::Page;
use crate::refused;
use crate::rows::Rows;

#[derive(Clone, Copy, Debug)]
pub struct Aggregate {
    pub name: &'static str,
    /// Numbers, flags, constants and labels, then optional ones or features.
    pub arguments: &'static [Argument],
    pub answer: Answer,
    pub page: Page,
    /// Of at least one row; their order is any.
    pub work: fn(&Rows) -> rapport_stats::Result<Value>,
}

impl Aggregate {
    pub fn function(self) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::from(AggregateFunction {
            aggregate: self,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: self.page.documentation(self.name, self.arguments),
        }))
    }
}

/// An [`Aggregate`] as DataFusion knows it.
#[derive(Debug)]
pub struct AggregateFunction {
    aggregate: Aggregate,
    signature: Signature,
    documentation: Documentation,
}

impl AggregateFunction {
    /// The types of its arguments, for each way to call it; of any number of features only one.
    pub fn calls(&self) -> Vec<Vec<DataType>> {
        argument::calls(self.aggregate.arguments)
    }

    /// Whether its last argument stands for any number of features.
    pub fn takes_features(&self) -> bool {
        argument::takes_features(self.aggregate.arguments)
    }

    /// The columns of `(f(…)).*` with their types; empty if the answer is not a row.
    pub fn fields(&self) -> &'static [(&'static str, Answer)] {
        match self.aggregate.answer {
            Answer::Row(columns) => columns,
            _ => &[],
        }
    }

    /// The columns of `(unnest(f(…))).*` with their types; empty if the answer is not an array of rows.
    pub fn fields_of_rows(&self) -> &'static [(&'static str, Answer)] {
        match self.aggregate.answer {
            Answer::Rows(columns) => columns,
            _ => &[],
        }
    }
}

impl PartialEq for AggregateFunction {
    fn eq(&self, other: &Self) -> bool {
        self.aggregate.name == other.aggregate.name
    }
}

impl Eq for AggregateFunction {}

impl Hash for AggregateFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.aggregate.name.hash(state);
    }
}

impl AggregateUDFImpl for AggregateFunction {
    fn name(&self) -> &str {
        self.aggregate.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        argument::coerced(self.aggregate.name, self.aggregate.arguments, given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(self.aggregate.answer.data_type(given))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let types = Rows::state_types(self.aggregate.arguments);
        Ok(state_fields(&args, types))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("DISTINCT is not supported within {}", self.aggregate.name);
        }
        Ok(Box::new(Gathering {
            aggregate: self.aggregate,
            answer: args.return_field.data_type().clone(),
            rows: Rows::new(self.aggregate.arguments),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// What the parts of an aggregate's state are called.
pub fn state_fields(
    args: &StateFieldsArgs,
    types: impl IntoIterator<Item = (impl AsRef<str>, DataType)>,
) -> Vec<FieldRef> {
    let field = |(name, data_type): (_, DataType)| {
        let name = format_state_name(args.name, AsRef::<str>::as_ref(&name));
        Arc::new(Field::new(name, data_type, true))
    };
    types.into_iter().map(field).collect()
}

#[derive(Debug)]
struct Gathering {
    aggregate: Aggregate,
    answer: DataType,
    rows: Rows,
}

impl Accumulator for Gathering {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.add(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match self.rows.is_empty() {
            true => Value::Null,
            false => (self.aggregate.work)(&self.rows).map_err(refused)?,
        };
        value.scalar(&self.answer)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.rows.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.rows.merge(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{self, floats, gather, labels, lists};
    use rapport_stats::Error;

    const PAGE: Page = Page {
        section: "Tests",
        says: "A sum.",
        example: "SELECT total(1, 2);",
    };

    /// Σ weight · x of the rows that are counted.
    fn total() -> Arc<AggregateUDF> {
        const AGGREGATE: Aggregate = Aggregate {
            name: "total",
            arguments: &[
                Argument::flag("is_counted", ""),
                Argument::number("x", ""),
                Argument::number("weight", "").optional(),
            ],
            answer: Answer::Row(&[("sum", Answer::Number), ("n", Answer::Whole)]),
            page: PAGE,
            work: |rows| {
                let weights = rows.weights(2);
                let values = rows.numbers(1).iter().zip(&weights).zip(rows.flags(0));
                let sum: f64 = values
                    .filter(|(_, counted)| *counted)
                    .map(|((x, w), _)| x * w)
                    .sum();
                Ok(Value::Row(vec![sum.into(), rows.len().into()]))
            },
        };
        AGGREGATE.function()
    }

    fn check(columns: &[ArrayRef], sum: f64, n: i64) {
        let answer = gather(&total(), columns).expect("an answer");
        assert_eq!(check::number(&answer, "sum"), Some(sum));
        assert_eq!(check::column(&answer, "n"), ScalarValue::Int64(Some(n)));
    }

    #[test]
    fn rows_with_a_null_are_left_out_and_a_weight_may_be() {
        let counted = floats([Some(1.0), Some(0.0), Some(1.0), None]);
        let x = floats([Some(2.0), Some(3.0), Some(4.0), Some(5.0)]);
        check(&[counted.clone(), x.clone()], 6.0, 3);
        let weight = floats([Some(10.0), Some(1.0), None, Some(1.0)]);
        check(&[counted, x, weight], 20.0, 2);
    }

    #[test]
    fn no_rows_are_null() {
        let none = [floats([]), floats([])];
        assert!(gather(&total(), &none).expect("an answer").is_null());
        let nulls = [floats([None]), floats([Some(1.0)])];
        assert!(gather(&total(), &nulls).expect("an answer").is_null());
    }

    #[test]
    fn a_flag_is_1_or_0() {
        let error = gather(&total(), &[floats([Some(2.0)]), floats([Some(1.0)])]);
        check::is_refusal(
            &error.expect_err("refused"),
            "is_counted must be true or false",
        );
    }

    /// k · (labels, features of a row, their sum).
    fn shape() -> Arc<AggregateUDF> {
        const AGGREGATE: Aggregate = Aggregate {
            name: "shape",
            arguments: &[
                Argument::constant("k", ""),
                Argument::label("group", ""),
                Argument::features("x", ""),
            ],
            answer: Answer::Numbers,
            page: PAGE,
            work: |rows| {
                let k = rows.constant(0).ok_or(Error::TooLittle("k"))?;
                let (labels, n_labels) = rows.labels(1);
                let (values, width) = rows.features(2);
                let first = labels.iter().filter(|label| **label == 0).count();
                let sum: f64 = values.iter().sum();
                Ok(vec![k * n_labels as f64, first as f64, width as f64, sum].into())
            },
        };
        AGGREGATE.function()
    }

    #[test]
    fn labels_and_features_survive_merging() {
        let k = floats([Some(2.0); 4]);
        let group = labels(["b", "a", "b", "c"]);
        let expected = Value::from(vec![6.0, 1.0, 2.0, 110.0]);
        let expected = expected.scalar(&Answer::Numbers.data_type(&[]));
        let expected = expected.expect("fits");
        let x = floats([Some(1.0), Some(2.0), Some(3.0), Some(4.0)]);
        let y = floats([Some(10.0), Some(20.0), Some(30.0), Some(40.0)]);
        let given = [k.clone(), group.clone(), x, y];
        assert_eq!(gather(&shape(), &given).expect("an answer"), expected);
        let xs = lists([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]);
        assert_eq!(
            gather(&shape(), &[k, group, xs]).expect("an answer"),
            expected
        );
    }

    #[test]
    fn a_constant_that_changes_is_refused() {
        let k = floats([Some(2.0), Some(3.0)]);
        let given = [k, labels(["a", "a"]), floats([Some(1.0), Some(1.0)])];
        let error = gather(&shape(), &given).expect_err("refused");
        check::is_refusal(&error, "k must be the same in all rows");
    }

    /// word · (labels of all paths, their number, the labels of the longest), the first label.
    fn paths() -> Arc<AggregateUDF> {
        const AGGREGATE: Aggregate = Aggregate {
            name: "paths",
            arguments: &[
                Argument::text("word", ""),
                Argument::label("item", ""),
                Argument::labels("path", ""),
                Argument::numbers("ages", ""),
                Argument::features_or_null("x", ""),
            ],
            answer: Answer::Rows(&[
                ("word", Answer::Text),
                ("item", Answer::Label(1)),
                ("on_path", Answer::Text),
                ("sum", Answer::Number),
                ("missing", Answer::Whole),
            ]),
            page: PAGE,
            work: |rows| {
                let word = rows.text(0).ok_or(Error::TooLittle("word"))?;
                let (items, n_items) = rows.labels(1);
                let (paths, _) = rows.label_arrays(2);
                let order = |item: u32| items.iter().position(|other| *other == item);
                let row: Vec<usize> = (0..n_items as u32).filter_map(order).collect();
                let sum = |row: &usize| rows.arrays(3)[*row].iter().sum::<f64>();
                let missing = rows.features(4).0.iter().filter(|x| x.is_nan()).count();
                Ok(Value::Rows(vec![
                    rows.labelled(0, vec![0; n_items]),
                    rows.labelled(1, 0..n_items as u32),
                    rows.labelled(2, row.iter().map(|row| paths[*row][0])),
                    row.iter().map(sum).collect::<Vec<f64>>().into(),
                    vec![missing + word.len(); n_items].into(),
                ]))
            },
        };
        AGGREGATE.function()
    }

    #[test]
    fn arrays_texts_and_missing_features_survive_merging() {
        let words = labels(["ab", "ab", "ab"]);
        let items: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![10, 9, 8]));
        let mut path = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        path.append_value([Some("b"), Some("a")]);
        path.append_value([Some("c")]);
        path.append_value([Some("a"), None]);
        let ages = lists([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        let x = floats([None, Some(1.0), None]);
        let given = [words, items, Arc::new(path.finish()) as ArrayRef, ages, x];
        let answer = gather(&paths(), &given).expect("an answer");
        let said = format!("{answer}");
        for row in [
            "word: ab, item: 9, on_path: c, sum: 7.0, missing: 3",
            "word: ab, item: 10, on_path: b, sum: 3.0, missing: 3",
        ] {
            assert!(said.contains(row), "{said}");
        }
        assert!(!said.contains("item: 8"), "{said}");
    }

    #[test]
    fn distinct_is_refused_and_not_forgotten() {
        let given = total().accumulator(AccumulatorArgs {
            return_field: Arc::new(Field::new("", DataType::Null, true)),
            schema: &arrow::datatypes::Schema::empty(),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "total",
            is_distinct: true,
            exprs: &[],
            expr_fields: &[],
        });
        let error = given.expect_err("refused").strip_backtrace();
        assert!(
            error.contains("DISTINCT is not supported within total"),
            "{error}"
        );
    }

    #[test]
    fn memory_is_told() {
        const COUNT: Aggregate = Aggregate {
            name: "n",
            arguments: &[Argument::number("x", "")],
            answer: Answer::Whole,
            page: PAGE,
            work: |rows| Ok(rows.len().into()),
        };
        let mut gathering = Gathering {
            aggregate: COUNT,
            answer: DataType::Int64,
            rows: Rows::new(COUNT.arguments),
        };
        let before = gathering.size();
        let values = floats([Some(1.0); 1_000]);
        gathering.update_batch(&[values]).expect("added");
        assert!(gathering.size() >= before + 8_000);
    }

    #[test]
    fn the_columns_of_a_row_are_known_by_the_function() {
        let function = total();
        let inner = function.inner().downcast_ref::<AggregateFunction>();
        let fields = inner.expect("of this crate").fields();
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["sum", "n"]);
    }
}
