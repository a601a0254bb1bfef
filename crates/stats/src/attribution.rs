//! Which contacts a conversion is credited to, by a rule: first, last, linear, by position, by time.
//!
//! Each touch on the path to a conversion gets a share, and the shares of a path sum to 1:
//!
//! - first, last: all of it to one touch;
//! - linear: 1/n to each of n;
//! - position: `first` and `last` to the ends, the rest to those between in equal parts; where there is none between, in the
//!   proportion of the ends (40-20-40, U-shaped, is the usual choice);
//! - time decay: in proportion to 2^(−age/half-life), where age is the time from the touch to the conversion.
//!
//! Rules say nothing of cause. Compare with [`crate::markov`] and [`crate::shapley`], which ask what would be lost.
//!
//! Source: the usual definitions of web analytics; numbers of first, last and linear: cran/ChannelAttribution, `PathData`.

use crate::error::{not_negative, positive};
use crate::{Error, Result};

/// Results are listed by channel: numbers are to be small.
const MOST_CHANNELS: usize = 1 << 16;

/// Conversions, and journeys without one, that came along the same channels. Channels are numbered from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub(crate) channels: Vec<u32>,
    pub(crate) conversions: f64,
    pub(crate) misses: f64,
}

impl Path {
    /// Refuses conversions without a channel, which nothing could be credited with.
    pub fn new(channels: Vec<u32>, conversions: f64, misses: f64) -> Result<Self> {
        not_negative("conversions", conversions)?;
        not_negative("misses", misses)?;
        if channels.is_empty() && conversions > 0.0 {
            return Err(Error::TooLittle("a conversion needs a channel to credit"));
        }
        if channels
            .iter()
            .any(|channel| *channel as usize >= MOST_CHANNELS)
        {
            return Err(Error::TooMany {
                what: "channels",
                most: MOST_CHANNELS,
            });
        }
        Ok(Self {
            channels,
            conversions,
            misses,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    First,
    Last,
    Linear,
    Position { first: f64, last: f64 },
    TimeDecay { half_life: f64 },
}

/// How a conversion is shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule(Kind);

impl Rule {
    pub const FIRST: Self = Self(Kind::First);
    pub const LAST: Self = Self(Kind::Last);
    pub const LINEAR: Self = Self(Kind::Linear);

    /// Shares of the first and of the last touch; what is left goes to those between.
    pub fn position(first: f64, last: f64) -> Result<Self> {
        not_negative("share of the first touch", first)?;
        not_negative("share of the last touch", last)?;
        if first + last > 1.0 {
            return Err(Error::Range {
                name: "shares of the first and the last touch together",
                range: "at most 1",
                value: first + last,
            });
        }
        Ok(Self(Kind::Position { first, last }))
    }

    /// A touch one `half_life` earlier counts half.
    pub fn time_decay(half_life: f64) -> Result<Self> {
        let half_life = positive("half-life", half_life)?;
        Ok(Self(Kind::TimeDecay { half_life }))
    }

    /// Shares of the touches of one path. `ages` are the times from each touch, in the order of the path, to the conversion;
    /// only time decay looks at more than their number.
    pub fn shares(&self, ages: &[f64]) -> Result<Vec<f64>> {
        let n = ages.len();
        if let Kind::TimeDecay { half_life } = self.0 {
            return decayed(ages, half_life);
        }
        let share = |at: usize| match self.0 {
            Kind::First => f64::from(u8::from(at == 0)),
            Kind::Last => f64::from(u8::from(at + 1 == n)),
            Kind::Position { first, last } => by_position(at, n, first, last),
            Kind::Linear | Kind::TimeDecay { .. } => 1.0 / n as f64,
        };
        Ok((0..n).map(share).collect())
    }
}

fn by_position(at: usize, n: usize, first: f64, last: f64) -> f64 {
    let ends = first + last;
    match n {
        1 => 1.0,
        2 if ends == 0.0 => 0.5,
        2 if at == 0 => first / ends,
        2 => last / ends,
        _ if at == 0 => first,
        _ if at + 1 == n => last,
        _ => (1.0 - ends) / (n - 2) as f64,
    }
}

/// Ages count from the latest touch on, so that old paths do not vanish.
fn decayed(ages: &[f64], half_life: f64) -> Result<Vec<f64>> {
    for age in ages {
        not_negative("age of a touch", *age)?;
    }
    let least = ages.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = ages
        .iter()
        .map(|age| ((least - age) / half_life).exp2())
        .collect();
    let total: f64 = weights.iter().sum();
    Ok(weights.into_iter().map(|weight| weight / total).collect())
}

/// Conversions credited to each channel so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credits(Vec<f64>);

impl Credits {
    /// Shares out `conversions` along a path of `channels`.
    pub fn add(&mut self, channels: &[u32], shares: &[f64], conversions: f64) {
        for (channel, share) in channels.iter().zip(shares) {
            *self.of(*channel as usize) += share * conversions;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (channel, credit) in other.0.iter().enumerate() {
            *self.of(channel) += credit;
        }
    }

    /// By the channel's number; those beyond the end have none.
    pub fn by_channel(&self) -> &[f64] {
        &self.0
    }

    fn of(&mut self, channel: usize) -> &mut f64 {
        if self.0.len() <= channel {
            self.0.resize(channel + 1, 0.0);
        }
        &mut self.0[channel]
    }
}

/// All paths' conversions by a rule that needs no ages, or as if all touches were equally old.
pub fn credit(rule: Rule, paths: &[Path]) -> Result<Credits> {
    let mut credits = Credits::default();
    for path in paths {
        let shares = rule.shares(&vec![0.0; path.channels.len()])?;
        credits.add(&path.channels, &shares, path.conversions);
    }
    Ok(credits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Rule, ages: &[f64], expected: &[f64]) {
        let shares = rule.shares(ages).expect("ages");
        assert_eq!(shares.len(), expected.len());
        for (got, expected) in shares.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{shares:?}");
        }
    }

    #[test]
    fn rules_share_out_a_path_of_four() {
        let ages = [3.0, 2.0, 1.0, 0.0];
        check(Rule::FIRST, &ages, &[1.0, 0.0, 0.0, 0.0]);
        check(Rule::LAST, &ages, &[0.0, 0.0, 0.0, 1.0]);
        check(Rule::LINEAR, &ages, &[0.25; 4]);
        let position = Rule::position(0.4, 0.4).expect("shares");
        check(position, &ages, &[0.4, 0.1, 0.1, 0.4]);
        let decay = Rule::time_decay(1.0).expect("positive");
        let total = 15.0;
        check(
            decay,
            &ages,
            &[1.0 / total, 2.0 / total, 4.0 / total, 8.0 / total],
        );
    }

    #[test]
    fn short_paths_are_shared_out_whole() {
        let position = Rule::position(0.6, 0.2).expect("shares");
        check(position, &[], &[]);
        check(position, &[0.0], &[1.0]);
        check(position, &[1.0, 0.0], &[0.75, 0.25]);
        check(
            Rule::position(0.0, 0.0).expect("shares"),
            &[1.0, 0.0],
            &[0.5, 0.5],
        );
    }

    #[test]
    fn touches_long_ago_are_shared_out_too() {
        let decay = Rule::time_decay(1.0).expect("positive");
        check(decay, &[1e6 + 1.0, 1e6], &[1.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Rule::position(0.7, 0.4).is_err() && Rule::position(-0.1, 0.4).is_err());
        assert!(Rule::time_decay(0.0).is_err());
        let decay = Rule::time_decay(1.0).expect("positive");
        assert!(decay.shares(&[-1.0]).is_err() && decay.shares(&[f64::NAN]).is_err());
        assert!(Path::new(vec![], 1.0, 0.0).is_err());
        assert!(Path::new(vec![0], -1.0, 0.0).is_err());
        assert!(Path::new(vec![1 << 16], 1.0, 0.0).is_err());
    }

    #[test]
    fn g8_credits_sum_to_conversions_and_merge() {
        let rules = [
            Rule::FIRST,
            Rule::LAST,
            Rule::LINEAR,
            Rule::position(0.3, 0.5).expect("shares"),
            Rule::time_decay(7.0).expect("positive"),
        ];
        for rule in rules {
            let (mut one, mut other, mut whole) = Default::default();
            for n in 1..=40_u32 {
                let channels: Vec<u32> = (0..n).map(|at| at * 7 % 5).collect();
                let ages: Vec<f64> = (0..n).rev().map(f64::from).collect();
                let shares = rule.shares(&ages).expect("ages");
                let half: &mut Credits = if n % 2 == 0 { &mut one } else { &mut other };
                half.add(&channels, &shares, f64::from(n));
                Credits::add(&mut whole, &channels, &shares, f64::from(n));
            }
            one.merge(&other);
            let total: f64 = one.by_channel().iter().sum();
            assert!((total - 820.0).abs() < 1e-9, "{rule:?}: {total}");
            for (merged, whole) in one.by_channel().iter().zip(whole.by_channel()) {
                assert!((merged - whole).abs() < 1e-9);
            }
        }
    }
}
