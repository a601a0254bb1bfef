//! `rapport functions`: the manual of the SQL functions about customers.

use std::fmt::Write;

use clap::Args;
use rapport_engine::{ManualPage, manual};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::output;

/// Show the manual of the SQL functions about customers: all of them, or those of a name
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport functions\n  rapport functions bgnbd_fit\n  rapport functions funnel\n\n\
    In psql, \\df lists them and \\df+ shows the same text."
)]
pub struct Functions {
    /// A function's name, or how names begin
    name: Option<String>,
    /// As Markdown, such as FUNCTIONS.md
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// As JSON: an array of {section, name, syntax, says, arguments, example}
    #[arg(long)]
    json: bool,
}

impl Functions {
    pub fn run(self) -> Result {
        let mut pages = manual();
        if let Some(name) = &self.name {
            let name = name.to_lowercase();
            match pages.iter().any(|page| page.name == name) {
                true => pages.retain(|page| page.name == name),
                false => pages.retain(|page| page.name.starts_with(&name)),
            }
            if pages.is_empty() {
                let failure = Failure::new(format!("there is no function {name}"));
                return Err(failure.hint("rapport functions lists them all"));
            }
        }
        if self.json {
            let list: Vec<_> = pages.iter().map(as_json).collect();
            return output::json(&list);
        }
        let text = match (self.markdown, self.name) {
            (true, _) => markdown(&pages),
            (false, Some(_)) => pages.iter().map(whole).collect::<Vec<_>>().join("\n"),
            (false, None) => list(&pages),
        };
        output::line(text.trim_end())
    }
}

fn as_json(page: &ManualPage) -> serde_json::Value {
    let arguments = page.arguments.iter();
    let arguments: Vec<_> = arguments
        .map(|(name, says)| json!({"name": name, "says": says}))
        .collect();
    json!({
        "section": page.section, "name": page.name, "syntax": page.syntax, "says": page.says,
        "arguments": arguments, "example": page.example,
    })
}

/// The first sentence of each.
fn list(pages: &[ManualPage]) -> String {
    let mut text = String::new();
    for section in pages.chunk_by(|a, b| a.section == b.section) {
        let _ = writeln!(text, "{}", section[0].section);
        for page in section {
            let first = page.says.split_inclusive(". ").next().unwrap_or_default();
            let _ = writeln!(text, "  {}\n      {}", page.syntax, first.trim_end());
        }
        text.push('\n');
    }
    text
}

fn whole(page: &ManualPage) -> String {
    let mut text = format!("{}\n\n{}\n\n", page.syntax, page.says);
    for (name, says) in &page.arguments {
        let _ = writeln!(text, "  {name}: {says}");
    }
    let _ = writeln!(text, "\n{}", page.example);
    text
}

fn markdown(pages: &[ManualPage]) -> String {
    let mut text = "# Functions about customers\n\n\
        Written by `rapport functions --markdown`, from the same text that `\\df+` shows. Aggregates that answer a row are \
        asked for its columns with `(f(…)).*`.\n"
        .to_owned();
    for section in pages.chunk_by(|a, b| a.section == b.section) {
        let _ = writeln!(text, "\n## {}", section[0].section);
        for page in section {
            let _ = writeln!(
                text,
                "\n### {}\n\n`{}`\n\n{}\n",
                page.name, page.syntax, page.says
            );
            for (name, says) in &page.arguments {
                let _ = writeln!(text, "- `{name}`: {says}");
            }
            let _ = writeln!(text, "\n```sql\n{}\n```", page.example);
        }
    }
    text
}
