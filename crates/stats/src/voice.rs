//! The voice of the customer: NPS, CSAT, CES and the shares of a Likert scale, each with its confidence interval.
//!
//! Answers are whole numbers on a scale, and each has a weight: how many customers it stands for, where a sample does not look
//! like the base. Weights do not make a sample larger, on the contrary: intervals are by Kish's effective sample size
//! n = (Σw)² / Σw², which is the number of answers where all weights are equal, and less otherwise.
//!
//! - NPS, of answers from 0 to 10: 100·(P − D), with P the share of promoters (9, 10) and D that of detractors (0 to 6). Its
//!   variance is P + D − (P − D)², its standard error 100·√(variance / n). The interval is the adjusted Wald interval: of three
//!   answers more, ¾ of one a promoter's, ¾ a detractor's; it does not shrink to nothing where all answers are alike.
//! - CSAT: the share of the two highest answers; the interval is Wilson's.
//! - CES: the mean answer; the interval is Student's, with n − 1 degrees of freedom, cut off at the ends of the scale.
//! - Likert: the share of each answer, with Wilson's interval for each on its own.
//!
//! Source: Reichheld (2003), Harvard Business Review 81(12); Rocks (2016), "Interval Estimation for the Net Promoter Score",
//! The American Statistician 70(4); Wilson (1927), J. of the American Statistical Association 22; Kish (1965), "Survey Sampling".

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::error::not_negative;
use crate::{Error, Result};

/// Longer scales are not answered by people.
const MOST_POINTS: i64 = 1_001;

/// Answers to one question, added up: a few numbers, however many they are, and two of them can be merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    lowest: i32,
    /// Of each answer on the scale.
    weights: Vec<f64>,
    squares: f64,
    n: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nps {
    /// From −100 to 100.
    pub score: f64,
    pub promoters: f64,
    pub passives: f64,
    pub detractors: f64,
    /// Of one answer's −1, 0 or 1.
    pub variance: f64,
    /// Of the score.
    pub standard_error: f64,
    pub low: f64,
    pub high: f64,
}

/// Between 0 and 1, with Wilson's interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub mean: f64,
    /// Of the answers, √(Σw(x−m)²/Σw · n/(n−1)); NaN of a single one.
    pub deviation: f64,
    /// Of the mean; NaN of a single answer.
    pub standard_error: f64,
    /// Of a single answer the whole scale.
    pub low: f64,
    pub high: f64,
}

impl Answers {
    /// None yet, to a question whose scale goes from `lowest` to `highest`.
    pub fn new(lowest: i32, highest: i32) -> Result<Self> {
        let points = i64::from(highest) - i64::from(lowest) + 1;
        if !(2..=MOST_POINTS).contains(&points) {
            return Err(Error::Range {
                name: "points of a scale",
                range: "from 2 to 1001",
                value: points as f64,
            });
        }
        Ok(Self {
            lowest,
            weights: vec![0.0; points as usize],
            squares: 0.0,
            n: 0,
        })
    }

    /// Of those added up elsewhere: the weight of each answer on the scale, the sum of the squares of the `n` single weights.
    pub fn from_sums(lowest: i32, weights: Vec<f64>, squares: f64, n: u64) -> Result<Self> {
        let points = i64::try_from(weights.len()).unwrap_or(i64::MAX);
        let highest = i64::from(lowest).saturating_add(points - 1);
        let none = Self::new(lowest, i32::try_from(highest).unwrap_or(i32::MAX))?;
        for sum in weights.iter().chain([&squares]) {
            not_negative("sum of weights", *sum)?;
        }
        Ok(Self {
            weights,
            squares,
            n,
            ..none
        })
    }

    /// Weight 1 where nothing is weighted; one of weight 0 is left out.
    pub fn add(&mut self, answer: i32, weight: f64) -> Result<()> {
        not_negative("weight", weight)?;
        let point = i64::from(answer) - i64::from(self.lowest);
        let of_point = usize::try_from(point).ok();
        let sum = of_point.and_then(|point| self.weights.get_mut(point));
        *sum.ok_or(Error::Range {
            name: "answer",
            range: "on the scale of its question",
            value: f64::from(answer),
        })? += weight;
        self.squares += weight * weight;
        self.n += u64::from(weight > 0.0);
        Ok(())
    }

