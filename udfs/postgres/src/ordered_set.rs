//! `percentile_cont`, `percentile_disc` and `mode`: what lies at a place of the sorted values of a group.
//!
//! DataFusion has the first only, and cuts its weights to six decimals.

use std::{
    hash::{Hash, Hasher},
    mem::size_of_val,
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float64Array, IntervalMonthDayNanoArray, ListArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    compute::{SortOptions, concat, filter, is_not_null, sort_to_indices, take},
    datatypes::{DataType, Field, FieldRef, Float64Type, IntervalMonthDayNanoType},
    row::{RowConverter, SortField},
};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
    function::{AccumulatorArgs, StateFieldsArgs},
    utils::{AggregateOrderSensitivity, format_state_name},
};

use crate::{
    arguments::span_type,
    numeric::arithmetic::type_name,
    refusal::{Refusal, refuse},
    span::{Span, by_weight},
};

pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    let function = |kind| {
        Arc::new(AggregateUDF::from(OrderedSet {
            kind,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    vec![
        function(Kind::Continuous),
        function(Kind::Discrete),
        function(Kind::Mode),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Between two values, if need be.
    Continuous,
    /// The first value that has this share of the values behind it.
    Discrete,
    /// The most frequent value; of several the first in order.
    Mode,
}

#[derive(Debug)]
struct OrderedSet {
    kind: Kind,
    signature: Signature,
}

impl PartialEq for OrderedSet {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for OrderedSet {}

impl Hash for OrderedSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

impl AggregateUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Continuous => "percentile_cont",
            Kind::Discrete => "percentile_disc",
            Kind::Mode => "mode",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The values come first, as they are ordered; then the share.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let no_such = || {
            let given: Vec<&str> = given.iter().rev().map(type_name).collect();
            let message = format!(
                "function {}({}) does not exist",
                self.name(),
                given.join(", ")
            );
            Refusal::no_such_function(message)
        };
        match (self.kind, given) {
            (Kind::Mode, [values]) => Ok(vec![values.clone()]),
            (Kind::Continuous | Kind::Discrete, [values, share]) => {
                let share = match is_list(share) {
                    true => list_of(DataType::Float64),
                    false if share.is_numeric() || share.is_null() => DataType::Float64,
                    false => return Err(no_such().into()),
                };
                let values = match self.kind {
                    Kind::Discrete => values.clone(),
                    _ if values.is_numeric() || values.is_null() => DataType::Float64,
                    _ if matches!(values, DataType::Interval(_) | DataType::Duration(_)) => {
                        span_type()
                    }
                    _ => return Err(no_such().into()),
                };
                Ok(vec![values, share])
            }
            _ => Err(no_such().into()),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let value = match self.kind {
            Kind::Continuous if given[0] != span_type() => DataType::Float64,
            Kind::Continuous | Kind::Discrete | Kind::Mode => given[0].clone(),
        };
        Ok(match given.get(1) {
            Some(share) if is_list(share) => list_of(value),
            _ => value,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, data_type| {
            Arc::new(Field::new(
                format_state_name(args.name, name),
                data_type,
                true,
            ))
        };
        let values = list_of(args.input_fields[0].data_type().clone());
        let share = args.input_fields.get(1);
        let share = share.map_or(DataType::Float64, |field| field.data_type().clone());
        Ok(vec![field("values", values), field("share", share)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let share = args.expr_fields.get(1);
        let share = share.map_or(DataType::Float64, |field| field.data_type().clone());
        let order = args.order_bys.first();
        Ok(Box::new(Values {
            kind: self.kind,
            descending: order.is_some_and(|order| order.options.descending),
            data_type: args.expr_fields[0].data_type().clone(),
            result: args.return_field.data_type().clone(),
            share: ScalarValue::try_from(&share)?,
            batches: vec![],
        }))
    }

    /// They are sorted here, each group by itself.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Values {
    kind: Kind,
    descending: bool,
    data_type: DataType,
    result: DataType,
    /// The same for all rows; of no type in particular before the first.
    share: ScalarValue,
    batches: Vec<ArrayRef>,
}

impl Values {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        if values.null_count() == values.len() {
            return Ok(());
        }
        self.batches.push(match values.null_count() {
            0 => values.clone(),
            _ => filter(values, &is_not_null(values)?)?,
        });
        Ok(())
    }

    fn all(&self) -> Result<ArrayRef> {
        let arrays: Vec<&dyn Array> = self.batches.iter().map(AsRef::as_ref).collect();
        Ok(match arrays.is_empty() {
            true => arrow::array::new_empty_array(&self.data_type),
            false => concat(&arrays)?,
        })
    }

    fn sorted(&self) -> Result<ArrayRef> {
        let options = SortOptions {
            descending: self.descending,
            nulls_first: false,
        };
        let values = self.all()?;
        let keys = by_weight(&values);
        Ok(take(
            &values,
            &sort_to_indices(&keys, Some(options), None)?,
            None,
        )?)
    }

    /// The asked-for shares, NULL where none is given.
    fn shares(&self) -> Result<Vec<Option<f64>>> {
        let array = self.share.to_array()?;
        let shares = match array.data_type() {
            DataType::List(_) if array.is_null(0) => return Ok(vec![]),
            DataType::List(_) => array.as_list::<i32>().value(0),
            _ => array,
        };
        let shares = shares.as_primitive::<Float64Type>();
        shares
            .iter()
            .map(|share| match share {
                Some(share) if !(0.0..=1.0).contains(&share) => Err(refuse(
                    "22003",
                    format!("percentile value {share} is not between 0 and 1"),
                )),
                share => Ok(share),
            })
            .collect()
    }

    fn at(&self, shares: &[Option<f64>]) -> Result<ArrayRef> {
        let values = self.sorted()?;
        let count = values.len();
        if self.kind == Kind::Continuous && values.data_type() == &span_type() {
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            let span = |at: f64| Span::from(values.value(at as usize));
            let between = shares.iter().map(|share| {
                let Some(share) = share else {
                    return Ok(None);
                };
                let place = share * (count - 1) as f64;
                let (from, to) = (span(place.floor()), span(place.ceil()));
                let step = to.checked_sub(from)?.multiply(place - place.floor())?;
                Ok(Some(from.checked_add(step)?.to_arrow()?))
            });
            let between = between.collect::<Result<IntervalMonthDayNanoArray, Refusal>>()?;
            return Ok(Arc::new(between));
        }
        if self.kind == Kind::Continuous {
            let values = values.as_primitive::<Float64Type>();
            let between = shares.iter().map(|share| {
                let place = (*share)? * (count - 1) as f64;
                let (low, high) = (place.floor(), place.ceil());
                let (from, to) = (values.value(low as usize), values.value(high as usize));
                Some(match low == high {
                    true => from,
                    false => from + (place - low) * (to - from),
                })
            });
            return Ok(Arc::new(between.collect::<Float64Array>()));
        }
        let places = shares.iter().map(|share| {
            let place = ((*share)? * count as f64).ceil() as usize;
            u32::try_from(place.max(1) - 1).ok()
        });
        Ok(take(&values, &places.collect::<UInt32Array>(), None)?)
    }

    fn most_frequent(&self) -> Result<ScalarValue> {
        let values = self.sorted()?;
        let keys = by_weight(&values);
        let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
        let rows = converter.convert_columns(&[keys])?;
        let (mut best, mut best_count) = (0, 0);
        let (mut start, mut count) = (0, 0);
        for index in 0..rows.num_rows() {
            if rows.row(index) == rows.row(start) {
                count += 1;
            } else {
                (start, count) = (index, 1);
            }
            if count > best_count {
                (best, best_count) = (start, count);
            }
        }
        ScalarValue::try_from_array(&values, best)
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(shares) = values.get(1)
            && !shares.is_empty()
        {
            self.share = ScalarValue::try_from_array(shares, 0)?;
        }
        self.add(&values[0])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let shares = self.shares()?;
        if self.batches.is_empty() {
            return ScalarValue::try_from(&self.result);
        }
        if self.kind == Kind::Mode {
            return self.most_frequent();
        }
        if self.share.is_null() {
            return ScalarValue::try_from(&self.result);
        }
        let values = self.at(&shares)?;
        match &self.result {
            DataType::List(field) if is_list(&self.share.data_type()) => {
                let offsets = OffsetBuffer::from_lengths([values.len()]);
                let list = ListArray::new(field.clone(), offsets, values, None);
                Ok(ScalarValue::List(Arc::new(list)))
            }
            _ => ScalarValue::try_from_array(&values, 0),
        }
    }

    fn size(&self) -> usize {
        let batches = self
            .batches
            .iter()
            .map(|batch| batch.get_array_memory_size());
        size_of_val(self) + batches.sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.all()?;
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let field = Arc::new(Field::new_list_field(self.data_type.clone(), true));
        let list = ListArray::new(field, offsets, values, None);
        Ok(vec![ScalarValue::List(Arc::new(list)), self.share.clone()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for index in 0..lists.len() {
            let share = ScalarValue::try_from_array(&states[1], index)?;
            if !share.is_null() {
                self.share = share;
            }
            if lists.is_valid(index) {
                self.add(&lists.value(index))?;
            }
        }
        Ok(())
    }
}
