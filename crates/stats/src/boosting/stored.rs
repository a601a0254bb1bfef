//! Trees kept as JSON and read back.
//!
//! A text may come from anywhere. Trees that a walk would not come out of, or would fall off, are refused.

use forust_ml::tree::Tree;

use super::Boosted;
use crate::{Error, Result};

/// Far deeper than trees are grown, and no danger to the stack.
const MOST_DEPTH: usize = 64;

impl Boosted {
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Stored(error.to_string()))
    }

    pub fn from_json(json: &str) -> Result<Self> {
        let read: Self =
            serde_json::from_str(json).map_err(|error| Error::Stored(error.to_string()))?;
        match read.is_sound() {
            true => Ok(read),
            false => Err(Error::Stored("these trees lead nowhere".to_owned())),
        }
    }

    fn is_sound(&self) -> bool {
        let n_numbers = self.encoding.n_numbers();
        let n_used = self.trees.prediction_iteration.unwrap_or(0);
        n_used <= self.trees.trees.len()
            && self
                .trees
                .trees
                .iter()
                .all(|tree| is_sound(tree, n_numbers))
    }
}

/// Every branch leads further down, within bounds.
fn is_sound(tree: &Tree, n_numbers: usize) -> bool {
    let nodes = &tree.nodes;
    let mut depths = vec![0; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        if node.is_leaf {
            continue;
        }
        let is_deep = depths[at] >= MOST_DEPTH;
        if is_deep || node.split_feature >= n_numbers {
            return false;
        }
        for child in [node.left_child, node.right_child, node.missing_node] {
            if child <= at || child >= nodes.len() {
                return false;
            }
            depths[child] = depths[child].max(depths[at] + 1);
        }
    }
    !nodes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boosting::Boosting;
    use crate::learner::{Column, Goal, Learner, Table};

    fn fitted() -> Boosted {
        let ages: Vec<f64> = (0..200).map(|n| f64::from(n % 50)).collect();
        let labels: Vec<f64> = ages
            .iter()
            .map(|age| f64::from(u8::from(*age < 20.0)))
            .collect();
        let table = Table::new(vec![Column::Numbers(ages)]).expect("a table");
        let boosted = Boosting::new(Goal::Probability).fit(&table, &labels, &[1.0; 200], &|| false);
        boosted.expect("fitted")
    }

    #[test]
    fn trees_that_lead_back_or_nowhere_are_refused() {
        let refused = |spoil: fn(&mut Tree)| {
            let mut boosted = fitted();
            spoil(&mut boosted.trees.trees[0]);
            let json = boosted.to_json().expect("written");
            assert!(matches!(Boosted::from_json(&json), Err(Error::Stored(_))));
        };
        refused(|tree| tree.nodes[0].left_child = 0);
        refused(|tree| tree.nodes[0].right_child = 1_000);
        refused(|tree| tree.nodes[0].missing_node = 0);
        refused(|tree| tree.nodes[0].split_feature = 1);
        refused(|tree| tree.nodes.clear());
    }
}
