//! How long customers stay, with those who are still there: Kaplan-Meier's curve and the log-rank test.
//!
//! A duration ends by leaving (an *event*) or by the end of observation (*censored*): of a censored one it is only known that
//! it is longer.
//!
//! Source: Kaplan & Meier (1958), J. of the American Statistical Association 53; Greenwood's variance; the interval is
//! that of log(−log S), which stays within 0 and 1 (R calls it "log-log", lifelines uses it). Log-rank: Mantel (1966).

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use crate::error::not_negative;
use crate::linear;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duration {
    pub time: f64,
    /// Whether it ended by leaving.
    pub is_event: bool,
    /// How many customers it stands for.
    pub weight: f64,
}

impl Duration {
    pub fn new(time: f64, is_event: bool, weight: f64) -> Result<Self> {
        Ok(Self {
            time: not_negative("duration", time)?,
            is_event,
            weight: not_negative("weight", weight)?,
        })
    }
}

/// The curve after one of the times at which somebody left or was last seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub time: f64,
    /// There until just before the time.
    pub at_risk: f64,
    pub events: f64,
    pub censored: f64,
    /// Share that stays longer than the time.
    pub survival: f64,
    /// Greenwood's, of the survival.
    pub standard_error: f64,
    /// Of the interval at the level asked for, by log(−log S).
    pub low: f64,
    pub high: f64,
}

/// Kaplan-Meier's estimate, one step for each distinct time; `level` of the interval as 0.95.
pub fn kaplan_meier(durations: &[Duration], level: f64) -> Result<Vec<Step>> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Range {
            name: "level",
            range: "between 0 and 1",
            value: level,
        });
    }
    let normal = Normal::standard();
    let z = normal.inverse_cdf(0.5 + level / 2.0);
    let mut steps: Vec<Step> = vec![];
    let (mut survival, mut greenwood) = (1.0, 0.0);
    let times = times(durations);
    let mut at_risk: f64 = durations.iter().map(|duration| duration.weight).sum();
    for (time, events, censored) in times {
        if events > 0.0 {
            survival *= 1.0 - events / at_risk;
            greenwood += events / (at_risk * (at_risk - events));
        }
        let [low, high] = interval(survival, greenwood, z);
        steps.push(Step {
            time,
            at_risk,
            events,
            censored,
            survival,
            standard_error: if survival > 0.0 {
                survival * greenwood.sqrt()
            } else {
                0.0
            },
            low,
            high,
        });
        at_risk -= events + censored;
    }
    Ok(steps)
}

fn interval(survival: f64, greenwood: f64, z: f64) -> [f64; 2] {
    if survival >= 1.0 {
        return [1.0, 1.0];
    }
    if survival <= 0.0 {
        return [0.0, 0.0];
    }
    let log = survival.ln();
    let spread = z * greenwood.sqrt() / log;
    let at = |shift: f64| (log * shift.exp()).exp();
    let (a, b) = (at(spread), at(-spread));
    [a.min(b), a.max(b)]
}

/// The first time after which no more than half are left; `None` while more are.
pub fn median(steps: &[Step]) -> Option<f64> {
    let fallen = steps.iter().find(|step| step.survival <= 0.5 + 1e-12);
    fallen.map(|step| step.time)
}

