//! Who has had what, and how much of it: what recommendations are made from.
//!
//! Customers and items are numbered from 0. What a customer has had several times is one entry with the sum of the strengths
//! (purchases, minutes, views); an entry of strength 0 is none. Held by customer, sorted by item: 12 bytes an entry.

use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub struct Interactions {
    /// Of each customer the first entry, and the end.
    starts: Vec<usize>,
    items: Vec<u32>,
    strengths: Vec<f64>,
    n_items: usize,
}

impl Interactions {
    /// Of (customer, item, strength) in any order.
    pub fn new(n_customers: usize, n_items: usize, entries: &[(u32, u32, f64)]) -> Result<Self> {
        for (customer, item, strength) in entries {
            number("customer", *customer, n_customers)?;
            number("item", *item, n_items)?;
            crate::error::not_negative("strength", *strength)?;
        }
        let mut starts = vec![0; n_customers + 1];
        for (customer, ..) in entries {
            starts[*customer as usize + 1] += 1;
        }
        for customer in 0..n_customers {
            starts[customer + 1] += starts[customer];
        }
        let mut next = starts.clone();
        let mut sorted = vec![(0, 0.0); entries.len()];
        for (customer, item, strength) in entries {
            let at = &mut next[*customer as usize];
            sorted[*at] = (*item, *strength);
            *at += 1;
        }
        let mut all = Self {
            starts: vec![0],
            items: Vec::with_capacity(entries.len()),
            strengths: Vec::with_capacity(entries.len()),
            n_items,
        };
        for customer in 0..n_customers {
            all.push(&mut sorted[starts[customer]..starts[customer + 1]]);
        }
        Ok(all)
    }

    /// The next customer.
    fn push(&mut self, entries: &mut [(u32, f64)]) {
        entries.sort_by_key(|(item, _)| *item);
        for same in entries.chunk_by(|a, b| a.0 == b.0) {
            let strength = same.iter().map(|(_, strength)| strength).sum::<f64>();
            if strength > 0.0 {
                self.items.push(same[0].0);
                self.strengths.push(strength);
            }
        }
        self.starts.push(self.items.len());
    }

    pub fn n_customers(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Pairs of a customer and an item that met.
    pub fn n_entries(&self) -> usize {
        self.items.len()
    }

    /// What a customer has had, sorted.
    pub fn items(&self, customer: usize) -> &[u32] {
        &self.items[self.starts[customer]..self.starts[customer + 1]]
    }

    /// Of [`Self::items`].
    pub fn strengths(&self, customer: usize) -> &[f64] {
        &self.strengths[self.starts[customer]..self.starts[customer + 1]]
    }

    /// How many customers have had each item.
    pub fn popularity(&self) -> Vec<u32> {
        let mut counts = vec![0; self.n_items];
        for item in &self.items {
            counts[*item as usize] += 1;
        }
        counts
    }

    /// Items in the place of customers: who has had what, by item.
    pub fn by_item(&self) -> Self {
        let mut starts = vec![0; self.n_items + 1];
        for item in &self.items {
            starts[*item as usize + 1] += 1;
        }
        for item in 0..self.n_items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let (mut items, mut strengths) = (vec![0; self.items.len()], vec![0.0; self.items.len()]);
        for customer in 0..self.n_customers() {
            for (item, strength) in self.items(customer).iter().zip(self.strengths(customer)) {
                let at = &mut next[*item as usize];
                items[*at] = customer as u32;
                strengths[*at] = *strength;
                *at += 1;
            }
        }
        Self {
            starts,
            items,
            strengths,
            n_items: self.n_customers(),
        }
    }
}

fn number(name: &'static str, value: u32, n: usize) -> Result<()> {
    if (value as usize) < n {
        return Ok(());
    }
    Err(Error::Range {
        name,
        range: "a number below how many there are",
        value: f64::from(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_customers() -> Interactions {
        let entries = [
            (2, 1, 1.0),
            (0, 3, 2.0),
            (0, 1, 1.0),
            (0, 3, 0.5),
            (2, 0, 0.0),
        ];
        Interactions::new(3, 4, &entries).expect("possible")
    }

    #[test]
    fn entries_are_sorted_and_added_up() {
        let got = three_customers();
        assert_eq!(
            (got.n_customers(), got.n_items(), got.n_entries()),
            (3, 4, 3)
        );
        assert_eq!(got.items(0), [1, 3]);
        assert_eq!(got.strengths(0), [1.0, 2.5]);
        assert_eq!(got.items(1), [0; 0]);
        assert_eq!(got.items(2), [1]);
        assert_eq!(got.popularity(), [0, 2, 0, 1]);
    }

    #[test]
    fn turned_twice_it_is_the_same() {
        let got = three_customers();
        assert_eq!(got.by_item().items(1), [0, 2]);
        assert_eq!(got.by_item().n_customers(), 4);
        assert_eq!(got.by_item().by_item(), got);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Interactions::new(1, 1, &[(1, 0, 1.0)]).is_err());
        assert!(Interactions::new(1, 1, &[(0, 1, 1.0)]).is_err());
        assert!(Interactions::new(1, 1, &[(0, 0, -1.0)]).is_err());
        assert!(Interactions::new(1, 1, &[(0, 0, f64::NAN)]).is_err());
        assert_eq!(
            Interactions::new(0, 0, &[]).expect("nothing").n_entries(),
            0
        );
    }
}
