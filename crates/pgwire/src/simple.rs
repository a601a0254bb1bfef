//! The simple protocol: a text with any number of statements, answered in text.
//!
//! Several statements in one message are one transaction, unless they say otherwise; an error drops what follows.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::command::{self, Command};
use crate::connection::{Client, Stop};
use crate::execute::Rows;
use crate::lexer::{self, Piece};
use crate::sqlstate::Failure;
use crate::statement::{Completion, Portal};
use crate::transaction::State;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn simple_query(&mut self, sql: &str) -> Result<(), Stop> {
        self.is_piped = false;
        self.registered.asks(sql);
        let cut;
        let mut pieces = lexer::split(sql);
        if let Some(sql) = self.cut_names(sql, &pieces) {
            cut = sql;
            pieces = lexer::split(&cut);
        }
        let done = match pieces.is_empty() {
            true => {
                self.put_completion(Completion::Empty);
                Ok(())
            }
            false => self.simple_statements(&pieces).await,
        };
        self.registered.statement_ended();
        match done {
            Ok(()) => {}
            Err(Stop::Failure(failure)) if !failure.is_fatal() => return self.fail(failure).await,
            Err(stop) => return Err(stop),
        }
        if !self.transaction.is_begun() {
            self.close_portals(true);
        }
        Ok(())
    }

    async fn simple_statements(&mut self, pieces: &[Piece<'_>]) -> Result<(), Stop> {
        let are_several = pieces.len() > 1;
        if are_several {
            self.check_syntax(pieces).await?;
        }
        for (n, piece) in pieces.iter().enumerate() {
            if are_several && !self.transaction.in_block() {
                self.begin(State::Several)?;
                self.begin_engine()?;
            }
            let is_last = n + 1 == pieces.len();
            let done = self.simple_statement(piece, is_last).await;
            self.registered.statement_ended();
            done.map_err(|stop| stop.moved_by(piece.before))?;
        }
        Ok(())
    }

    async fn simple_statement(&mut self, piece: &Piece<'_>, is_last: bool) -> Result<(), Stop> {
        let run = self.begin_run();
        let statement = self.prepare(&run, piece, &[], false).await?;
        let mut portal = Portal::simple(statement);
        let completion = self
            .run_portal(&run, &mut portal, u64::MAX, Rows::Described)
            .await?;
        // What the message did is there before it is told.
        if is_last && !self.transaction.in_block() {
            self.take_effect(&run).await?;
        }
        self.put_completion(completion);
        Ok(())
    }

    /// PostgreSQL reads the whole message before it does anything of it: an error of syntax far behind is the first.
    pub async fn check_syntax(&mut self, pieces: &[Piece<'_>]) -> Result<(), Stop> {
        let run = self.begin_run();
        let mut queries = Vec::new();
        for piece in pieces {
            match query_of(piece) {
                Ok(Some((before, sql))) => queries.push((before, sql, None)),
                Ok(None) => {}
                Err(failure) if failure.code() == "42601" => {
                    queries.push((piece.before, String::new(), Some(failure)));
                    break;
                }
                // It is said in its turn.
                Err(_) => {}
            }
        }
        let texts: Vec<String> = queries.iter().map(|(_, sql, _)| sql.clone()).collect();
        let are_known = self
            .with_session(&run, move |session| {
                let is_known = |sql: &String| {
                    !matches!(
                        session.parse(sql),
                        Err(rapport_engine::Error::Syntax { .. })
                    )
                };
                let are_known: Vec<bool> = texts.iter().map(is_known).collect();
                Box::pin(async move { Ok(are_known) })
            })
            .await?;
        for ((before, sql, failure), is_known) in queries.into_iter().zip(are_known) {
            let failure = match (failure, is_known) {
                (Some(failure), _) => failure,
                (None, true) => continue,
                // PostgreSQL may know it.
                (None, false) => match self.judge_statement(&run, sql, vec![]).await {
                    Err(Stop::Failure(failure)) if failure.code() == "42601" => failure,
                    Ok(_) | Err(Stop::Failure(_)) => continue,
                    Err(stop) => return Err(stop),
                },
            };
            return Err(failure.moved_by(before).into());
        }
        Ok(())
    }
}

/// What of a statement the parsers have to know, and how many characters of the message stand before it.
fn query_of(piece: &Piece<'_>) -> Result<Option<(usize, String)>, Failure> {
    if let Some(read) = rapport_models::Statement::read(piece.text) {
        return read.map(|_| None).map_err(Failure::from);
    }
    Ok(match command::read(piece)? {
        None => Some((piece.before, piece.text.to_owned())),
        Some(Command::Declare { query, .. } | Command::Prepare { query, .. }) => {
            let before = &piece.text[..piece.text.len() - query.len()];
            Some((piece.before + before.chars().count(), query))
        }
        Some(_) => None,
    })
}