/// Distinct times in order, with the events and the censored at each.
fn times(durations: &[Duration]) -> Vec<(f64, f64, f64)> {
    let mut sorted: Vec<&Duration> = durations.iter().filter(|d| d.weight > 0.0).collect();
    sorted.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut times: Vec<(f64, f64, f64)> = vec![];
    for duration in sorted {
        if times.last().is_none_or(|(time, ..)| *time != duration.time) {
            times.push((duration.time, 0.0, 0.0));
        }
        if let Some((_, events, censored)) = times.last_mut() {
            if duration.is_event {
                *events += duration.weight;
            } else {
                *censored += duration.weight;
            }
        }
    }
    times
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRank {
    pub chi_squared: f64,
    pub degrees_of_freedom: usize,
    pub p_value: f64,
}

/// Do the groups stay equally long? Needs at least two, each with somebody in it.
pub fn log_rank(groups: &[Vec<Duration>]) -> Result<LogRank> {
    if groups.len() < 2 || groups.iter().any(Vec::is_empty) {
        return Err(Error::TooLittle(
            "a log-rank test compares two or more groups, none of them empty",
        ));
    }
    let all: Vec<Duration> = groups.iter().flatten().copied().collect();
    let of_groups: Vec<Vec<(f64, f64, f64)>> = groups.iter().map(|group| times(group)).collect();
    let mut next = vec![0; groups.len()];
    let weight = |group: &Vec<Duration>| group.iter().map(|duration| duration.weight).sum();
    let mut at_risk: Vec<f64> = groups.iter().map(weight).collect();
    let n = groups.len() - 1;
    let (mut surplus, mut variance) = (vec![0.0; n], vec![0.0; n * n]);
    for (time, events, _) in times(&all) {
        let risk: f64 = at_risk.iter().sum();
        let mut gone = vec![0.0; groups.len()];
        for (group, times) in of_groups.iter().enumerate() {
            if let Some((at, own, censored)) = times.get(next[group])
                && *at == time
            {
                next[group] += 1;
                gone[group] = own + censored;
                if group < n {
                    surplus[group] += own;
                }
            }
        }
        for i in 0..n {
            surplus[i] -= events * at_risk[i] / risk;
        }
        if risk > 1.0 {
            let spread = events * (risk - events) / (risk - 1.0);
            for i in 0..n {
                for j in 0..n {
                    let same = f64::from(u8::from(i == j));
                    variance[i * n + j] += spread * at_risk[i] / risk * (same - at_risk[j] / risk);
                }
            }
        }
        for (risk, gone) in at_risk.iter_mut().zip(gone) {
            *risk -= gone;
        }
    }
    let lower = linear::cholesky(&variance, n).ok_or(Error::TooLittle(
        "nobody left while two groups were there: nothing can be compared",
    ))?;
    let solved = linear::solve(&lower, n, &surplus);
    let chi_squared: f64 = surplus.iter().zip(solved).map(|(a, b)| a * b).sum();
    let distribution = ChiSquared::new(n as f64).expect("at least one degree of freedom");
    Ok(LogRank {
        chi_squared,
        degrees_of_freedom: n,
        p_value: distribution.sf(chi_squared),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Freireich's leukaemia patients: weeks in remission, 0 where still so when last seen.
    fn treated() -> Vec<Duration> {
        let events = [6, 6, 6, 7, 10, 13, 16, 22, 23];
        let censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let of = |time: i32, is_event| {
            Duration::new(f64::from(time), is_event, 1.0).expect("a duration")
        };
        events
            .map(|time| of(time, true))
            .into_iter()
            .chain(censored.map(|time| of(time, false)))
            .collect()
    }

    fn placebo() -> Vec<Duration> {
        let weeks = [
            1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23,
        ];
        let of = |time: i32| Duration::new(f64::from(time), true, 1.0).expect("a duration");
        weeks.map(of).to_vec()
    }

    #[test]
    fn b5_kaplan_meier_of_6_mp() {
        let steps = kaplan_meier(&treated(), 0.95).expect("a level");
        let expected = [
            (6.0, 0.8571),
            (7.0, 0.8067),
            (10.0, 0.7529),
            (13.0, 0.6902),
            (16.0, 0.6275),
            (22.0, 0.5378),
            (23.0, 0.4482),
        ];
        for (time, survival) in expected {
            let step = steps.iter().find(|step| step.time == time).expect("a step");
            assert!((step.survival - survival).abs() < 5e-5, "{step:?}");
            assert!(step.low < step.survival && step.survival < step.high);
        }
        assert_eq!(median(&steps), Some(23.0));
        let placebo = kaplan_meier(&placebo(), 0.95).expect("a level");
        assert_eq!(median(&placebo), Some(8.0));
    }

    #[test]
    fn b6_log_rank_of_6_mp() {
        let got = log_rank(&[treated(), placebo()]).expect("two groups");
        assert!((got.chi_squared - 16.79294).abs() < 1e-4, "{got:?}");
        assert!((got.p_value - 4.17e-5).abs() < 1e-7, "{got:?}");
    }

    #[test]
    fn a_weight_is_as_many_rows() {
        let rows = treated();
        let twice: Vec<Duration> = rows.iter().chain(&rows).copied().collect();
        let weighted: Vec<Duration> = rows
            .iter()
            .map(|duration| Duration {
                weight: 2.0,
                ..*duration
            })
            .collect();
        assert_eq!(
            kaplan_meier(&twice, 0.9).expect("a level"),
            kaplan_meier(&weighted, 0.9).expect("a level")
        );
    }
}
