//! The peers, each in a Python of the benches' own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::{folder, median, root, timed};

pub struct Peers(Option<PathBuf>);

/// Milliseconds, and what came out.
pub struct Told {
    pub took: f64,
    pub answer: String,
}

impl Peers {
    /// Installs them if need be. Without them we are measured alone.
    pub fn find() -> Result<Self> {
        let place = folder()?.join("env");
        let wanted = root().join("benches/requirements.txt");
        let stamp = place.join("requirements.installed");
        if fs::read(&stamp).ok() != Some(fs::read(&wanted)?) {
            let install = || -> Result<()> {
                let mut make = Command::new("python3");
                make.args(["-m", "venv"]).arg(&place);
                timed(make)?;
                let mut pip = Command::new(place.join("bin/pip"));
                pip.args(["install", "-q", "--disable-pip-version-check", "-r"])
                    .arg(&wanted);
                timed(pip)?;
                fs::copy(&wanted, &stamp)?;
                Ok(())
            };
            if let Err(error) = install() {
                println!("the peers are skipped, they could not be installed: {error:#}\n");
                return Ok(Self(None));
            }
        }
        Ok(Self(Some(place.join("bin/python"))))
    }

    /// `None` of one that is not there, or fails, which it says.
    pub fn ask(&self, question: &str, size: usize, data: &Path) -> Result<Option<Told>> {
        let Some(python) = &self.0 else {
            return Ok(None);
        };
        let mut command = Command::new(python);
        command
            .args(["-W", "ignore"])
            .arg(root().join("benches/models/peers.py"))
            .arg(question)
            .arg(size.to_string())
            .arg(data);
        let said = match timed(command) {
            Ok((said, _)) => said,
            Err(error) => {
                let error = format!("{error:#}");
                let last = error.lines().rfind(|line| !line.trim().is_empty());
                eprintln!("{question} of {size}: {}", last.unwrap_or_default());
                return Ok(None);
            }
        };
        let last = said.lines().last().context("a peer answers")?;
        let told: serde_json::Value = serde_json::from_str(last)?;
        let times = told["times"].as_array().context("times")?;
        Ok(Some(Told {
            took: median(times.iter().filter_map(serde_json::Value::as_f64).collect()),
            answer: told["answer"].as_str().context("an answer")?.to_owned(),
        }))
    }
}
