//! What comes next, after or before a chain of events: ClickHouse's `sequenceNextNode`.
//!
//! A customer's events each have a value (a page, say), whether they may be the base, and which conditions they meet. From
//! the base, `n` neighbours in the direction, the base itself the first of them, have to meet conditions 1 to n in turn; the
//! value of the next neighbour is the answer. The base is the first event (`head`), the last one (`tail`), or the first or
//! last one that may be it and meets condition 1.
//!
//! Events of one moment are in the order of their values. Of a `head` or `tail` state no more than n + 1 events are kept.
//!
//! Source: the ClickHouse manual, "sequenceNextNode", and the behaviour of ClickHouse 26.9, compared case by case.

use crate::{Error, Result};

pub const MOST_CONDITIONS: u32 = 64;
/// As many events as ClickHouse reads into one state.
pub const MOST_NODES: usize = 0xFF_FFFF;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Head,
    Tail,
    FirstMatch,
    LastMatch,
}

impl Direction {
    /// By ClickHouse's name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "forward" => Ok(Self::Forward),
            "backward" => Ok(Self::Backward),
            _ => Err(Error::Name {
                name: name.to_owned(),
                known: "forward, backward",
            }),
        }
    }
}

impl Base {
    /// By ClickHouse's name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "head" => Ok(Self::Head),
            "tail" => Ok(Self::Tail),
            "first_match" => Ok(Self::FirstMatch),
            "last_match" => Ok(Self::LastMatch),
            _ => Err(Error::Name {
                name: name.to_owned(),
                known: "head, tail, first_match, last_match",
            }),
        }
    }
}

/// The order is by time, then by value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node<V> {
    pub time: i64,
    pub value: V,
    pub can_be_base: bool,
    /// Bit n is set if condition n + 1 holds.
    pub conditions: u64,
}

#[derive(Clone, Debug)]
pub struct NextNode<V> {
    direction: Direction,
    base: Base,
    n_conditions: usize,
    nodes: Vec<Node<V>>,
}

impl<V: Ord + Clone> NextNode<V> {
    pub fn new(direction: Direction, base: Base, n_conditions: u32) -> Result<Self> {
        let outwards = [
            (Direction::Backward, Base::Head),
            (Direction::Forward, Base::Tail),
        ];
        if outwards.contains(&(direction, base)) {
            return Err(Error::Contradiction(
                "there is nothing before the head and nothing after the tail",
            ));
        }
        let least = u32::from(matches!(base, Base::FirstMatch | Base::LastMatch));
        if !(least..=MOST_CONDITIONS).contains(&n_conditions) {
            return Err(Error::Range {
                name: "number of conditions",
                range: "0 to 64, and at least 1 for a match",
                value: f64::from(n_conditions),
            });
        }
        Ok(Self {
            direction,
            base,
            n_conditions: n_conditions as usize,
            nodes: vec![],
        })
    }

