//! A number of bytes, written as people write it: `8GB`, `512 MB`, `65536`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units are powers of 1,024, as in PostgreSQL's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("kB", 10), ("B", 0)];

impl Size {
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a size such as 8GB or 512MB, got {text:?}");
        let digits = text
            .trim()
            .trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.trim()[digits.len()..].to_ascii_lowercase();
        let unit = unit.trim_end_matches("ib").trim_end_matches('b');
        let shift = match unit {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err(expected()),
        };
        let number: f64 = digits.trim().parse().map_err(|_| expected())?;
        let bytes = number * (1_u64 << shift) as f64;
        if !(0.0..9e18).contains(&bytes) {
            return Err(expected());
        }
        Ok(Self(bytes as u64))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, shift) = UNITS
            .into_iter()
            .find(|(_, shift)| self.0 >= 1 << shift && self.0.trailing_zeros() >= *shift)
            .unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = <figment::value::Value as Deserialize>::deserialize(from)?;
        super::layer::text(&value)
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Half of what this process may use: of the machine's memory, or of its control group's.
pub fn half_of_memory() -> Size {
    let megabyte = 1 << 20;
    let all = [machine_memory(), group_memory()]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(8 << 30);
    Size((all / 2 / megabyte * megabyte).max(256 * megabyte))
}

fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes << 10)
}

fn group_memory() -> Option<u64> {
    let files = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    files
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("8GB", 8 << 30),
            ("8 gb", 8 << 30),
            ("512MB", 512 << 20),
            ("1GiB", 1 << 30),
            ("1.5k", 1536),
            ("65536", 65536),
            ("10B", 10),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "GB", "-1GB", "8 apples", "1e40"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_prints_in_the_largest_whole_unit() {
        for text in ["8GB", "1536MB", "100GB", "1kB", "1B", "0B"] {
            assert_eq!(
                text.parse::<Size>().map(|size| size.to_string()).as_deref(),
                Ok(text)
            );
        }
    }
}
