//! A statement's text to a [`Statement`]: whose it is, what parameters it takes, what it answers.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use rapport_catalog_postgres::{Reply, Request};
use rapport_engine::Prepared;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::calls::{self, Call};
use crate::command::{self, Command};
use crate::connection::{Client, Run, Stop};
use crate::lexer::{self, Piece};
use crate::models;
use crate::route::{Whose, whose};
use crate::sqlstate::Failure;
use crate::statement::{Kind, Statement};
use crate::transaction::State;

/// What the engine made of a text.
enum Planned {
    Engine(Box<Prepared>),
    Catalogue,
    /// The session has a part in it.
    Both {
        sql: String,
        calls: Vec<Call>,
    },
    CatalogueCopy {
        query: String,
        format: rapport_engine::CopyFormat,
    },
    /// The engine understands it and finds it wrong, where PostgreSQL may say so in its own words.
    Wrong {
        error: rapport_engine::Error,
        judge: Judge,
    },
    /// The engine's parser does not know it.
    Unknown(rapport_engine::Error),
    /// It is the engine's, and PostgreSQL is to be asked before for the types of its parameters, and whether it is
    /// ambiguous.
    Open,
}

/// In the place of an EXECUTE within another statement that we cannot read.
const OF_EXECUTE: &str = "Run the EXECUTE alone, or write its query in its place.";

/// What PostgreSQL, asked about a statement that the engine finds wrong, decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    /// Nothing: it is not asked.
    Nothing,
    /// The words, if it finds it wrong too.
    Words,
    /// Whether it is wrong at all.
    All,
}