    /// Those of others to the same question.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if (self.lowest, self.weights.len()) != (other.lowest, other.weights.len()) {
            return Err(Error::TooLittle(
                "answers can be put together only if they are on the same scale",
            ));
        }
        for (sum, weight) in self.weights.iter_mut().zip(&other.weights) {
            *sum += weight;
        }
        self.squares += other.squares;
        self.n += other.n;
        Ok(())
    }

    /// How many answers there are.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Kish's: as many answers of equal weight would say as much. 0 of none.
    pub fn n_effective(&self) -> f64 {
        let sum: f64 = self.weights.iter().sum();
        if sum > 0.0 {
            sum / self.squares * sum
        } else {
            0.0
        }
    }

    /// Needs a scale from 0 to 10; `level` of the interval as 0.95.
    pub fn nps(&self, level: f64) -> Result<Nps> {
        if (self.lowest, self.weights.len()) != (0, 11) {
            return Err(Error::TooLittle("NPS needs answers from 0 to 10"));
        }
        let (z, all) = (z(level)?, self.sum()?);
        let [detractors, passives, promoters] =
            [0..7, 7..9, 9..11].map(|points| self.weights[points].iter().sum::<f64>());
        // Divided last, so that whole numbers of answers give the number nearest to the score.
        let score = 100.0 * (promoters - detractors) / all;
        let (promoters, detractors) = (promoters / all, detractors / all);
        let n = self.n_effective();
        let variance = variance(promoters, detractors);
        let [low, high] = adjusted_wald(promoters, detractors, n, z);
        Ok(Nps {
            score,
            promoters,
            passives: passives / all,
            detractors,
            variance,
            standard_error: 100.0 * (variance / n).sqrt(),
            low,
            high,
        })
    }

    /// The share of the two highest answers.
    pub fn csat(&self, level: f64) -> Result<Share> {
        self.top(2, level)
    }

    /// The share of so many of the highest answers.
    pub fn top(&self, points: usize, level: f64) -> Result<Share> {
        let (z, all) = (z(level)?, self.sum()?);
        let below = self.weights.len().saturating_sub(points);
        let top: f64 = self.weights[below..].iter().sum();
        Ok(self.share(top / all, z))
    }

    /// The mean answer.
    pub fn ces(&self, level: f64) -> Result<Mean> {
        z(level)?;
        let shares = self.of_all()?;
        let answers = (0..).map(|point| f64::from(self.lowest) + f64::from(point));
        let answers: Vec<f64> = answers.take(shares.len()).collect();
        let sum: f64 = self.weights.iter().zip(&answers).map(|(w, x)| w * x).sum();
        let mean = sum / self.sum()?;
        let of_one = |(share, answer): (&f64, &f64)| share * (answer - mean).powi(2);
        let variance: f64 = shares.iter().zip(&answers).map(of_one).sum();
        let n = self.n_effective();
        let (first, last) = (answers[0], answers[answers.len() - 1]);
        let freedom = n - 1.0;
        // A hair above one answer is one answer of any weight, rounded.
        if freedom < 1e-9 {
            return Ok(Mean {
                mean,
                deviation: f64::NAN,
                standard_error: f64::NAN,
                low: first,
                high: last,
            });
        }
        let deviation = (variance * n / freedom).sqrt();
        let standard_error = deviation / n.sqrt();
        let student = StudentsT::new(0.0, 1.0, freedom).expect("positive degrees of freedom");
        let reach = student.inverse_cdf(0.5 + level / 2.0) * standard_error;
        Ok(Mean {
            mean,
            deviation,
            standard_error,
            low: (mean - reach).max(first),
            high: (mean + reach).min(last),
        })
    }

    /// The share of each answer, from the lowest to the highest.
    pub fn likert(&self, level: f64) -> Result<Vec<Share>> {
        let z = z(level)?;
        let of = |share| self.share(share, z);
        Ok(self.of_all()?.into_iter().map(of).collect())
    }

    fn share(&self, share: f64, z: f64) -> Share {
        // A sum of shares may be rounded to more than all.
        let share = f64::min(share, 1.0);
        let [low, high] = wilson(share, self.n_effective(), z);
        Share { share, low, high }
    }

    /// The share of each answer among all.
    fn of_all(&self) -> Result<Vec<f64>> {
        let sum = self.sum()?;
        Ok(self.weights.iter().map(|weight| weight / sum).collect())
    }

    /// Of all weights.
    fn sum(&self) -> Result<f64> {
        let sum: f64 = self.weights.iter().sum();
        match sum.is_finite() && self.squares.is_finite() && self.squares > 0.0 {
            true => Ok(sum),
            false => Err(Error::TooLittle(
                "there are no answers, or none of a usable weight",
            )),
        }
    }
}

fn variance(promoters: f64, detractors: f64) -> f64 {
    // Where all are alike, rounding must not leave less than nothing.
    (promoters + detractors - (promoters - detractors).powi(2)).max(0.0)
}

