//! Where a user's password comes from, and how a random one is made.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use rand::RngExt;

use crate::failure::{Failure, Result};

const VARIABLE: &str = "RAPPORT_PASSWORD";
const RANDOM_LENGTH: usize = 20;
/// Without the letters and digits that are mistaken for one another; nothing that a URL or a shell would escape.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct PasswordArgs {
    /// Make up a random password and print it
    #[arg(long)]
    generate: bool,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

pub struct Password {
    pub text: String,
    /// Nobody knows it yet: it has to be printed.
    pub is_generated: bool,
}

impl PasswordArgs {
    /// In this order: `--generate`, `--password-stdin`, the variable, a question on the terminal.
    pub fn get(&self, user: &str) -> Result<Password> {
        if self.generate {
            return Ok(Password {
                text: random(),
                is_generated: true,
            });
        }
        let text = if self.password_stdin {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(|error| {
                    Failure::doing("reading the password from standard input", &error)
                })?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        } else if let Ok(text) = std::env::var(VARIABLE) {
            text
        } else if std::io::stdin().is_terminal() {
            ask(user)?
        } else {
            return Err(
                Failure::usage("there is no terminal to ask for a password on").hint(format!(
                    "use --generate, --password-stdin, or set {VARIABLE}"
                )),
            );
        };
        if text.is_empty() {
            return Err(
                Failure::usage("the password is empty").hint("use --generate for a random one")
            );
        }
        Ok(Password {
            text,
            is_generated: false,
        })
    }
}

fn ask(user: &str) -> Result<String> {
    let terminal = console::Term::stderr();
    let read = |question: &str| {
        terminal
            .write_str(question)
            .and_then(|()| terminal.read_secure_line())
            .map_err(|error| Failure::doing("asking for the password", &error))
    };
    for _ in 0..3 {
        let first = read(&format!("Password for {user}: "))?;
        if first == read("Once more: ")? {
            return Ok(first);
        }
        eprintln!("They differ; again.");
    }
    Err(Failure::new("the two passwords differed three times"))
}

/// 20 characters of 56: 116 bits.
pub fn random() -> String {
    let mut source = rand::rng();
    (0..RANDOM_LENGTH)
        .map(|_| char::from(ALPHABET[source.random_range(0..ALPHABET.len())]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_password_needs_no_escaping_and_is_never_the_same() {
        let (one, other) = (random(), random());
        assert_eq!(one.len(), RANDOM_LENGTH);
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }
}
