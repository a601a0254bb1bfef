//! Who is who: records that share identifiers are one person, unless a guard speaks against it.
//!
//! Evidence is what was seen: records with their identifiers (a kind, such as telephone, and a value), pairs of records
//! known from elsewhere to be one person, such as those of [`crate::fellegi_sunter`], and pairs known to be two. Records are
//! joined by it, the strongest first: kinds in their order, then the pairs in theirs. Sameness is transitive. It is not
//! concluded
//!
//! - from an identifier that more than `most_records` records share: the number of a shop is nobody's;
//! - where one person would have more than `most_values` different values of a kind: two tax numbers are two people;
//! - where records known to be two people would become one.
//!
//! Clusters follow from the evidence and from nothing else, in whatever order it came. So to un-merge is to withdraw what
//! was wrong, or to say that two records are two people, and to resolve again: then the weakest link gives way.
//!
//! Source: union-find by Tarjan (1975), "Efficiency of a Good But Not Linear Set Union Algorithm"; the guards are ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Result};

/// What may be concluded from identifiers of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub most_records: usize,
    pub most_values: usize,
}

/// An identifier of a record. Its value is a number or a hash of what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The place of its kind, the strongest first.
    pub kind: usize,
    pub value: u64,
    pub record: u32,
}

#[derive(Clone, Debug)]
pub struct Evidence {
    n_records: u32,
    kinds: Vec<Kind>,
    sightings: BTreeSet<Sighting>,
    pairs: Vec<(u32, u32)>,
    apart: BTreeSet<(u32, u32)>,
}

impl Evidence {
    /// Records are numbered from 0.
    pub fn new(n_records: u32, kinds: Vec<Kind>) -> Self {
        Self {
            n_records,
            kinds,
            sightings: BTreeSet::new(),
            pairs: vec![],
            apart: BTreeSet::new(),
        }
    }

    pub fn add(&mut self, sighting: Sighting) -> Result<()> {
        self.check(sighting.record)?;
        if sighting.kind >= self.kinds.len() {
            return Err(Error::Contradiction("there is no such kind of identifier"));
        }
        self.sightings.insert(sighting);
        Ok(())
    }

    /// Takes back a sighting that was wrong; false if there was none.
    pub fn withdraw(&mut self, sighting: Sighting) -> bool {
        self.sightings.remove(&sighting)
    }

    /// Two records are probably one person. Pairs are believed in the order in which they are given.
    pub fn link(&mut self, a: u32, b: u32) -> Result<()> {
        self.check(a)?;
        self.check(b)?;
        self.pairs.push((a, b));
        Ok(())
    }

    /// Two records are two people, whatever else speaks for one; what they are linked by least firmly gives way.
    pub fn keep_apart(&mut self, a: u32, b: u32) -> Result<()> {
        self.check(a)?;
        self.check(b)?;
        if a == b {
            return Err(Error::Contradiction("a record is one person"));
        }
        self.apart.insert((a.min(b), a.max(b)));
        Ok(())
    }

    fn check(&self, record: u32) -> Result<()> {
        match record < self.n_records {
            true => Ok(()),
            false => Err(Error::Contradiction("there is no such record")),
        }
    }

