//! `sum`, `avg`, `min` and `max` of intervals, beside what DataFusion's own functions of these names do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, IntervalMonthDayNanoType};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, Documentation, GroupsAccumulator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, TypeSignature, TypeSignatureClass,
    Volatility,
};

use crate::arguments::{no_such_function, span_type};
use crate::span::Span;

/// The functions of the list, those that PostgreSQL has for intervals too extended by them.
pub fn over_intervals(functions: Vec<Arc<AggregateUDF>>) -> Vec<Arc<AggregateUDF>> {
    functions
        .into_iter()
        .map(|function| {
            let kind = match function.name() {
                "sum" => Kind::Sum,
                "avg" => Kind::Mean,
                "min" => Kind::Least,
                "max" => Kind::Greatest,
                _ => return function,
            };
            Arc::new(AggregateUDF::from(OverIntervals::new(function, kind)))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Mean,
    Least,
    Greatest,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OverIntervals {
    inner: Arc<AggregateUDF>,
    kind: Kind,
    signature: Signature,
}

impl OverIntervals {
    fn new(inner: Arc<AggregateUDF>, kind: Kind) -> Self {
        let signature = match &inner.signature().type_signature {
            TypeSignature::UserDefined => inner.signature().clone(),
            other => {
                let mut all = match other {
                    TypeSignature::OneOf(all) => all.clone(),
                    one => vec![one.clone()],
                };
                let interval = Coercion::new_exact(TypeSignatureClass::Interval);
                all.insert(0, TypeSignature::Coercible(vec![interval]));
                Signature::one_of(all, Volatility::Immutable)
            }
        };
        Self {
            inner,
            kind,
            signature,
        }
    }
}

fn is_interval(args: &AccumulatorArgs) -> bool {
    matches!(args.return_field.data_type(), DataType::Interval(_))
}

impl AggregateUDFImpl for OverIntervals {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::Interval(_)] => Ok(span_type()),
            _ => self.inner.return_type(given),
        }
    }

    fn return_field(&self, given: &[FieldRef]) -> Result<FieldRef> {
        match given {
            [field] if matches!(field.data_type(), DataType::Interval(_)) => {
                Ok(Arc::new(Field::new(self.name(), span_type(), true)))
            }
            _ => self.inner.return_field(given),
        }
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match is_interval(&args) {
            true => Ok(Box::new(Gathered::new(self.kind))),
            false => self.inner.accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match args.return_field.data_type() {
            DataType::Interval(_) => Ok(vec![
                Arc::new(Field::new(
                    format!("{}[value]", args.name),
                    span_type(),
                    true,
                )),
                Arc::new(Field::new(
                    format!("{}[count]", args.name),
                    DataType::Int64,
                    true,
                )),
            ]),
            _ => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !is_interval(&args) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match is_interval(&args) {
            true => self.accumulator(args),
            false => self.inner.create_sliding_accumulator(args),
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Interval(_)] => Ok(vec![span_type()]),
            // bool_and and bool_or are PostgreSQL's.
            [DataType::Boolean] if matches!(self.kind, Kind::Least | Kind::Greatest) => {
                Err(no_such_function(self.name(), given).into())
            }
            _ => self.inner.coerce_types(given),
        }
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(statistics)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        match data_type {
            // Its order here is not that of the values in a batch.
            DataType::Interval(_) => SetMonotonicity::NotMonotonic,
            other => self.inner.inner().set_monotonicity(other),
        }
    }
}

/// What the intervals so far come to.
#[derive(Debug)]
struct Gathered {
    kind: Kind,
    value: Option<Span>,
    count: i64,
}

impl Gathered {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            value: None,
            count: 0,
        }
    }

    fn take(&mut self, span: Span, count: i64) -> Result<()> {
        self.count += count;
        self.value = Some(match (self.value, self.kind) {
            (None, _) => span,
            (Some(value), Kind::Sum | Kind::Mean) => value.checked_add(span)?,
            (Some(value), Kind::Least) if value.weight() < span.weight() => value,
            (Some(value), Kind::Greatest) if value.weight() > span.weight() => value,
            (Some(_), Kind::Least | Kind::Greatest) => span,
        });
        Ok(())
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let spans = values[0].as_primitive::<IntervalMonthDayNanoType>();
        for span in spans.iter().flatten() {
            self.take(span.into(), 1)?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let spans = values[0].as_primitive::<IntervalMonthDayNanoType>();
        for span in spans.iter().flatten() {
            self.count -= 1;
            let value = self.value.take().unwrap_or_default();
            self.value = match self.count {
                0 => None,
                _ => Some(value.checked_sub(span.into())?),
            };
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        matches!(self.kind, Kind::Sum | Kind::Mean)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match (self.value, self.kind) {
            (Some(sum), Kind::Mean) => Some(sum.divide(self.count as f64)?),
            (value, _) => value,
        };
        let value = value.map(Span::to_arrow).transpose()?;
        Ok(ScalarValue::IntervalMonthDayNano(value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let value = self.value.map(Span::to_arrow).transpose()?;
        Ok(vec![
            ScalarValue::IntervalMonthDayNano(value),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let spans = states[0].as_primitive::<IntervalMonthDayNanoType>();
        let counts = states[1].as_primitive::<Int64Type>();
        for row in 0..spans.len() {
            if spans.is_valid(row) {
                self.take(spans.value(row).into(), counts.value(row))?;
            }
        }
        Ok(())
    }
}
