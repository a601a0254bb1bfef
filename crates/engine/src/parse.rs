//! Text to syntax trees, one statement at a time, each with its own source text.

use datafusion::sql::sqlparser::ast;

/// One statement of a client's message.
#[derive(Clone, Debug)]
pub struct Statement {
    pub ast: ast::Statement,
    /// Its own source text, without the semicolon.
    pub text: String,
}