    pub fn resolve(&self) -> Clusters {
        let mut people = People::new(self);
        let sightings: Vec<Sighting> = self.sightings.iter().copied().collect();
        let (mut crowded, mut refused) = (vec![], vec![]);
        for shared in sightings.chunk_by(|a, b| (a.kind, a.value) == (b.kind, b.value)) {
            let first = shared[0];
            if shared.len() > self.kinds[first.kind].most_records {
                crowded.push((first.kind, first.value));
                continue;
            }
            let others = shared[1..].iter();
            refused.extend(others.filter_map(|other| people.join(first.record, other.record)));
        }
        let pairs = self.pairs.iter();
        refused.extend(pairs.filter_map(|(a, b)| people.join(*a, *b)));
        Clusters {
            of: people.names(),
            crowded,
            refused,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    of: Vec<u32>,
    /// Identifiers, as kind and value, that too many records share.
    pub crowded: Vec<(usize, u64)>,
    /// Links that a guard refused.
    pub refused: Vec<(u32, u32)>,
}

impl Clusters {
    /// By record: the lowest record of its cluster.
    pub fn of(&self) -> &[u32] {
        &self.of
    }

    /// Records of each cluster, by its lowest.
    pub fn members(&self) -> BTreeMap<u32, Vec<u32>> {
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (record, cluster) in (0..).zip(&self.of) {
            members.entry(*cluster).or_default().push(record);
        }
        members
    }
}

/// Union-find, by the number of records. What the guards look at is kept with each root.
struct People<'a> {
    kinds: &'a [Kind],
    parents: Vec<u32>,
    sizes: Vec<u32>,
    /// Values of the kinds of which a person has a limited number.
    values: Vec<BTreeSet<(usize, u64)>>,
    /// Records that are somebody else.
    others: Vec<BTreeSet<u32>>,
}

impl<'a> People<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let n = evidence.n_records as usize;
        let mut people = Self {
            kinds: &evidence.kinds,
            parents: (0..evidence.n_records).collect(),
            sizes: vec![1; n],
            values: vec![BTreeSet::new(); n],
            others: vec![BTreeSet::new(); n],
        };
        for sighting in &evidence.sightings {
            if people.kinds[sighting.kind].most_values < usize::MAX {
                let value = (sighting.kind, sighting.value);
                people.values[sighting.record as usize].insert(value);
            }
        }
        for (a, b) in &evidence.apart {
            people.others[*a as usize].insert(*b);
            people.others[*b as usize].insert(*a);
        }
        people
    }

    fn root(&mut self, record: u32) -> u32 {
        let mut root = record;
        while self.parents[root as usize] != root {
            let above = self.parents[root as usize];
            self.parents[root as usize] = self.parents[above as usize];
            root = above;
        }
        root
    }

    /// The two records, if a guard refuses to take them for one person.
    fn join(&mut self, a: u32, b: u32) -> Option<(u32, u32)> {
        let (mut large, mut small) = (self.root(a), self.root(b));
        if large == small {
            return None;
        }
        if self.sizes[large as usize] < self.sizes[small as usize] {
            (large, small) = (small, large);
        }
        if self.are_apart(large, small) || self.has_too_many_values(large, small) {
            return Some((a, b));
        }
        self.parents[small as usize] = large;
        self.sizes[large as usize] += self.sizes[small as usize];
        let values = std::mem::take(&mut self.values[small as usize]);
        self.values[large as usize].extend(values);
        let others = std::mem::take(&mut self.others[small as usize]);
        self.others[large as usize].extend(others);
        None
    }

    fn are_apart(&mut self, large: u32, small: u32) -> bool {
        let others: Vec<u32> = self.others[small as usize].iter().copied().collect();
        others.into_iter().any(|other| self.root(other) == large)
    }

    fn has_too_many_values(&self, large: u32, small: u32) -> bool {
        let (large, small) = (&self.values[large as usize], &self.values[small as usize]);
        let new = small.difference(large).copied();
        let new: Vec<(usize, u64)> = new.collect();
        new.chunk_by(|a, b| a.0 == b.0).any(|new| {
            let kind = new[0].0;
            let n_known = large.range((kind, 0)..=(kind, u64::MAX)).count();
            n_known > 0 && n_known + new.len() > self.kinds[kind].most_values
        })
    }

    fn names(mut self) -> Vec<u32> {
        let n = self.parents.len() as u32;
        let mut lowest = vec![u32::MAX; n as usize];
        let roots: Vec<u32> = (0..n).map(|record| self.root(record)).collect();
        for (record, root) in (0..).zip(&roots) {
            let name = &mut lowest[*root as usize];
            *name = (*name).min(record);
        }
        roots.iter().map(|root| lowest[*root as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: usize = 0;
    const PHONE: usize = 1;
    const TAX: usize = 2;
    const NONE: [(u32, u32); 0] = [];

    fn evidence(n_records: u32, sightings: &[(u32, usize, u64)]) -> Evidence {
        let kind = |most_records, most_values| Kind {
            most_records,
            most_values,
        };
        let kinds = vec![kind(3, usize::MAX), kind(3, usize::MAX), kind(3, 1)];
        let mut evidence = Evidence::new(n_records, kinds);
        for sighting in sightings {
            evidence.add(of(*sighting)).expect("known");
        }
        evidence
    }

    fn of((record, kind, value): (u32, usize, u64)) -> Sighting {
        Sighting {
            kind,
            value,
            record,
        }
    }

    #[test]
    fn sameness_is_transitive() {
        let chain = [(0, MAIL, 1), (1, MAIL, 1), (1, PHONE, 9), (4, PHONE, 9)];
        let clusters = evidence(5, &chain).resolve();
        assert_eq!(clusters.of(), [0, 0, 2, 3, 0]);
        assert_eq!(clusters.members()[&0], [0, 1, 4]);
        assert_eq!(clusters.refused, NONE);
    }

    #[test]
    fn the_same_value_of_another_kind_is_another_identifier() {
        let clusters = evidence(2, &[(0, MAIL, 1), (1, PHONE, 1)]).resolve();
        assert_eq!(clusters.of(), [0, 1]);
    }

    #[test]
    fn an_identifier_of_too_many_records_links_none_of_them() {
        let shop: Vec<(u32, usize, u64)> = (0..4).map(|record| (record, PHONE, 7)).collect();
        let clusters = evidence(4, &shop).resolve();
        assert_eq!(clusters.of(), [0, 1, 2, 3]);
        assert_eq!(clusters.crowded, [(PHONE, 7)]);
        assert_eq!(evidence(4, &shop[..3]).resolve().of(), [0, 0, 0, 3]);
    }

    #[test]
    fn two_tax_numbers_are_two_people() {
        let two = [(0, MAIL, 1), (1, MAIL, 1), (0, TAX, 100), (1, TAX, 200)];
        let clusters = evidence(2, &two).resolve();
        assert_eq!(clusters.of(), [0, 1]);
        assert_eq!(clusters.refused, [(0, 1)]);
        assert_eq!(evidence(2, &two[..3]).resolve().of(), [0, 0]);
    }

    #[test]
    fn two_people_stay_two_and_the_weakest_link_gives_way() {
        let chain = [(0, MAIL, 1), (1, MAIL, 1), (1, PHONE, 9), (2, PHONE, 9)];
        let mut evidence = evidence(3, &chain);
        assert_eq!(evidence.resolve().of(), [0, 0, 0]);
        evidence.keep_apart(2, 0).expect("two records");
        let clusters = evidence.resolve();
        assert_eq!(
            (clusters.of(), &clusters.refused[..]),
            (&[0, 0, 2][..], &[(1, 2)][..])
        );
    }

    #[test]
    fn what_was_merged_by_mistake_is_unmerged() {
        let mut evidence = evidence(3, &[(0, MAIL, 1), (1, MAIL, 1), (2, MAIL, 1)]);
        assert_eq!(evidence.resolve().of(), [0, 0, 0]);
        assert!(evidence.withdraw(of((1, MAIL, 1))));
        assert!(!evidence.withdraw(of((1, MAIL, 1))));
        assert_eq!(evidence.resolve().of(), [0, 1, 0]);
    }

    #[test]
    fn pairs_known_from_elsewhere_link_too_and_are_guarded_too() {
        let mut evidence = evidence(4, &[(0, TAX, 1), (2, TAX, 2)]);
        for (a, b) in [(0, 1), (1, 2), (3, 2)] {
            evidence.link(a, b).expect("known");
        }
        let clusters = evidence.resolve();
        assert_eq!(clusters.of(), [0, 0, 2, 2]);
        assert_eq!(clusters.refused, [(1, 2)]);
    }

    #[test]
    fn the_order_of_the_sightings_does_not_matter() {
        let mut sightings: Vec<(u32, usize, u64)> = (0..300_u32)
            .map(|n| (n % 100, (n % 3) as usize, u64::from(n * 37 % 61)))
            .collect();
        let one = evidence(100, &sightings).resolve();
        sightings.reverse();
        sightings.rotate_left(17);
        assert_eq!(evidence(100, &sightings).resolve(), one);
    }

    #[test]
    fn a_chain_of_100_000_records() {
        let n = 100_000;
        let chain: Vec<(u32, usize, u64)> = (0..n)
            .flat_map(|record| {
                let value = u64::from(record);
                [(record, MAIL, value), ((record + 1) % n, MAIL, value)]
            })
            .collect();
        let clusters = evidence(n, &chain).resolve();
        assert!(clusters.of().iter().all(|cluster| *cluster == 0));
        assert!(evidence(0, &[]).resolve().of().is_empty());
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let mut evidence = evidence(2, &[]);
        assert!(evidence.add(of((2, MAIL, 1))).is_err());
        assert!(evidence.add(of((0, 3, 1))).is_err());
        assert!(evidence.link(0, 2).is_err() && evidence.keep_apart(1, 1).is_err());
    }
}
