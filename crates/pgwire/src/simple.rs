//! The simple protocol: a text with any number of statements, answered in text.
//!
//! Several statements in one message are one transaction, unless they say otherwise; an error drops what follows.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::{Client, Stop};
use crate::execute::Rows;
use crate::lexer::{self, Piece};
use crate::statement::{Completion, Portal};

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn simple_query(&mut self, sql: &str) -> Result<(), Stop> {
        let pieces = lexer::split(sql);
        if pieces.is_empty() {
            self.put_completion(Completion::Empty);
            return Ok(());
        }
        let implicit =
            pieces.len() > 1 && !self.transaction.in_block() && !pieces.iter().any(is_at_once);
        if implicit {
            self.session().begin()?;
        }
        self.is_implicit_block = implicit;
        self.is_among_others = pieces.len() > 1;
        let done = self.simple_statements(&pieces, implicit).await;
        self.is_implicit_block = false;
        self.is_among_others = false;
        if !self.transaction.in_block() {
            self.close_portals(matches!(done, Ok(true)));
        }
        done.map(drop)
    }

    /// True if all of them took effect.
    async fn simple_statements(
        &mut self,
        pieces: &[Piece<'_>],
        implicit: bool,
    ) -> Result<bool, Stop> {
        for piece in pieces {
            let done = self.simple_statement(piece).await;
            self.registered.statement_ended();
            match done {
                Ok(()) => {}
                Err(Stop::Failure(failure)) if !failure.is_fatal() => {
                    if implicit && !self.transaction.in_block() {
                        self.roll_back_engine().await;
                    }
                    self.fail(failure.moved_by(piece.before));
                    return Ok(false);
                }
                Err(stop) => return Err(stop),
            }
            if !implicit && !self.transaction.in_block() {
                self.close_portals(true);
            }
        }
        if implicit && !self.transaction.in_block() {
            let run = self.begin_run();
            let committed = self.commit_engine(&run).await;
            self.registered.statement_ended();
            match committed {
                Err(Stop::Failure(failure)) if !failure.is_fatal() => {
                    self.fail(failure);
                    return Ok(false);
                }
                other => other?,
            }
        }
        Ok(true)
    }

    async fn simple_statement(&mut self, piece: &Piece<'_>) -> Result<(), Stop> {
        let run = self.begin_run();
        let statement = self.prepare(&run, piece, &[], false).await?;
        let mut portal = Portal::simple(statement);
        let completion = self
            .run_portal(&run, &mut portal, u64::MAX, Rows::Described)
            .await?;
        self.put_completion(completion);
        Ok(())
    }
}

/// Statements that the engine runs only on their own, outside of a transaction: they are not held up by their company.
fn is_at_once(piece: &Piece<'_>) -> bool {
    const AT_ONCE: [&str; 10] = [
        "alter", "comment", "create", "delete", "drop", "grant", "revoke", "select", "truncate",
        "update",
    ];
    let Some(first) = piece.tokens.first() else {
        return false;
    };
    AT_ONCE.iter().any(|word| first.is_word(word))
        // SELECT only when it makes a table.
        && (!first.is_word("select") || piece.tokens.iter().any(|token| token.is_word("into")))
}