fn adjusted_wald(promoters: f64, detractors: f64, n: f64, z: f64) -> [f64; 2] {
    let adjusted = |share: f64| (share * n + 0.75) / (n + 3.0);
    let (promoters, detractors) = (adjusted(promoters), adjusted(detractors));
    let middle = promoters - detractors;
    let reach = z * (variance(promoters, detractors) / (n + 3.0)).sqrt();
    [
        (100.0 * (middle - reach)).max(-100.0),
        (100.0 * (middle + reach)).min(100.0),
    ]
}

/// Wilson's score interval of a share among `n`.
fn wilson(share: f64, n: f64, z: f64) -> [f64; 2] {
    let square = z * z / n;
    let middle = share + square / 2.0;
    let reach = z
        * (share * (1.0 - share) / n + square / (4.0 * n))
            .max(0.0)
            .sqrt();
    [
        ((middle - reach) / (1.0 + square)).clamp(0.0, share),
        ((middle + reach) / (1.0 + square)).clamp(share, 1.0),
    ]
}

/// How many standard errors an interval of the level reaches to each side.
fn z(level: f64) -> Result<f64> {
    if level > 0.0 && level < 1.0 {
        return Ok(Normal::standard().inverse_cdf(0.5 + level / 2.0));
    }
    Err(Error::Range {
        name: "level",
        range: "between 0 and 1",
        value: level,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lowest: i32, highest: i32, answers: &[(i32, f64)]) -> Answers {
        let mut all = Answers::new(lowest, highest).expect("a scale");
        for (answer, weight) in answers {
            all.add(*answer, *weight).expect("on the scale");
        }
        all
    }

    fn toy() -> Answers {
        let answers = [9, 10, 10, 8, 7, 6, 3, 9, 10, 0].map(|answer| (answer, 1.0));
        of(0, 10, &answers)
    }

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "{got}, not {expected}");
    }

    #[test]
    fn nps_of_ten_answers() {
        let got = toy().nps(0.95).expect("answers");
        close(got.score, 20.0);
        close(got.variance, 0.76);
        close(got.standard_error, 100.0 * 0.076_f64.sqrt());
        close(got.passives, 0.2);
        // Of 13 answers: 5.75 promoters, 3.75 detractors.
        close(0.5 * (got.low + got.high), 200.0 / 13.0);
        let variance = (9.5 - 4.0 / 13.0) / 13.0;
        let reach = 1.959_963_984_540_054 * (variance / 13.0_f64).sqrt();
        close(0.5 * (got.high - got.low), 100.0 * reach);
    }

    #[test]
    fn whole_numbers_of_answers_give_the_nearest_number() {
        let five = of(0, 10, &[9, 3, 10, 8, 10].map(|answer| (answer, 1.0)));
        assert_eq!(five.nps(0.95).expect("answers").score, 40.0);
        let ten = of(
            1,
            5,
            &[5, 4, 4, 1, 1, 1, 1, 1, 1, 1].map(|answer| (answer, 1.0)),
        );
        assert_eq!(ten.csat(0.95).expect("answers").share, 0.3);
        assert_eq!(ten.ces(0.95).expect("answers").mean, 2.0);
    }

    #[test]
    fn csat_is_the_two_highest_with_wilsons_interval() {
        let answers = [(5, 3.0), (4, 1.0), (3, 2.0), (1, 4.0)];
        let rows: Vec<(i32, f64)> = answers
            .iter()
            .flat_map(|(answer, times)| vec![(*answer, 1.0); *times as usize])
            .collect();
        let got = of(1, 5, &rows).csat(0.95).expect("answers");
        close(got.share, 0.4);
        // statsmodels: proportion_confint(4, 10, method="wilson").
        close(got.low, 0.168_180_329_2);
        close(got.high, 0.687_326_230_6);
    }

    #[test]
    fn ces_is_the_mean_with_students_interval() {
        let answers = [1, 2, 4, 5, 7, 7].map(|answer| (answer, 1.0));
        let got = of(1, 7, &answers).ces(0.95).expect("answers");
        close(got.mean, 26.0 / 6.0);
        close(got.deviation, (94.0 / 3.0 / 5.0_f64).sqrt());
        close(got.standard_error, got.deviation / 6.0_f64.sqrt());
        // scipy: t.ppf(0.975, 5).
        close(got.mean - got.low, 2.570_581_835_6 * got.standard_error);
        close(got.high, got.mean + got.mean - got.low);
    }

    #[test]
    fn likert_shares_add_up_to_1() {
        let shares = toy().likert(0.9).expect("answers");
        assert_eq!(shares.len(), 11);
        close(shares.iter().map(|share| share.share).sum(), 1.0);
        close(shares[10].share, 0.3);
        assert_eq!(shares[1].share, 0.0);
        assert!(shares.iter().all(|share| share.high > share.low));
    }

    #[test]
    fn merging_is_as_asking_all() {
        let (mut one, other) = (of(0, 10, &[(3, 2.0), (9, 1.0)]), of(0, 10, &[(9, 0.5)]));
        one.merge(&other).expect("the same scale");
        assert_eq!(one, of(0, 10, &[(3, 2.0), (9, 1.0), (9, 0.5)]));
        assert!(one.merge(&of(1, 10, &[])).is_err());
    }

    #[test]
    fn sums_are_the_answers_they_are_of() {
        let answers = of(1, 3, &[(3, 2.0), (1, 1.0), (3, 0.5)]);
        let sums = Answers::from_sums(1, vec![1.0, 0.0, 2.5], 5.25, 3);
        assert_eq!(sums, Ok(answers));
        assert!(Answers::from_sums(1, vec![1.0], 1.0, 1).is_err());
        assert!(Answers::from_sums(i32::MAX, vec![1.0; 3], 3.0, 3).is_err());
        assert!(Answers::from_sums(1, vec![f64::NAN, 1.0], 1.0, 1).is_err());
    }

    #[test]
    fn weights_make_the_sample_smaller_and_not_larger() {
        let equal = of(0, 10, &[(9, 7.0), (2, 7.0), (8, 7.0)]);
        close(equal.n_effective(), 3.0);
        let plain = of(0, 10, &[(9, 1.0), (2, 1.0), (8, 1.0)]);
        let (got, expected) = (equal.nps(0.9), plain.nps(0.9));
        close(got.expect("answers").low, expected.expect("answers").low);
        let unequal = of(0, 10, &[(9, 1.0), (2, 2.0), (8, 3.0)]);
        close(unequal.n_effective(), 36.0 / 14.0);
        close(unequal.nps(0.9).expect("answers").promoters, 1.0 / 6.0);
        assert_eq!((unequal.n(), of(0, 10, &[(9, 0.0)]).n()), (3, 0));
    }

    #[test]
    fn intervals_stay_on_their_scale_and_hold_what_was_found() {
        for promoters in 0..=12 {
            for detractors in 0..=12 - promoters {
                let rest = 12 - promoters - detractors;
                let counts = [(10, promoters), (0, detractors), (8, rest)];
                let rows: Vec<(i32, f64)> = counts
                    .iter()
                    .flat_map(|(answer, n)| vec![(*answer, 1.0); *n])
                    .collect();
                let answers = of(0, 10, &rows);
                let nps = answers.nps(0.95).expect("answers");
                assert!(-100.0 <= nps.low && nps.low <= nps.score, "{nps:?}");
                assert!(nps.score <= nps.high && nps.high <= 100.0, "{nps:?}");
                assert!(nps.low < nps.high);
                let csat = answers.csat(0.95).expect("answers");
                assert!(0.0 <= csat.low && csat.low <= csat.share);
                assert!(csat.share <= csat.high && csat.high <= 1.0);
                let ces = answers.ces(0.95).expect("answers");
                assert!(0.0 <= ces.low && ces.high <= 10.0);
            }
        }
    }

    #[test]
    fn one_answer_tells_little() {
        let one = of(1, 7, &[(6, 2.5)]);
        let ces = one.ces(0.95).expect("an answer");
        assert_eq!((ces.mean, ces.low, ces.high), (6.0, 1.0, 7.0));
        assert!(ces.standard_error.is_nan());
        let csat = one.csat(0.95).expect("an answer");
        assert_eq!((csat.share, csat.high), (1.0, 1.0));
        assert!(csat.low < 0.3);
        assert_eq!(one.top(99, 0.95).expect("an answer").share, 1.0);
    }

    #[test]
    fn impossible_answers_are_refused() {
        let mut answers = Answers::new(0, 10).expect("a scale");
        for answer in [-1, 11, i32::MIN, i32::MAX] {
            assert!(answers.add(answer, 1.0).is_err());
        }
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(answers.add(5, weight).is_err());
        }
        assert!(answers.nps(0.95).is_err());
        assert!(answers.ces(0.95).is_err());
        assert_eq!(answers.n_effective(), 0.0);
        answers.add(5, 1e200).expect("a finite weight");
        assert!(answers.csat(0.95).is_err());
        for level in [0.0, 1.0, f64::NAN] {
            assert!(toy().csat(level).is_err());
        }
        assert!(of(1, 5, &[(1, 1.0)]).nps(0.95).is_err());
        assert!(Answers::new(5, 5).is_err());
        assert!(Answers::new(i32::MIN, i32::MAX).is_err());
    }
}
