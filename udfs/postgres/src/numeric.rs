//! `numeric`: exact decimals, typed and computed as PostgreSQL does.
//!
//! PostgreSQL keeps with each value how many digits after the point it shows. An Arrow column has one scale for all of
//! its values, so the type says which of three rules holds for the column:
//!
//! | type | digits shown | comes from |
//! |---|---|---|
//! | any other decimal | its scale | declared columns, literals, sums and products of these |
//! | `Decimal128(38, 10 or 20)`, `Decimal256(76, 10, 20 or 30)` | those that say something | `numeric` without a scale |
//! | `Decimal256(76, 38)` | as many as PostgreSQL gives a quotient of this size | `/`, `avg`, `sqrt`, `ln`, … |
//!
//! Values are PostgreSQL's own, digit by digit, up to 38 digits on either side of the point; beyond that they are
//! refused (22003) before it, and rounded behind it.

pub mod arithmetic;
pub mod cast;
pub(crate) mod decimal;
pub mod shown;
pub(crate) mod transcendental;
pub mod variance;

use arrow::datatypes::DataType;

/// What a quotient is computed in.
pub const QUOTIENT: DataType = DataType::Decimal256(76, 38);

/// A number of any scale: what a text is read as.
pub const ANY_SCALE: DataType = DataType::Decimal256(76, 20);

/// Which digits after the point are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// All that the type has.
    Scale,
    /// All that are not zeros at the end.
    Telling,
    /// As many as PostgreSQL computes of a quotient of this size.
    Quotient,
}

/// A numeric type as far as arithmetic is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    /// At most so many before the point.
    pub whole: i32,
    /// At most so many after it.
    pub scale: i32,
    pub shown: Shown,
}

impl Digits {
    /// Of decimals and integers.
    pub fn of(data_type: &DataType) -> Option<Self> {
        let (whole, scale) = match data_type {
            DataType::Int8 | DataType::UInt8 => (3, 0),
            DataType::Int16 | DataType::UInt16 => (5, 0),
            DataType::Int32 | DataType::UInt32 => (10, 0),
            DataType::Int64 => (19, 0),
            DataType::UInt64 => (20, 0),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                let scale = i32::from(*scale);
                (i32::from(*precision) - scale, scale)
            }
            _ => return None,
        };
        let shown = match data_type {
            &QUOTIENT => Shown::Quotient,
            DataType::Decimal128(38, 10 | 20) | DataType::Decimal256(76, 10 | 20 | 30) => {
                Shown::Telling
            }
            _ => Shown::Scale,
        };
        Some(Self {
            whole,
            scale,
            shown,
        })
    }

    /// The Arrow type that holds such numbers, or as many digits of them as any type does.
    pub fn data_type(self) -> DataType {
        let whole = self.whole.max(i32::from(self.scale <= 0));
        let scale = self.scale.max(0);
        let fixed = |scale: i32| i8::try_from(scale).expect("at most 76");
        match self.shown {
            Shown::Quotient => QUOTIENT,
            Shown::Telling if scale <= 10 => DataType::Decimal256(76, 10),
            Shown::Telling if scale <= 20 => DataType::Decimal256(76, 20),
            Shown::Telling => DataType::Decimal256(76, 30),
            Shown::Scale => {
                let precision = whole + scale;
                let narrow = u8::try_from(precision).unwrap_or(u8::MAX);
                match precision {
                    38 if matches!(scale, 10 | 20) => DataType::Decimal256(39, fixed(scale)),
                    ..=38 => DataType::Decimal128(narrow, fixed(scale)),
                    39..=75 => DataType::Decimal256(narrow, fixed(scale)),
                    _ => DataType::Decimal256(75, fixed(scale.min(37))),
                }
            }
        }
    }
}
