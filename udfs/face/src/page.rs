//! What the manual says of a function: the same text that `\df+` shows.

use datafusion_doc::{DocSection, Documentation};

use crate::argument::Argument;

#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Heading under which the function stands.
    pub section: &'static str,
    /// What it answers, in which unit, when it is NULL, and what it refuses.
    pub says: &'static str,
    /// A statement that can be run.
    pub example: &'static str,
}

impl Page {
    pub(crate) fn documentation(&self, name: &str, arguments: &[Argument]) -> Documentation {
        let section = DocSection {
            include: true,
            label: self.section,
            description: None,
        };
        let builder = Documentation::builder(section, self.says, syntax(name, arguments))
            .with_sql_example(format!("```sql\n{}\n```", self.example));
        let add = |builder: datafusion_doc::DocumentationBuilder, argument: &Argument| {
            builder.with_argument(argument.name, argument.says)
        };
        arguments.iter().fold(builder, add).build()
    }
}

/// Such as `name(a, b [, weight])`.
fn syntax(name: &str, arguments: &[Argument]) -> String {
    let mut text = format!("{name}(");
    for (index, argument) in arguments.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        match argument.is_optional {
            true => text += &format!(" [{comma}{}]", argument.name),
            false => text += &format!("{comma}{}", argument.name),
        }
        if argument.kind.is_features() {
            text += " [, …]";
        }
    }
    text + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_is_in_brackets() {
        let arguments = [
            Argument::number("repeats", ""),
            Argument::number("age", ""),
            Argument::number("weight", "").optional(),
        ];
        assert_eq!(syntax("f", &arguments), "f(repeats, age [, weight])");
        let arguments = [Argument::flag("label", ""), Argument::features("x", "")];
        assert_eq!(syntax("f", &arguments), "f(label, x [, …])");
    }
}
