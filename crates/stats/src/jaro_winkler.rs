//! How alike two names are: Jaro's similarity, and Winkler's, which trusts a common beginning.
//!
//! Characters match if they are equal and not further apart than half of the longer text, less one. With m matches of
//! which t, in pairs, are out of order,
//!
//!   jaro = (m/|a| + m/|b| + (m − t)/m) / 3,  jaro_winkler = jaro + 0.1 · l · (1 − jaro)
//!
//! with l the length of the common beginning, 4 at most; the addition is made for a jaro above 0.7 only. 1 is equality, 0
//! is nothing in common. Upper and lower case, accents and spaces are as they come: normalise first.
//!
//! Source: Jaro (1989), J. of the American Statistical Association 84(406); Winkler (1990), "String Comparator Metrics and
//! Enhanced Decision Rules in the Fellegi-Sunter Model of Record Linkage".

use std::collections::VecDeque;

use foldhash::HashMap;

/// Characters from where on a text is searched by its characters.
const LONG: usize = 256;
const MOST_PREFIX: usize = 4;
const PREFIX_WEIGHT: f64 = 0.1;
const BOOSTED_ABOVE: f64 = 0.7;

/// Compares texts one pair after the other without asking for memory each time.
#[derive(Clone, Debug, Default)]
pub struct Comparer {
    a: Vec<char>,
    b: Vec<char>,
    is_taken: Vec<bool>,
    matched: Vec<char>,
}

impl Comparer {
    /// Two empty texts are equal.
    pub fn jaro(&mut self, a: &str, b: &str) -> f64 {
        self.a.clear();
        self.a.extend(a.chars());
        self.b.clear();
        self.b.extend(b.chars());
        if self.a == self.b {
            return 1.0;
        }
        self.find_matches();
        let n_matches = self.matched.len() as f64;
        if n_matches == 0.0 {
            return 0.0;
        }
        let (a, b) = (self.a.len() as f64, self.b.len() as f64);
        let transposed = self.n_transposed() as f64 / 2.0;
        (n_matches / a + n_matches / b + (n_matches - transposed) / n_matches) / 3.0
    }

    pub fn jaro_winkler(&mut self, a: &str, b: &str) -> f64 {
        let jaro = self.jaro(a, b);
        if jaro <= BOOSTED_ABOVE {
            return jaro;
        }
        let equal = |(a, b): &(&char, &char)| a == b;
        let prefix = self.a.iter().zip(&self.b).take(MOST_PREFIX);
        let prefix = prefix.take_while(equal).count() as f64;
        jaro + PREFIX_WEIGHT * prefix * (1.0 - jaro)
    }

    /// Those of `a` that have a partner in `b`, in the order of `a`: the first in reach that is not taken.
    fn find_matches(&mut self) {
        match self.b.len() > LONG {
            true => self.find_matches_by_character(),
            false => self.find_matches_in_turn(),
        }
    }

    /// In time that grows with the texts, not with their product: what is before a character's reach is so for all later ones.
    fn find_matches_by_character(&mut self) {
        let reach = (self.a.len().max(self.b.len()) / 2).saturating_sub(1);
        self.matched.clear();
        self.is_taken.clear();
        self.is_taken.resize(self.b.len(), false);
        let mut places: HashMap<char, VecDeque<usize>> = HashMap::default();
        for (m, character) in self.b.iter().enumerate() {
            places.entry(*character).or_default().push_back(m);
        }
        for (n, character) in self.a.iter().enumerate() {
            let Some(places) = places.get_mut(character) else {
                continue;
            };
            while places.front().is_some_and(|m| *m < n.saturating_sub(reach)) {
                places.pop_front();
            }
            if let Some(partner) = places.pop_front_if(|m| *m < n + reach + 1) {
                self.is_taken[partner] = true;
                self.matched.push(*character);
            }
        }
    }

    fn find_matches_in_turn(&mut self) {
        let reach = (self.a.len().max(self.b.len()) / 2).saturating_sub(1);
        self.matched.clear();
        self.is_taken.clear();
        self.is_taken.resize(self.b.len(), false);
        for (n, character) in self.a.iter().enumerate() {
            let end = (n + reach + 1).min(self.b.len());
            let is_partner = |m: &usize| !self.is_taken[*m] && self.b[*m] == *character;
            if let Some(partner) = (n.saturating_sub(reach)..end).find(is_partner) {
                self.is_taken[partner] = true;
                self.matched.push(*character);
            }
        }
    }

    /// Matched characters that stand in another order in `b`.
    fn n_transposed(&self) -> usize {
        let of_b = self.b.iter().zip(&self.is_taken);
        let of_b = of_b.filter(|(_, is_taken)| **is_taken);
        self.matched
            .iter()
            .zip(of_b)
            .filter(|(a, (b, _))| a != b)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, jaro: f64, jaro_winkler: f64) {
        let mut comparer = Comparer::default();
        for (a, b) in [(a, b), (b, a)] {
            let got = (comparer.jaro(a, b), comparer.jaro_winkler(a, b));
            assert!((got.0 - jaro).abs() < 5e-4, "{a} {b}: {got:?}");
            assert!((got.1 - jaro_winkler).abs() < 5e-4, "{a} {b}: {got:?}");
        }
    }

    #[test]
    fn names_of_winkler_s_table() {
        check("MARTHA", "MARHTA", 0.944, 0.961);
        check("DWAYNE", "DUANE", 0.822, 0.840);
        check("DIXON", "DICKSONX", 0.767, 0.813);
        check("SHACKLEFORD", "SHACKELFORD", 0.970, 0.982);
        check("JERALDINE", "GERALDINE", 0.926, 0.926);
        check("JON", "JAN", 0.778, 0.800);
    }

    #[test]
    fn equal_empty_and_different_texts() {
        check("", "", 1.0, 1.0);
        check("", "anna", 0.0, 0.0);
        check("анна", "анна", 1.0, 1.0);
        check("abc", "xyz", 0.0, 0.0);
        check("a", "b", 0.0, 0.0);
    }

    #[test]
    fn long_texts_are_compared_as_short_ones() {
        let text = |step: usize, n: usize| -> String {
            let letter =
                |index: usize| char::from(b'a' + ((index * index + step * index) % 23) as u8);
            (0..n).map(letter).collect()
        };
        for (a, b) in [
            (text(1, 300), text(2, 400)),
            (text(3, 700), text(5, 257)),
            (text(1, 9), text(2, 900)),
        ] {
            let mut comparer = Comparer {
                a: a.chars().collect(),
                b: b.chars().collect(),
                ..Comparer::default()
            };
            comparer.find_matches_in_turn();
            let expected = (comparer.matched.clone(), comparer.is_taken.clone());
            comparer.find_matches_by_character();
            assert_eq!((comparer.matched, comparer.is_taken), expected);
        }
    }

    #[test]
    fn a_common_beginning_helps_the_alike_only() {
        // Jaro is 0.6: too little in common for a beginning to mean anything.
        let mut comparer = Comparer::default();
        let (a, b) = ("abxxxxxx", "abyyyyyy");
        assert_eq!(comparer.jaro(a, b), comparer.jaro_winkler(a, b));
    }
}
