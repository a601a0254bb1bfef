//! From the lowest to the highest answer that a question allows.

use rapport_stats::voice::Answers;
use rapport_stats::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    pub(crate) fn new(lowest: i32, highest: i32) -> Result<Self> {
        Answers::new(lowest, highest)?;
        Ok(Self { lowest, highest })
    }

    pub(crate) fn lowest(self) -> i32 {
        self.lowest
    }

    pub(crate) fn n_points(self) -> usize {
        self.lowest.abs_diff(self.highest) as usize + 1
    }

    /// Which of the points it is, counted from 0.
    pub(crate) fn point_of_whole(self, score: i64) -> Result<usize> {
        match (i64::from(self.lowest)..=i64::from(self.highest)).contains(&score) {
            true => Ok((score - i64::from(self.lowest)) as usize),
            false => Err(self.refusal(score as f64)),
        }
    }

    pub(crate) fn point_of_number(self, score: f64) -> Result<usize> {
        // What is not on the scale, NaN included, does not come back from the whole number as it was.
        let distance = score - f64::from(self.lowest);
        let point = distance as usize;
        match point as f64 == distance && point < self.n_points() {
            true => Ok(point),
            false => Err(self.refusal(score)),
        }
    }

    fn refusal(self, value: f64) -> Error {
        Error::Score {
            lowest: self.lowest,
            highest: self.highest,
            value,
        }
    }
}

/// A number that has to be whole.
pub(crate) fn whole(name: &'static str, value: f64) -> Result<i32> {
    let number = value as i32;
    match f64::from(number) == value {
        true => Ok(number),
        false => Err(Error::Range {
            name,
            range: "a whole number",
            value,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_counted_from_the_lowest() {
        let scale = Scale::new(-2, 2).expect("a scale");
        assert_eq!(scale.n_points(), 5);
        assert_eq!(scale.point_of_whole(-2), Ok(0));
        assert_eq!(scale.point_of_number(2.0), Ok(4));
        assert_eq!(scale.point_of_number(-0.0), Ok(2));
    }

    #[test]
    fn what_is_off_the_scale_is_refused() {
        let scale = Scale::new(1, 5).expect("a scale");
        for score in [0.0, 6.0, 4.5, -1e300, 1e300, f64::NAN, f64::INFINITY] {
            assert!(scale.point_of_number(score).is_err(), "{score}");
        }
        for score in [0, 6, i64::MIN, i64::MAX] {
            assert!(scale.point_of_whole(score).is_err(), "{score}");
        }
        let said = scale.point_of_whole(7).map_err(|error| error.to_string());
        let expected = "score must be a whole number from 1 to 5, got 7";
        assert_eq!(said, Err(expected.to_owned()));
    }

    #[test]
    fn only_whole_numbers_are_whole() {
        assert_eq!(whole("lowest", -3.0), Ok(-3));
        for value in [0.5, 1e10, f64::NAN] {
            assert!(whole("lowest", value).is_err(), "{value}");
        }
    }
}
