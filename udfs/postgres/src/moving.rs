//! Aggregates as windows ask for them: over frames that lose rows at their beginning, and in the window's own order.
//!
//! DataFusion takes what leaves a frame out of a sum of floats again, which leaves what rounding made of it, and NaN for ever
//! after an infinity; and where two windows of a query are sorted in opposite directions, it turns one of them round. PostgreSQL
//! computes each frame anew, from its first row on.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};

use crate::anew::Anew;
use crate::overflow::{Checked, CheckedGroups, overflow};

/// Frames of more values are summed up as they move, with twice the digits.
const SHORT: usize = 4_096;

/// The functions of the list, those of which the answer depends on it computed as PostgreSQL does.
pub fn over_frames(functions: Vec<Arc<AggregateUDF>>) -> Vec<Arc<AggregateUDF>> {
    functions
        .into_iter()
        .map(|function| {
            let kind = match function.name() {
                "sum" => Some(Kind::Sum),
                "avg" => Some(Kind::Mean),
                "var" => Some(Kind::Variance {
                    freedom: 1,
                    is_root: false,
                }),
                "var_pop" => Some(Kind::Variance {
                    freedom: 0,
                    is_root: false,
                }),
                "stddev" => Some(Kind::Variance {
                    freedom: 1,
                    is_root: true,
                }),
                "stddev_pop" => Some(Kind::Variance {
                    freedom: 0,
                    is_root: true,
                }),
                "array_agg" | "string_agg" | "bool_and" | "bool_or" | "bit_and" | "bit_or"
                | "bit_xor" | "min" | "max" => None,
                _ => return function,
            };
            Arc::new(AggregateUDF::from(OverFrames {
                inner: function,
                kind,
            }))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Mean,
    /// Divided by n less the degrees of freedom that are lost.
    Variance {
        freedom: usize,
        is_root: bool,
    },
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OverFrames {
    inner: Arc<AggregateUDF>,
    kind: Option<Kind>,
}

impl OverFrames {
    fn within(&self) -> &dyn AggregateUDFImpl {
        self.inner.inner().as_ref()
    }

    /// Whether what it adds up may leave the range of its type.
    fn may_overflow(&self, args: &AccumulatorArgs) -> bool {
        self.kind.is_some() && !args.is_distinct && is_of_floats(args)
    }
}

impl AggregateUDFImpl for OverFrames {
    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.kind {
            Some(kind) if self.may_overflow(&args) => Ok(Box::new(Moving {
                kind,
                answer: args.return_field.data_type().clone(),
                values: VecDeque::new(),
                sum: Double::default(),
                squares: Double::default(),
                n_odd: 0,
            })),
            Some(_) => self.within().create_sliding_accumulator(args),
            None => {
                let anew = Anew::new(&self.inner, &args);
                let sliding = self.within().create_sliding_accumulator(args)?;
                // A frame of NULLs alone has no bits, whatever was in it before.
                let is_right = sliding.supports_retract_batch() && self.name() != "bit_xor";
                Ok(match is_right {
                    true => sliding,
                    false => Box::new(anew),
                })
            }
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match (self.kind, self.name()) {
            (Some(_), _) | (None, "array_agg" | "string_agg") => ReversedUDAF::NotSupported,
            (None, _) => self.within().reverse_expr(),
        }
    }

    fn name(&self) -> &str {
        self.within().name()
    }

    fn aliases(&self) -> &[String] {
        self.within().aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.within().schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.within().human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.within().window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.within().display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.within().window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.within().signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.within().return_type(given)
    }

    fn return_field(&self, given: &[FieldRef]) -> Result<FieldRef> {
        self.within().return_field(given)
    }

    fn is_nullable(&self) -> bool {
        self.within().is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !self.may_overflow(&args) {
            return self.within().accumulator(args);
        }
        let is_variance = matches!(self.kind, Some(Kind::Variance { .. }));
        let inner = self.within().accumulator(args)?;
        Ok(Box::new(Checked::new(inner, is_variance)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.within().state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.within().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if !self.may_overflow(&args) {
            return self.within().create_groups_accumulator(args);
        }
        let inner = self.within().create_groups_accumulator(args)?;
        Ok(Box::new(CheckedGroups::new(inner)))
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        has_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let within = Arc::clone(self.inner.inner());
        let changed = within.with_beneficial_ordering(has_ordering)?;
        Ok(changed.map(|inner| {
            let inner = Arc::new(AggregateUDF::new_from_shared_impl(inner));
            Arc::new(Self {
                inner,
                kind: self.kind,
            }) as Arc<dyn AggregateUDFImpl>
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.within().order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.within().simplify()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.within().coerce_types(given)
    }

    fn is_descending(&self) -> Option<bool> {
        self.within().is_descending()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.within().value_from_stats(statistics)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.within().default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.within().supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.within().supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.within().documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.within().set_monotonicity(data_type)
    }
}

fn is_of_floats(args: &AccumulatorArgs) -> bool {
    let mut fields = args.expr_fields.iter();
    fields.all(|field| field.data_type().is_floating())
}

/// The values of a frame.
#[derive(Debug)]
struct Moving {
    kind: Kind,
    answer: DataType,
    values: VecDeque<f64>,
    sum: Double,
    squares: Double,
    /// Infinities and NaN.
    n_odd: usize,
}

impl Moving {
    fn count(&mut self, value: f64, sign: f64) {
        if value.is_finite() {
            let square = value * value;
            self.sum.add(sign * value);
            self.squares.add(sign * square);
            self.squares.add(sign * value.mul_add(value, -square));
        }
    }

    fn value(&self) -> Option<f64> {
        let n = self.values.len() as f64;
        let is_short = self.values.len() <= SHORT || self.n_odd > 0;
        Some(match self.kind {
            _ if self.values.is_empty() => return None,
            Kind::Sum | Kind::Mean => {
                let sum = match is_short {
                    true => self.values.iter().fold(0.0, |sum, value| sum + value),
                    false => self.sum.value(),
                };
                match self.kind {
                    Kind::Mean => sum / n,
                    _ => sum,
                }
            }
            Kind::Variance { freedom, is_root } => {
                if self.values.len() <= freedom {
                    return None;
                }
                let squares = match is_short {
                    true => about_the_mean(&self.values),
                    false => {
                        let mut squares = self.squares;
                        let mean = self.sum.value() / n;
                        let product = mean * self.sum.value();
                        squares.add(-product);
                        squares.value().max(0.0)
                    }
                };
                let variance = squares / (n - freedom as f64);
                match is_root {
                    true => variance.sqrt(),
                    false => variance,
                }
            }
        })
    }
}

/// Σ (x − x̄)², by Youngs and Cramer as PostgreSQL has it.
fn about_the_mean(values: &VecDeque<f64>) -> f64 {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        sum += value;
        let from = value * n - sum;
        if n > 1.0 {
            squares += from * from / (n * (n - 1.0));
        } else if !value.is_finite() {
            squares = f64::NAN;
        }
    }
    match squares.is_infinite() {
        true => f64::NAN,
        false => squares,
    }
}

fn floats(values: &[ArrayRef]) -> Result<ArrayRef> {
    Ok(cast(&values[0], &DataType::Float64)?)
}

impl Accumulator for Moving {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in floats(values)?
            .as_primitive::<Float64Type>()
            .iter()
            .flatten()
        {
            self.values.push_back(value);
            self.n_odd += usize::from(!value.is_finite());
            self.count(value, 1.0);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in floats(values)?
            .as_primitive::<Float64Type>()
            .iter()
            .flatten()
        {
            self.values.pop_front();
            self.n_odd -= usize::from(!value.is_finite());
            self.count(value, -1.0);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.value();
        if self.n_odd == 0 && value.is_some_and(|value| !value.is_finite()) {
            return Err(overflow().into());
        }
        ScalarValue::Float64(value).cast_to(&self.answer)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        datafusion_common::internal_err!("a frame has no state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        datafusion_common::internal_err!("a frame has no state")
    }
}

/// A sum with what rounding lost of it (Knuth's two-sum).
#[derive(Clone, Copy, Debug, Default)]
struct Double {
    high: f64,
    low: f64,
}

impl Double {
    fn add(&mut self, value: f64) {
        let sum = self.high + value;
        let part = sum - self.high;
        self.low += (self.high - (sum - part)) + (value - part);
        self.high = sum;
    }

    fn value(self) -> f64 {
        self.high + self.low
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Float64Array;

    use super::*;

    fn moved(kind: Kind, width: usize, values: &[f64]) -> Vec<f64> {
        let mut frame = Moving {
            kind,
            answer: DataType::Float64,
            values: VecDeque::new(),
            sum: Double::default(),
            squares: Double::default(),
            n_odd: 0,
        };
        let one = |value: f64| [Arc::new(Float64Array::from(vec![value])) as ArrayRef];
        let answers = values.iter().enumerate().map(|(n, value)| {
            frame.update_batch(&one(*value)).expect("a number");
            if n >= width {
                frame
                    .retract_batch(&one(values[n - width]))
                    .expect("a number");
            }
            frame.value().unwrap_or(f64::NAN)
        });
        answers.collect()
    }

    #[test]
    fn nothing_stays_of_what_has_left() {
        let sums = moved(Kind::Sum, 2, &[1e17, 1.0, 1.0, f64::INFINITY, 2.0, 3.0]);
        assert_eq!(sums, [1e17, 1e17, 2.0, f64::INFINITY, f64::INFINITY, 5.0]);
        let kind = Kind::Variance {
            freedom: 0,
            is_root: false,
        };
        assert_eq!(moved(kind, 2, &[1e17, 1.0, 1.0, 2.0])[2..], [0.0, 0.25]);
    }

    #[test]
    fn long_frames_are_as_exact() {
        let values: Vec<f64> = (0..20_000).map(|n| 0.1 + f64::from(n % 7) * 1e8).collect();
        for kind in [
            Kind::Sum,
            Kind::Variance {
                freedom: 1,
                is_root: true,
            },
        ] {
            let width = 2 * SHORT;
            let last = moved(kind, width, &values).pop().expect("values");
            let exact = moved(kind, values.len(), &values[values.len() - width..]);
            let anew = exact.last().expect("values");
            assert!((last / anew - 1.0).abs() < 1e-12, "{last} {anew}");
        }
    }
}
