//! Between moments and what clocks show: casts in the session's time zone, and `AT TIME ZONE`.
//!
//! A timestamp with time zone is kept in UTC. DataFusion casts it to a date or to a timestamp without zone as if every
//! clock showed UTC.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, Date32Array, TimestampMicrosecondArray, timezone::Tz},
    compute::cast,
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use datafusion::{
    common::{Result, ScalarValue, plan_err},
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use crate::{Error, moment::in_zone, pg_type::utc};

/// What a cast between moments and clocks is replaced by.
pub(crate) fn cast_function(from: &DataType, to: &DataType) -> Option<Arc<ScalarUDF>> {
    let kind = match (from, to) {
        (DataType::Timestamp(_, Some(_)), DataType::Date32) => Kind::Day,
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, None)) => Kind::Clock,
        (DataType::Timestamp(_, None) | DataType::Date32, DataType::Timestamp(_, Some(_))) => {
            Kind::Moment
        }
        _ => return None,
    };
    Some(Arc::new(ScalarUDF::from(Zoned::new(kind))))
}

/// `timezone(zone, moment)`, which `moment AT TIME ZONE zone` is another word for.
pub(crate) fn timezone() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Zoned::new(Kind::AtTimeZone)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Day,
    Clock,
    Moment,
    AtTimeZone,
}

#[derive(Debug)]
struct Zoned {
    kind: Kind,
    signature: Signature,
}

impl Zoned {
    fn new(kind: Kind) -> Self {
        let signature = match kind {
            Kind::AtTimeZone => Signature::user_defined(Volatility::Immutable),
            _ => Signature::any(1, Volatility::Stable),
        };
        Self { kind, signature }
    }
}

impl PartialEq for Zoned {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Zoned {}

impl Hash for Zoned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

fn clock_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

impl ScalarUDFImpl for Zoned {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Day => "to_day",
            Kind::Clock => "to_clock",
            Kind::Moment => "to_moment",
            Kind::AtTimeZone => "timezone",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [_, moment] = given else {
            return plan_err!("function timezone takes a zone and a moment");
        };
        let moment = match moment {
            DataType::Timestamp(_, None) => clock_type(),
            _ => utc(),
        };
        Ok(vec![DataType::Utf8, moment])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match (self.kind, given) {
            (Kind::Day, _) => DataType::Date32,
            (Kind::Moment, _) | (Kind::AtTimeZone, [_, DataType::Timestamp(_, None)]) => utc(),
            _ => clock_type(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (zone, value) = match args.args.as_slice() {
            [value] => (args.config_options.execution.time_zone.clone(), value),
            [ColumnarValue::Scalar(zone), value] => {
                (zone.try_as_str().flatten().map(str::to_owned), value)
            }
            _ => return Err(Error::not_supported("a time zone that is not constant", "").into()),
        };
        let Some(zone) = zone else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(
                args.return_field.data_type(),
            )?));
        };
        let zone: Tz = zone.parse().map_err(|_| {
            let message = format!("time zone \"{zone}\" not recognized");
            Error::InvalidParameter {
                message,
                hint: None,
            }
        })?;
        let array = value.to_array(args.number_rows)?;
        let to_moment = matches!(
            args.return_field.data_type(),
            DataType::Timestamp(_, Some(_))
        );
        let done = match (self.kind, to_moment) {
            (Kind::Day, _) => days(&array, zone)?,
            (_, true) => moments(&array, zone)?,
            (_, false) => clocks(&array, zone)?,
        };
        Ok(ColumnarValue::Array(done))
    }
}

fn local(micros: i64, zone: Tz) -> Option<NaiveDateTime> {
    let utc: DateTime<Utc> = DateTime::from_timestamp_micros(micros)?;
    Some(utc.with_timezone(&zone).naive_local())
}

fn days(array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    const EPOCH: i32 = 719_163;
    let moments = cast(array, &utc())?;
    let values = moments.as_primitive::<TimestampMicrosecondType>().iter();
    let days = values.map(|value| Some(local(value?, zone)?.num_days_from_ce() - EPOCH));
    Ok(Arc::new(days.collect::<Date32Array>()))
}

fn clocks(array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    let moments = cast(array, &utc())?;
    let values = moments.as_primitive::<TimestampMicrosecondType>().iter();
    let clocks = values.map(|value| Some(local(value?, zone)?.and_utc().timestamp_micros()));
    Ok(Arc::new(clocks.collect::<TimestampMicrosecondArray>()))
}

fn moments(array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    let clocks = cast(array, &clock_type())?;
    let values = clocks.as_primitive::<TimestampMicrosecondType>().iter();
    let moments = values.map(|value| {
        let clock = DateTime::from_timestamp_micros(value?)?.naive_utc();
        Some(in_zone(zone, clock)?.timestamp_micros())
    });
    Ok(Arc::new(
        moments
            .collect::<TimestampMicrosecondArray>()
            .with_timezone("UTC"),
    ))
}
