//! Remove files that no readable version needs.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    pub files: usize,
    pub bytes: u64,
}