impl Judge {
    fn of(statement: &ast::Statement) -> Self {
        use ast::Statement as S;
        match statement {
            // PostgreSQL can't read what is asked of a relation that stands among the arguments.
            other if rapport_engine::calls_table_function(other) => Judge::Nothing,
            S::Query(_) => Judge::All,
            S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_) | S::Explain { .. } => {
                Judge::Words
            }
            _ => Judge::Nothing,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// `types` are those that the client declared, 0 for any. With `describe` the answer's columns are found out for
    /// the catalogue's statements too.
    pub async fn prepare(
        &mut self,
        run: &Run,
        piece: &Piece<'_>,
        types: &[u32],
        describe: bool,
    ) -> Result<Arc<Statement>, Stop> {
        // Before SHOW is taken for a setting's.
        if let Some(statement) = rapport_models::Statement::read(piece.text) {
            self.check_block(None)?;
            return Ok(Arc::new(models::prepared(statement?, types)));
        }
        let command = command::read(piece)?;
        if let Err(failure) = self.check_block(command.as_ref()) {
            // What can't be read is said first.
            self.check_syntax(&lexer::split(piece.text)).await?;
            return Err(failure.into());
        }
        if let Some(Command::Declare {
            name,
            hold,
            is_binary,
            goes_forward,
            query,
        }) = command
        {
            let before = piece.text[..piece.text.len() - query.len()].chars().count();
            let query = self
                .prepare_text(run, &query, types)
                .await
                .map_err(|stop| stop.moved_by(before))?;
            return Ok(Arc::new(Statement {
                params: query.params.clone(),
                kind: Kind::Declare {
                    name,
                    hold,
                    is_binary,
                    goes_forward,
                    query,
                    text: piece.text.to_owned(),
                },
            }));
        }
        if let Some(command) = command {
            return Ok(Arc::new(Statement {
                kind: Kind::Command(command),
                params: Vec::new(),
            }));
        }
        if let Some(at) = inner_execute(piece) {
            let sql = self.with_inner_statement(run, piece, at).await?;
            return self.prepare_text(run, &sql, types).await;
        }
        let sql = piece.text.to_owned();
        let is_open = describe && leaves_types_open(piece, types);
        let mut planned = self
            .plan(run, sql.clone(), types.to_vec(), Some(is_open))
            .await?;
        let mut told = types.to_vec();
        if let Planned::Open = planned {
            told = self.types_of_parameters(run, sql.clone(), types).await?;
            planned = self.plan(run, sql.clone(), told.clone(), None).await?;
        }
        match planned {
            Planned::Engine(prepared) => {
                let params = match prepared.params.is_empty() && stores_query(piece) {
                    true => told,
                    false => prepared.params.clone(),
                };
                Ok(Arc::new(Statement {
                    kind: Kind::Engine(prepared),
                    params,
                }))
            }
            Planned::Catalogue => {
                self.catalogue_statement(run, sql, types, describe, Vec::new())
                    .await
            }
            Planned::Both { sql, calls } => {
                self.catalogue_statement(run, sql, types, describe, calls)
                    .await
            }
            Planned::CatalogueCopy { query, format } => Ok(Arc::new(Statement {
                kind: Kind::CatalogueCopy { query, format },
                params: Vec::new(),
            })),
            Planned::Unknown(error) => {
                // PostgreSQL may know it; if it does not either, the syntax error is PostgreSQL's own.
                let (reply, reads_lake) = self
                    .judge_statement(run, sql.clone(), types.to_vec())
                    .await?;
                if reads_lake {
                    let failure = Failure::from(error);
                    let message = format!("Rapport can't read this query: {}", failure.message());
                    return Err(failure
                        .told_as("0A000", message)
                        .with_hint("PostgreSQL can; say it in other words.")
                        .into());
                }
                Ok(Arc::new(Statement {
                    kind: Kind::Catalogue {
                        sql,
                        fields: reply.fields,
                        calls: Vec::new(),
                    },
                    params: reply.param_types,
                }))
            }
            Planned::Wrong { error, judge } => Err(self
                .in_postgresql_s_words(run, sql, types, error, judge)
                .await),
            Planned::Open => Err(Failure::internal("internal error: asked for types twice").into()),
        }
    }

    /// What PostgreSQL, which has the same tables, makes of the parameters that the client leaves open. Where it can't
    /// read the statement, the engine finds out by itself.
    async fn types_of_parameters(
        &mut self,
        run: &Run,
        sql: String,
        types: &[u32],
    ) -> Result<Vec<u32>, Stop> {
        let request = Request::DescribeAny {
            sql,
            param_types: types.to_vec(),
        };
        // Nothing tells what they are, or several things do; or which column or database is meant.
        let is_last_word = |theirs: &Failure| {
            matches!(theirs.code(), "42P08" | "42P18" | "42702")
                || theirs.message().starts_with("cross-database")
        };
        match self.relay(run, request).await {
            Ok(reply) => Ok(reply.param_types),
            Err(Stop::Failure(theirs)) if is_last_word(&theirs) => Err(theirs.into()),
            Err(Stop::Failure(_)) => Ok(types.to_vec()),
            Err(stop) => Err(stop),
        }
    }

    /// Nobody who answers EXPLAIN or CREATE TABLE knows what an EXECUTE names: the statement itself, with the values that
    /// are given to it.
    async fn with_inner_statement(
        &mut self,
        run: &Run,
        piece: &Piece<'_>,
        at: usize,
    ) -> Result<String, Stop> {
        let (before, execute) = piece.text.split_at(piece.tokens[at].start);
        let command = match lexer::split(execute).as_slice() {
            [inner] => command::read(inner)?,
            _ => None,
        };
        let Some(Command::Execute { name, arguments }) = command else {
            return Err(
                Failure::not_supported("this form of EXECUTE is not supported")
                    .with_hint(OF_EXECUTE)
                    .into(),
            );
        };
        let statement = self.statement(&name)?;
        let text = match &statement.kind {
            Kind::Engine(prepared) => &prepared.statement.text,
            Kind::Catalogue { sql, .. } => sql,
            _ => {
                let message = "EXECUTE of this statement within another one is not supported";
                return Err(Failure::not_supported(message).with_hint(OF_EXECUTE).into());
            }
        };
        let values = self
            .literals(run, &name, &arguments, &statement.params)
            .await?;
        Ok(format!("{before}{}", with_values(text, &values)))
    }

    pub async fn judge_statement(
        &mut self,
        run: &Run,
        sql: String,
        types: Vec<u32>,
    ) -> Result<(Reply, bool), Stop> {
        let catalogue = self.shared.catalogue.clone();
        let role = self.role.clone();
        let settings = self.settings.relayed();
        let judged = async move { catalogue.judge(&role, &settings, sql, types).await };
        Ok(self.guard(run, judged).await??)
    }

    /// 25P02 in a failed block, unless the command ends it.
    pub fn check_block(&self, command: Option<&Command>) -> Result<(), Failure> {
        use Command::{Commit, Rollback, RollbackTo};
        let ends_block = matches!(
            command,
            Some(Commit { .. } | Rollback { .. } | RollbackTo(_))
        );
        if self.transaction.state() == State::Failed && !ends_block {
            let message =
                "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Failure::new("25P02", message));
        }
        Ok(())
    }

    /// With `is_open` it is the first time: a statement of the engine whose types are open, or which is doubtful, is not
    /// planned yet.
    async fn plan(
        &mut self,
        run: &Run,
        sql: String,
        types: Vec<u32>,
        is_open: Option<bool>,
    ) -> Result<Planned, Stop> {
        let shared = self.shared.clone();
        let system = self.guard(run, shared.catalogue.system_names()).await??;
        let pid = self.registered.pid;
        self.with_session(run, move |session| {
            Box::pin(async move {
                let statement = match session.parse(&sql) {
                    Ok(statements) => match <[_; 1]>::try_from(statements) {
                        Ok([statement]) => statement,
                        // We split the text ourselves; a parser that sees it otherwise is not to be trusted with it.
                        Err(_) => return Ok(Planned::Catalogue),
                    },
                    Err(error @ rapport_engine::Error::Syntax { .. }) => {
                        return Ok(Planned::Unknown(error));
                    }
                    Err(error) => return Err(error),
                };
                let is_engine_s = |name: &str| shared.warehouse.knows_function(name);
                if whose(&statement.ast, &system, &is_engine_s) == Whose::Catalogue {
                    if let Some((sql, calls)) = calls::take(&statement.ast, pid) {
                        return Ok(Planned::Both { sql, calls });
                    }
                    return match &statement.ast {
                        ast::Statement::Copy {
                            source: ast::CopySource::Query(query),
                            ..
                        } => Ok(Planned::CatalogueCopy {
                            query: query.to_string(),
                            format: rapport_engine::copy_format(&statement)?,
                        }),
                        _ => Ok(Planned::Catalogue),
                    };
                }
                if let Some(error) = rapport_engine::foreign(&statement) {
                    let judge = Judge::All;
                    return Ok(Planned::Wrong { error, judge });
                }
                let doubts = |is_open| is_open || rapport_engine::is_doubtful(&statement);
                if is_open.is_some_and(doubts) {
                    return Ok(Planned::Open);
                }
                let judge = Judge::of(&statement.ast);
                let types: Vec<Option<u32>> = types
                    .into_iter()
                    .map(|oid| Some(oid).filter(|oid| *oid != 0))
                    .collect();
                match session.prepare(&statement, &types).await {
                    Ok(prepared) => Ok(Planned::Engine(Box::new(prepared))),
                    Err(error) => Ok(Planned::Wrong { error, judge }),
                }
            })
        })
        .await
    }

    async fn catalogue_statement(
        &mut self,
        run: &Run,
        sql: String,
        types: &[u32],
        describe: bool,
        calls: Vec<Call>,
    ) -> Result<Arc<Statement>, Stop> {
        let (params, fields) = match describe {
            true => {
                let request = Request::Describe {
                    sql: self.with_own_views(&sql),
                    param_types: types.to_vec(),
                };
                let reply = self.relay(run, request).await?;
                (reply.param_types, reply.fields)
            }
            false => (Vec::new(), None),
        };
        Ok(Arc::new(Statement {
            kind: Kind::Catalogue { sql, fields, calls },
            params,
        }))
    }

    /// The engine's error about a query over the lake; where PostgreSQL, which knows the same tables, finds it wrong as
    /// well, its words are the ones clients know, with the place in the text and the hint.
    async fn in_postgresql_s_words(
        &mut self,
        run: &Run,
        sql: String,
        types: &[u32],
        error: rapport_engine::Error,
        judge: Judge,
    ) -> Stop {
        let ours = Failure::from(error);
        let is_about_meaning = ours.code().starts_with("42") && ours.code() != "42501";
        if judge == Judge::Nothing || !is_about_meaning {
            return ours.into();
        }
        let request = Request::DescribeAny {
            sql,
            param_types: types.to_vec(),
        };
        // What Rapport alone can read is wrong syntax to PostgreSQL.
        let is_wrong = |theirs: &Failure| {
            let is_syntax = theirs.code() == "42601";
            match ours.code() {
                "42601" => theirs.code().starts_with("42") || theirs.code() == "0A000",
                _ => theirs.code().starts_with("42") && !is_syntax,
            }
        };
        match self.relay(run, request).await {
            Err(Stop::Failure(theirs)) if is_wrong(&theirs) => theirs.into(),
            Err(stop @ (Stop::Gone(_) | Stop::Shutdown)) => stop,
            Ok(_) if judge == Judge::Words => ours.into(),
            // It would find that when it computes.
            Ok(_) if ours.message().starts_with("could not identify") => ours.into(),
            Ok(_) if ours.code() == "42883" => {
                // It is there, but not where the rows are.
                let what = ours.message().split(". ").next().unwrap_or_default();
                Failure::not_supported(format!("{what} over the lake's tables"))
                    .with_hint(
                        "PostgreSQL's functions that Rapport lacks can be called without a table.",
                    )
                    .into()
            }
            // Of models PostgreSQL knows nothing.
            Ok(_) if ours.message().starts_with("model \"") => ours.into(),
            // What PostgreSQL takes is not wrong.
            Ok(_) => Failure::not_supported(ours.message())
                .with_hint("PostgreSQL can answer this; say it in other words.")
                .into(),
            _ => ours.into(),
        }
    }
}

/// Whether it has a parameter for which the client declares no type.
fn leaves_types_open(piece: &Piece<'_>, types: &[u32]) -> bool {
    let mut numbers = piece.tokens.iter().filter_map(|token| {
        let text = &piece.text[token.start..token.end];
        text.strip_prefix('$')?.parse::<usize>().ok()
    });
    numbers.any(|number| {
        let declared = number.checked_sub(1).and_then(|at| types.get(at));
        declared.is_none_or(|oid| *oid == 0)
    })
}

/// Where the EXECUTE begins that EXPLAIN or CREATE TABLE … AS is given.
fn inner_execute(piece: &Piece<'_>) -> Option<usize> {
    let tokens = &piece.tokens;
    let is = |n: usize, word: &str| tokens.get(n).is_some_and(|token| token.is_word(word));
    let at = if is(0, "explain") {
        match tokens.get(1)?.is_sign('(') {
            true => 1 + tokens.iter().position(|token| token.is_sign(')'))?,
            false => (1..tokens.len()).find(|n| !is(*n, "analyze") && !is(*n, "verbose"))?,
        }
    } else if is(0, "create") {
        1 + (1..tokens.len()).find(|n| is(*n, "as"))?
    } else {
        return None;
    };
    is(at, "execute").then_some(at)
}

/// CREATE TABLE … AS or SELECT … INTO, with parameters, as far as the words tell; of others the engine knows the parameters.
fn stores_query(piece: &Piece<'_>) -> bool {
    let has_parameter = leaves_types_open(piece, &[]);
    let is = |n: usize, word: &str| piece.tokens.get(n).is_some_and(|token| token.is_word(word));
    let makes_table = is(0, "create") && (1..4).any(|n| is(n, "table"));
    has_parameter && (makes_table || is(0, "select") || is(0, "with"))
}

/// The text with values in the place of its parameters.
pub fn with_values(text: &str, values: &[String]) -> String {
    let mut given = String::new();
    let mut end = 0;
    for token in lexer::tokens(text) {
        let parameter = text[token.start..token.end].strip_prefix('$');
        let number = parameter.and_then(|number| number.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        if let Some(value) = value {
            given.push_str(&text[end..token.start]);
            given.push_str(value);
            end = token.end;
        }
    }
    given.push_str(&text[end..]);
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: Option<usize>) {
        let pieces = lexer::split(sql);
        assert_eq!(inner_execute(&pieces[0]), expected, "{sql}");
    }

    #[test]
    fn execute_is_found_where_a_statement_stands() {
        check("explain execute p", Some(1));
        check("EXPLAIN ANALYZE VERBOSE EXECUTE p(1)", Some(3));
        check("explain (costs off, analyze) execute p", Some(7));
        check("create table t (a) as execute p(1)", Some(7));
        check("explain select f(1) execute", None);
        check("create table t as select 1 as execute", None);
        check("execute p", None);
    }

    #[test]
    fn values_take_the_places_of_parameters() {
        let values = [
            "CAST('1' AS int4)".to_owned(),
            "CAST(NULL AS text)".to_owned(),
        ];
        assert_eq!(
            with_values("select $2, '$1', a + $1 from t -- $1", &values),
            "select CAST(NULL AS text), '$1', a + CAST('1' AS int4) from t -- $1"
        );
    }

    #[test]
    fn types_are_open_unless_all_are_declared() {
        let check = |sql: &str, types: &[u32], expected: bool| {
            assert_eq!(
                leaves_types_open(&lexer::split(sql)[0], types),
                expected,
                "{sql}"
            );
        };
        check("select $1, $2", &[23], true);
        check("select $1, $2", &[23, 0], true);
        check("select $1, $2", &[23, 25], false);
        check("select '$1', $$ $2 $$", &[], false);
    }
}