    pub fn add(&mut self, node: Node<V>) -> Result<()> {
        self.nodes.push(node);
        self.keep_bounded()
    }

    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.nodes.extend_from_slice(&other.nodes);
        self.keep_bounded()
    }

    /// What a state is written down as.
    pub fn nodes(&self) -> &[Node<V>] {
        &self.nodes
    }

    pub fn finish(&mut self) -> Option<&V> {
        self.nodes.sort_unstable();
        let base = self.base_at()?;
        let next = match self.direction {
            Direction::Forward => base + self.n_conditions,
            Direction::Backward => base.checked_sub(self.n_conditions)?,
        };
        let meets = |n: usize| {
            let at = match self.direction {
                Direction::Forward => base + n,
                Direction::Backward => base - n,
            };
            let node = self.nodes.get(at);
            node.is_some_and(|node| node.conditions >> n & 1 == 1)
        };
        let is_chain = (0..self.n_conditions).all(meets);
        self.nodes
            .get(next)
            .filter(|_| is_chain)
            .map(|node| &node.value)
    }

    fn base_at(&self) -> Option<usize> {
        let matches = |node: &Node<V>| node.can_be_base && node.conditions & 1 == 1;
        match self.base {
            Base::Head => self.nodes.first()?.can_be_base.then_some(0),
            Base::Tail => self.nodes.last()?.can_be_base.then(|| self.nodes.len() - 1),
            Base::FirstMatch => self.nodes.iter().position(matches),
            Base::LastMatch => self.nodes.iter().rposition(matches),
        }
    }

    /// Forgets what cannot be reached from the head or the tail; refuses to remember too much otherwise.
    fn keep_bounded(&mut self) -> Result<()> {
        let most = self.n_conditions + 1;
        match self.base {
            Base::Head | Base::Tail if self.nodes.len() < 2 * most + 32 => {}
            Base::Head => {
                self.nodes.sort_unstable();
                self.nodes.truncate(most);
            }
            Base::Tail => {
                self.nodes.sort_unstable();
                self.nodes.drain(..self.nodes.len() - most);
            }
            Base::FirstMatch | Base::LastMatch if self.nodes.len() > MOST_NODES => {
                return Err(Error::TooMany {
                    what: "events of one customer",
                    most: MOST_NODES,
                });
            }
            Base::FirstMatch | Base::LastMatch => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages as letters, one a unit of time; the conditions are to be `a`, `b`, … in turn.
    fn of(letters: &str) -> Vec<Node<char>> {
        let node = |(time, value): (i64, char)| Node {
            time,
            value,
            can_be_base: value.is_ascii_lowercase(),
            conditions: match value {
                'a'..='d' => 1 << (value as u32 - 'a' as u32),
                _ => 0,
            },
        };
        (0..).zip(letters.chars()).map(node).collect()
    }

    fn next(direction: Direction, base: Base, n: u32, letters: &str) -> Option<char> {
        let new = || NextNode::new(direction, base, n).expect("possible");
        let (mut one, mut other, mut all) = (new(), new(), new());
        for (n, node) in of(letters).into_iter().enumerate().rev() {
            let half = if n % 3 == 0 { &mut one } else { &mut other };
            half.add(node.clone()).expect("few");
            all.add(node).expect("few");
        }
        one.merge(&other).expect("few");
        assert_eq!(one.finish(), all.finish());
        all.finish().copied()
    }

    #[test]
    fn what_comes_after_the_head() {
        use {Base::Head, Direction::Forward};
        assert_eq!(next(Forward, Head, 2, "abx"), Some('x'));
        assert_eq!(next(Forward, Head, 2, "axb"), None);
        assert_eq!(next(Forward, Head, 2, "ab"), None);
        assert_eq!(next(Forward, Head, 0, "x"), Some('x'));
        assert_eq!(next(Forward, Head, 0, "X"), None);
    }

    #[test]
    fn what_comes_before_the_tail() {
        use {Base::Tail, Direction::Backward};
        assert_eq!(next(Backward, Tail, 2, "xba"), Some('x'));
        assert_eq!(next(Backward, Tail, 2, "ba"), None);
        assert_eq!(next(Backward, Tail, 1, "xab"), None);
    }

    #[test]
    fn what_comes_after_or_before_a_match() {
        use {Base::FirstMatch, Base::LastMatch, Direction::Backward, Direction::Forward};
        assert_eq!(next(Forward, FirstMatch, 1, "xaybaz"), Some('y'));
        assert_eq!(next(Forward, LastMatch, 1, "xaybaz"), Some('z'));
        assert_eq!(next(Backward, FirstMatch, 1, "xaybaz"), Some('x'));
        assert_eq!(next(Backward, LastMatch, 2, "xaybaz"), Some('y'));
        // Only the base decides: that a later chain would fit does not help.
        assert_eq!(next(Forward, FirstMatch, 2, "axabz"), None);
        assert_eq!(next(Forward, FirstMatch, 1, ""), None);
    }

    #[test]
    fn of_head_and_tail_little_is_kept_of_100_000_events() {
        let letters = "abxy".repeat(25_000);
        for (direction, base, expected) in [
            (Direction::Forward, Base::Head, 'b'),
            (Direction::Backward, Base::Tail, 'x'),
        ] {
            let mut state = NextNode::new(direction, base, 1).expect("possible");
            for mut node in of(&letters) {
                (node.can_be_base, node.conditions) = (true, 1);
                state.add(node).expect("few");
            }
            assert!(state.nodes().len() < 64);
            assert_eq!(state.finish(), Some(&expected));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let new = NextNode::<char>::new;
        assert!(new(Direction::Backward, Base::Head, 1).is_err());
        assert!(new(Direction::Forward, Base::Tail, 1).is_err());
        assert!(new(Direction::Forward, Base::FirstMatch, 0).is_err());
        assert!(new(Direction::Forward, Base::Head, 65).is_err());
        assert!(Direction::named("up").is_err() && Base::named("middle").is_err());
        assert_eq!(Base::named("last_match"), Ok(Base::LastMatch));
    }
}
