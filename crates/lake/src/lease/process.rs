//! Which process of which machine holds a lease, so that its death is noticed before its silence.

use std::fs;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Process {
    pub host: String,
    pub pid: u32,
    /// What only Linux tells: without it a process is never known to be gone.
    place: Option<Place>,
}

/// Where a process id means something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    boot: String,
    namespace: String,
    /// Clock ticks from boot to the start of the process: its id may be given again.
    started: u64,
}

/// The machine's name, as far as the system tells.
pub fn host() -> String {
    line("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown".into())
}

impl Process {
    pub(super) fn this() -> Self {
        let pid = std::process::id();
        Self {
            host: host(),
            pid,
            place: place(pid),
        }
    }

    /// True only if that is certain: the process was one of this machine, and is not there any more.
    pub(super) fn is_gone(&self) -> bool {
        let (Some(place), Some(here)) = (&self.place, Self::this().place) else {
            return false;
        };
        let is_here = place.boot == here.boot && place.namespace == here.namespace;
        is_here && started(self.pid) != Some(place.started)
    }
}

fn place(pid: u32) -> Option<Place> {
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(Place {
        boot: line("/proc/sys/kernel/random/boot_id")?,
        namespace: namespace.display().to_string(),
        started: started(pid)?,
    })
}

/// `None` if there is no such process, or only what is left of it until its parent asks.
fn started(pid: u32) -> Option<u64> {
    let stat = line(&format!("/proc/{pid}/stat"))?;
    // The name in parentheses before these may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let is_over = matches!(*fields.first()?, "Z" | "X");
    (!is_over).then(|| fields.get(19)?.parse().ok()).flatten()
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn of(pid: u32) -> Process {
        Process {
            pid,
            place: place(pid),
            ..Process::this()
        }
    }

    #[test]
    fn this_process_is_there() {
        assert!(!Process::this().is_gone());
    }

    #[test]
    fn a_process_that_has_ended_is_gone_before_and_after_its_parent_asks() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .expect("a process");
        let process = of(child.id());
        assert!(!process.is_gone());
        child.kill().expect("our own child");
        while started(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert!(process.is_gone());
        child.wait().expect("our own child");
        assert!(process.is_gone());
    }

    #[test]
    fn another_process_with_the_same_id_is_not_the_same() {
        let mut process = Process::this();
        process.place.as_mut().expect("Linux").started += 1;
        assert!(process.is_gone());
    }

    #[test]
    fn a_process_elsewhere_is_not_known_to_be_gone() {
        for change in [
            |place: &mut Place| place.boot.push('x'),
            |place: &mut Place| place.namespace.push('x'),
        ] {
            let mut process = Process::this();
            let place = process.place.as_mut().expect("Linux");
            place.started += 1;
            change(place);
            assert!(!process.is_gone());
        }
    }
}
