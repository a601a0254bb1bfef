//! Runs the statements about the session itself: transactions, settings, prepared statements, cursors.

use std::sync::Arc;

use rapport_catalog_postgres::Request;
use rapport_engine::{TransactionStatus, oid};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::command::{Command, ISOLATIONS, Modes, Step};
use crate::connection::{Client, Run, Stop};
use crate::copy::out::raw_fields;
use crate::execute::Rows;
use crate::lexer;
use crate::settings::{self, REPORTED, SessionSettings};
use crate::sqlstate::{self, Failure};
use crate::statement::{
    ColumnInfo, Completion, Forms, Kind, Portal, Progress, Source, Statement, Values, describe,
};
use crate::transaction::State;
use crate::value;
use rapport_udf_postgres::Reading;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// `forms` and `rows` are for the few commands that answer with rows.
    pub async fn run_command(
        &mut self,
        run: &Run,
        command: &Command,
        forms: &Forms,
        rows: Rows,
    ) -> Result<Completion, Stop> {
        match command {
            Command::Begin { tag, modes } => {
                if self.transaction.in_block() {
                    self.warn("25001", "there is already a transaction in progress");
                    self.transaction.change(*modes)?;
                } else {
                    self.begin_block(*modes)?;
                }
                Ok(tagged(tag))
            }
            Command::Commit { chain } => self.commit(run, *chain).await,
            Command::Rollback { chain } => {
                let modes = self.transaction.modes();
                if !self.transaction.in_block() {
                    self.refuse_chain(*chain, "ROLLBACK AND CHAIN")?;
                    self.warn("25P01", "there is no transaction in progress");
                }
                self.roll_back().await?;
                if *chain {
                    self.begin_block(modes)?;
                }
                Ok(tagged("ROLLBACK"))
            }
            Command::Savepoint(name) => {
                self.need_block("SAVEPOINT")?;
                self.transaction
                    .savepoint(name.clone(), &self.settings, self.portals_made);
                self.session().save();
                Ok(tagged("SAVEPOINT"))
            }
            Command::Release(name) => {
                self.need_block("RELEASE SAVEPOINT")?;
                let at = self.transaction.release(name);
                let at = at.ok_or_else(|| no_savepoint(name))?;
                self.session().release(at);
                Ok(tagged("RELEASE"))
            }
            Command::RollbackTo(name) => {
                self.need_block("ROLLBACK TO SAVEPOINT")?;
                let (at, before, portals) = self
                    .transaction
                    .roll_back_to(name)
                    .ok_or_else(|| no_savepoint(name))?;
                self.session().roll_back_to(at);
                self.portals.retain(|_, portal| portal.number <= portals);
                self.restore_settings(before)?;
                Ok(tagged("ROLLBACK"))
            }
            Command::SetTransaction(modes) => {
                self.warn_outside("SET TRANSACTION");
                self.transaction.change(*modes)?;
                Ok(tagged("SET"))
            }
            Command::SetCharacteristics(modes) => {
                if let Some(read_only) = modes.read_only {
                    let name = "default_transaction_read_only";
                    self.change_setting(run, name, Some(on_or_off(read_only)), false)
                        .await?;
                }
                if let Some(level) = modes.isolation {
                    self.change_setting(run, "default_transaction_isolation", Some(level), false)
                        .await?;
                }
                if let Some(deferrable) = modes.deferrable {
                    let name = "default_transaction_deferrable";
                    self.change_setting(run, name, Some(on_or_off(deferrable)), false)
                        .await?;
                }
                Ok(tagged("SET"))
            }
            Command::SetConstraints => {
                self.warn_outside("SET CONSTRAINTS");
                Ok(tagged("SET CONSTRAINTS"))
            }
            Command::Set { name, value, local } => {
                if *local {
                    self.warn_outside("SET LOCAL");
                }
                self.change_setting(run, name, value.as_deref(), *local)
                    .await?;
                Ok(tagged("SET"))
            }
            Command::Show(name) => {
                let value = self.shown(run, name).await?;
                self.put_value(name, value, forms, rows)?;
                Ok(one_row("SHOW"))
            }
            Command::Reset(name) => {
                self.change_setting(run, name, None, false).await?;
                Ok(tagged("RESET"))
            }
            Command::ResetAll => {
                self.reset_all()?;
                Ok(tagged("RESET"))
            }
            Command::Discard { tag, all } => {
                if *all {
                    self.must_stand_alone("DISCARD ALL")?;
                }
                if *tag == "DISCARD TEMP" || *all {
                    self.session().discard_temporary();
                }
                if *all {
                    self.portals.clear();
                    self.statements.clear();
                    self.reset_all()?;
                }
                Ok(tagged(tag))
            }
            Command::Deallocate(None) => {
                self.statements.retain(|name, _| name.is_empty());
                Ok(tagged("DEALLOCATE ALL"))
            }
            Command::Deallocate(Some(name)) => {
                self.statement(name)?;
                self.statements.remove(name);
                Ok(tagged("DEALLOCATE"))
            }
            Command::Close(None) => {
                self.portals.retain(|_, portal| portal.cursor.is_none());
                Ok(tagged("CLOSE CURSOR ALL"))
            }
            Command::Close(Some(name)) => match self.portals.remove(name) {
                Some(_) => Ok(tagged("CLOSE CURSOR")),
                None => Err(no_cursor(name).into()),
            },
            Command::Nothing { tag } => Ok(tagged(tag)),
            Command::Maintain { tag, tables } => self.maintain(run, tag, tables).await,
            Command::Declare { .. } => {
                Err(Failure::internal("internal error: DECLARE was not prepared").into())
            }
            Command::Fetch {
                name,
                step,
                is_move,
            } => {
                let rows = if *is_move { Rows::Skipped } else { rows };
                self.fetch_cursor(run, name, *step, forms, rows).await
            }
            Command::Prepare {
                name,
                types,
                query,
                before,
                text,
            } => {
                let types = self.type_oids(run, types).await?;
                let statement = self
                    .prepare_text(run, query, &types)
                    .await
                    .map_err(|stop| stop.moved_by(*before))?;
                if !is_preparable(&statement) {
                    return Err(Failure::new(
                        "42601",
                        "only queries and changes of rows can be prepared",
                    )
                    .into());
                }
                self.keep_statement(name.clone(), statement, Source::new(text, true))?;
                Ok(tagged("PREPARE"))
            }
            Command::Execute { .. } => {
                let Some((statement, values)) = self.resolve_execute(run, command).await? else {
                    return Err(
                        Failure::internal("internal error: EXECUTE was not resolved").into(),
                    );
                };
                let mut portal = Portal::new(statement, values, forms.clone());
                self.run_portal(run, &mut portal, u64::MAX, rows).await
            }
        }
    }

    /// What a command answers with, if it answers with rows.
    pub fn columns_of_command(
        &self,
        command: &Command,
    ) -> Result<Option<Vec<ColumnInfo>>, Failure> {
        Ok(match command {
            Command::Show(name) => Some(vec![ColumnInfo::new(name, oid::TEXT)]),
            Command::Fetch {
                name,
                is_move: false,
                ..
            } => self.columns_of_portal(name),
            Command::Execute { name, .. } => self.columns_of_statement(name)?,
            _ => None,
        })
    }

    /// There are always statistics, and files are folded by somebody who may remove what is old; what is asked for here
    /// only has to be there.
    async fn maintain(
        &mut self,
        run: &Run,
        tag: &'static str,
        tables: &[String],
    ) -> Result<Completion, Stop> {
        if tag == "VACUUM" {
            self.must_stand_alone("VACUUM")?;
        }
        if tag == "VACUUM" && tables.is_empty() {
            return Err(
                Failure::not_supported("VACUUM of all tables is not supported")
                    .with_hint("`rapport compact --vacuum` folds small files and removes old ones.")
                    .into(),
            );
        }
        let columns: Vec<String> = tables
            .iter()
            .map(|table| {
                let table = table.replace('\'', "''");
                format!("'{table}'::pg_catalog.regclass::pg_catalog.text")
            })
            .collect();
        if !columns.is_empty() {
            self.texts(run, &columns).await?;
        }
        if tag == "VACUUM" {
            self.wire
                .put(sqlstate::engine_notice(&rapport_engine::Notice {
                    severity: "NOTICE",
                    code: "00000".into(),
                    message: "there is nothing to vacuum here".into(),
                    detail: None,
                    hint: Some(
                        "`rapport compact --vacuum` folds small files and removes old ones.".into(),
                    ),
                }));
        }
        Ok(tagged(tag))
    }

    /// Whether what runs now may only read.
    pub fn is_read_only(&self) -> bool {
        match self.transaction.is_begun() {
            true => self.transaction.read_only,
            false => self.settings.get("default_transaction_read_only") == Some("on"),
        }
    }

    pub fn warn(&mut self, code: &str, message: &str) {
        if self.settings.shows("WARNING") {
            self.wire.put(sqlstate::warning(code, message));
        }
    }

    /// Warns of what has no effect outside of a block.
    fn warn_outside(&mut self, what: &str) {
        if !self.transaction.is_block() {
            let message = format!("{what} can only be used in transaction blocks");
            self.warn("25P01", &message);
        }
    }

    /// 25001 for what commits by itself, and is asked for beside something else.
    pub fn must_stand_alone(&self, what: &str) -> Result<(), Failure> {
        let message = match (self.transaction.is_block(), self.is_piped) {
            (true, _) => format!("{what} cannot run inside a transaction block"),
            (false, true) => format!("{what} cannot be executed within a pipeline"),
            (false, false) => return Ok(()),
        };
        Err(Failure::new("25001", message))
    }

    /// A block of the client's own. It takes up what stands before it in the same message.
    fn begin_block(&mut self, modes: Modes) -> Result<(), Stop> {
        self.begin(State::Open)?;
        if let Err(failure) = self.transaction.change(modes) {
            // It did not begin.
            self.transaction.go_on_as(State::Several);
            return Err(failure.into());
        }
        self.begin_engine()
    }

    /// What is done from now on takes effect together, if it does not already.
    pub fn begin(&mut self, state: State) -> Result<(), Failure> {
        if self.transaction.is_begun() {
            self.transaction.go_on_as(state);
            return Ok(());
        }
        let default = |name: &str| self.settings.get(name);
        let modes = Modes {
            read_only: default("default_transaction_read_only").map(|value| value == "on"),
            isolation: default("default_transaction_isolation")
                .and_then(|level| ISOLATIONS.into_iter().find(|known| *known == level)),
            deferrable: default("default_transaction_deferrable").map(|value| value == "on"),
        };
        self.transaction.begin(state, modes, &self.settings);
        Ok(())
    }

    /// The engine's part of it.
    pub fn begin_engine(&mut self) -> Result<(), Stop> {
        if self.session().transaction() == TransactionStatus::Idle {
            self.session().begin()?;
        }
        Ok(())
    }

    fn refuse_chain(&self, chain: bool, what: &str) -> Result<(), Failure> {
        match chain {
            true => Err(only_in_blocks(what)),
            false => Ok(()),
        }
    }

    async fn commit(&mut self, run: &Run, chain: bool) -> Result<Completion, Stop> {
        match self.transaction.state() {
            State::Idle | State::Several | State::Series => {
                self.refuse_chain(chain, "COMMIT AND CHAIN")?;
                self.warn("25P01", "there is no transaction in progress");
                self.take_effect(run).await?;
                Ok(tagged("COMMIT"))
            }
            State::Failed => {
                let modes = self.transaction.modes();
                self.roll_back().await?;
                if chain {
                    self.begin_block(modes)?;
                }
                Ok(tagged("ROLLBACK"))
            }
            State::Open => {
                let modes = self.transaction.modes();
                self.take_effect(run).await?;
                if chain {
                    self.begin_block(modes)?;
                }
                Ok(tagged("COMMIT"))
            }
        }
    }

    /// Ends the transaction, if there is one: all of it is there now, or, after an error, nothing.
    pub async fn take_effect(&mut self, run: &Run) -> Result<(), Stop> {
        if !self.transaction.is_begun() {
            return Ok(());
        }
        let committed = match self.session().transaction() {
            TransactionStatus::Idle => Ok(()),
            TransactionStatus::InBlock => {
                self.with_session(run, |session| Box::pin(session.commit()))
                    .await
            }
        };
        if committed.is_err() {
            let before = self.transaction.end();
            self.restore_settings(before)?;
            self.close_portals(false);
            return committed;
        }
        self.transaction.end();
        self.close_portals(true);
        let reported = self.reported();
        self.settings.end_local();
        self.settings_changed(reported)
    }

    /// Ends the transaction, if there is one, and takes back what was done in it.
    pub async fn roll_back(&mut self) -> Result<(), Stop> {
        if self.transaction.is_begun() {
            self.session().rollback().await;
            let before = self.transaction.end();
            self.restore_settings(before)?;
        }
        self.close_portals(false);
        Ok(())
    }

    fn need_block(&self, what: &str) -> Result<(), Failure> {
        match self.transaction.in_block() {
            true => Ok(()),
            false => Err(only_in_blocks(what)),
        }
    }

    /// PostgreSQL judges the name and the value; `None` is the default. Answers the value in PostgreSQL's own form.
    pub async fn change_setting(
        &mut self,
        run: &Run,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> Result<Option<String>, Stop> {
        let lower = name.to_lowercase();
        match lower.as_str() {
            "role" | "session_authorization" => {
                // To oneself, or back to oneself, nothing changes.
                let is_own = value.is_none_or(|value| {
                    value == self.role || (lower == "role" && value.eq_ignore_ascii_case("none"))
                });
                if is_own {
                    return Ok(None);
                }
            }
            "transaction_read_only" => {
                let read_only = value.and_then(crate::parse::bool).unwrap_or(false);
                self.transaction.change(Modes {
                    read_only: Some(read_only),
                    ..Modes::default()
                })?;
                return Ok(None);
            }
            "transaction_isolation" => {
                let default = self.settings.get("default_transaction_isolation");
                let level = value.or(default).unwrap_or_default().to_lowercase();
                match ISOLATIONS.into_iter().find(|known| *known == level) {
                    Some(level) => self.transaction.change(Modes {
                        isolation: Some(level),
                        ..Modes::default()
                    })?,
                    // PostgreSQL says what is wrong with it.
                    None => drop(self.judge(run, name, value).await?),
                }
                return Ok(None);
            }
            "transaction_deferrable" => {
                self.transaction.change(Modes {
                    deferrable: value.and_then(crate::parse::bool).or(Some(false)),
                    ..Modes::default()
                })?;
                return Ok(None);
            }
            _ => {}
        }
        let judged = match value {
            Some(value) => {
                settings::check(name, value).or_else(|failure| match lower.as_str() {
                    // These are judged in the form PostgreSQL makes of them.
                    "timezone" => Ok(()),
                    _ => Err(failure),
                })?;
                Some(match settings::known_value(name, value)? {
                    Some(value) => value,
                    None => self.judge(run, name, Some(value)).await?,
                })
            }
            // What has been set before has been judged before.
            None if self.settings.get(name).is_some() => None,
            None => {
                self.judge(run, name, None).await?;
                None
            }
        };
        if let Some(value) = &judged {
            settings::check(name, value)?;
        }
        // The end of the statement would take it back.
        if local && !self.transaction.is_begun() {
            return Ok(judged);
        }
        let reported = self.reported();
        match &judged {
            Some(value) => self.settings.set(name, value.clone(), local),
            None => self.settings.reset(name, local),
        }
        self.settings_changed(reported)?;
        Ok(judged)
    }

    async fn judge(&mut self, run: &Run, name: &str, value: Option<&str>) -> Result<String, Stop> {
        let catalogue = self.shared.catalogue.clone();
        let role = self.role.clone();
        let all = self.settings.relayed();
        let judged = async move { catalogue.judge_setting(&role, &all, name, value).await };
        Ok(self.guard(run, judged).await??)
    }

    fn reset_all(&mut self) -> Result<(), Stop> {
        let reported = self.reported();
        self.settings.reset_all();
        self.settings_changed(reported)
    }

    fn restore_settings(&mut self, before: SessionSettings) -> Result<(), Stop> {
        let reported = self.reported();
        self.settings = before;
        self.settings_changed(reported)
    }

    fn reported(&self) -> Vec<Option<String>> {
        REPORTED
            .iter()
            .map(|name| self.settings.get(name).map(str::to_owned))
            .collect()
    }

    /// Tells the engine, and the client what it has to be told.
    fn settings_changed(&mut self, before: Vec<Option<String>>) -> Result<(), Stop> {
        self.apply_settings()?;
        for (name, before) in REPORTED.iter().zip(before) {
            if self.settings.get(name) != before.as_deref() {
                self.report(name);
            }
        }
        Ok(())
    }

    async fn shown(&mut self, run: &Run, name: &str) -> Result<String, Stop> {
        Ok(match name {
            "transaction_read_only" => on_or_off(self.is_read_only()).into(),
            "transaction_deferrable" => {
                let deferrable = self.transaction.modes().deferrable;
                let default = || self.settings.get("default_transaction_deferrable") == Some("on");
                on_or_off(deferrable.unwrap_or_else(default)).into()
            }
            "transaction_isolation" => self
                .transaction
                .modes()
                .isolation
                .or_else(|| self.settings.get("default_transaction_isolation"))
                .unwrap_or("read committed")
                .into(),
            "lc_collate" | "lc_ctype" => {
                let column = name.replace("lc_", "dat");
                let of_database = format!(
                    "(SELECT {column} FROM pg_catalog.pg_database \
                     WHERE datname = pg_catalog.current_database())"
                );
                self.texts(run, &[of_database]).await?.concat()
            }
            "seed" => "unavailable".to_owned(),
            "client_encoding" => self.settings.get(name).unwrap_or("UTF8").to_owned(),
            _ => {
                let value = self.settings.get(name).unwrap_or("0").to_owned();
                self.judge(run, name, Some(&value)).await?
            }
        })
    }

    /// One row of one text, which is the same in both forms.
    fn put_value(
        &mut self,
        column: &str,
        value: String,
        forms: &Forms,
        rows: Rows,
    ) -> Result<(), Failure> {
        if rows == Rows::Described {
            self.wire
                .put(describe(Some(&[ColumnInfo::new(column, oid::TEXT)]), forms));
        }
        let mut body = 1u16.to_be_bytes().to_vec();
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
        self.put_raw_row(&body, &[true])
    }

    /// A statement inside another one.
    pub async fn prepare_text(
        &mut self,
        run: &Run,
        sql: &str,
        types: &[u32],
    ) -> Result<Arc<Statement>, Stop> {
        match lexer::split(sql).as_slice() {
            [piece] => Box::pin(self.prepare(run, piece, types, true)).await,
            _ => Err(Failure::new("42601", "syntax error at end of input").into()),
        }
    }

    /// Starts a cursor: what it sees is what there is now.
    pub async fn declare(
        &mut self,
        run: &Run,
        name: &str,
        mut portal: Portal,
    ) -> Result<Completion, Stop> {
        if !self.transaction.is_block() && portal.cursor.is_some_and(|cursor| !cursor.hold) {
            return Err(only_in_blocks("DECLARE CURSOR").into());
        }
        let statement = portal.statement.clone();
        let is_query = match &statement.kind {
            Kind::Engine(prepared) => prepared.columns.is_some(),
            Kind::Catalogue { fields, .. } => fields.is_some(),
            Kind::Empty | Kind::Command(_) | Kind::CatalogueCopy { .. } | Kind::Declare { .. } => {
                false
            }
            Kind::Model(asked) => asked.tag() == "SELECT",
        };
        if !is_query {
            return Err(Failure::new("42601", "a cursor can only be declared for a query").into());
        }
        self.refuse_portal(name)?;
        match &statement.kind {
            Kind::Engine(prepared) => drop(self.ask_engine(run, &mut portal, prepared).await?),
            Kind::Model(asked) => self.ask_models(run, &mut portal, asked).await?,
            _ => {}
        }
        self.keep_portal(name.to_owned(), portal)?;
        Ok(tagged("DECLARE CURSOR"))
    }

    async fn fetch_cursor(
        &mut self,
        run: &Run,
        name: &str,
        step: Step,
        forms: &Forms,
        rows: Rows,
    ) -> Result<Completion, Stop> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
        let done = self.step(run, &mut portal, step, forms, rows).await;
        // After an error there is nothing left to fetch.
        if done.is_ok() {
            self.portals.insert(name.to_owned(), portal);
        }
        let fetched = done?;
        let verb = match rows {
            Rows::Skipped => "MOVE",
            Rows::Plain | Rows::Described => "FETCH",
        };
        Ok(Completion::Complete {
            tag: format!("{verb} {fetched}"),
            rows: fetched,
        })
    }

    async fn step(
        &mut self,
        run: &Run,
        portal: &mut Portal,
        step: Step,
        forms: &Forms,
        rows: Rows,
    ) -> Result<u64, Stop> {
        let backward = || match portal.cursor {
            Some(cursor) if !cursor.goes_forward => {
                Failure::not_supported("fetching backward or the same row again is not supported")
                    .with_hint("FETCH goes forward only; declare the cursor anew to begin again.")
            }
            _ => Failure::new("55000", "cursor can only scan forward")
                .with_hint("Declare it with SCROLL option to enable backward scan."),
        };
        let is_on_row = portal.position > 0 && !portal.is_at_end;
        let (skipped, wanted) = match step {
            Step::All => (0, u64::MAX),
            Step::Rows(0) if is_on_row && rows == Rows::Skipped => return Ok(1),
            Step::Rows(0) if is_on_row => return Err(backward().into()),
            Step::Rows(rows) => (0, rows),
            Step::Over(rows) => (rows - 1, 1),
            Step::To(0) if portal.position == 0 => (0, 0),
            Step::To(row) if row > portal.position => (row - 1 - portal.position, 1),
            Step::To(_) | Step::Backward => return Err(backward().into()),
        };
        let forms = match portal.cursor {
            Some(cursor) if cursor.is_binary && rows == Rows::Described => Forms::binary(),
            _ => forms.clone(),
        };
        // PostgreSQL's own rows come in the form that they were first asked for.
        let is_fixed = matches!(portal.progress, Progress::Answered { .. });
        if is_fixed && portal.forms != forms {
            return Err(Failure::not_supported(
                "rows of this cursor can't be fetched in another format than before",
            )
            .with_hint("Fetch all of them as text, or all in binary.")
            .into());
        }
        portal.forms = forms;
        if rows == Rows::Described
            && let Some(columns) = self.columns_of(&portal.statement)?
        {
            self.wire.put(describe(Some(&columns), &portal.forms));
        }
        if skipped > 0 {
            self.run_portal(run, portal, skipped, Rows::Skipped).await?;
        }
        let rows = match rows {
            Rows::Described => Rows::Plain,
            other => other,
        };
        match wanted {
            0 => Ok(0),
            _ => Ok(self.run_portal(run, portal, wanted, rows).await?.rows()),
        }
    }

    /// The statement that an EXECUTE names, and the values of its arguments, which PostgreSQL computes.
    pub async fn resolve_execute(
        &mut self,
        run: &Run,
        command: &Command,
    ) -> Result<Option<(Arc<Statement>, Values)>, Stop> {
        let Command::Execute { name, arguments } = command else {
            return Ok(None);
        };
        let statement = self.statement(name)?;
        let values = self.given(run, name, arguments, &statement.params).await?;
        let values = match &statement.kind {
            Kind::Engine(_) => {
                let reading = self.reading();
                let scalars = values
                    .iter()
                    .zip(&statement.params)
                    .map(|(value, type_oid)| match value {
                        None => value::null_parameter(*type_oid),
                        Some(text) => value::parameter(*type_oid, false, text, reading),
                    })
                    .collect::<Result<_, _>>()?;
                Values::Scalars(scalars)
            }
            _ => Values::Raw {
                values,
                formats: Vec::new(),
            },
        };
        Ok(Some((statement, values)))
    }

    /// What EXECUTE gives to the parameters of the statement `name`, as texts.
    async fn given(
        &mut self,
        run: &Run,
        name: &str,
        arguments: &[String],
        types: &[u32],
    ) -> Result<Vec<Option<bytes::Bytes>>, Stop> {
        // Then PostgreSQL does not look at what is given.
        if types.is_empty() {
            return Ok(Vec::new());
        }
        if arguments.len() != types.len() {
            return Err(Failure::new(
                "42601",
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .with_detail(format!(
                "Expected {} parameters but got {}.",
                types.len(),
                arguments.len()
            ))
            .into());
        }
        let is_query = |argument: &String| {
            let tokens = lexer::tokens(argument);
            tokens.iter().any(|token| token.is_word("select"))
        };
        if arguments.iter().any(is_query) {
            let message = "cannot use subquery in EXECUTE parameter";
            return Err(Failure::not_supported(message).into());
        }
        self.computed(run, arguments, types).await
    }

    /// The same as literals.
    pub async fn literals(
        &mut self,
        run: &Run,
        name: &str,
        arguments: &[String],
        types: &[u32],
    ) -> Result<Vec<String>, Stop> {
        let values = self.given(run, name, arguments, types).await?;
        self.as_literals(run, &values, types).await
    }

    /// Texts of values of the types.
    pub async fn as_literals(
        &mut self,
        run: &Run,
        values: &[Option<bytes::Bytes>],
        types: &[u32],
    ) -> Result<Vec<String>, Stop> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.type_names(run, types).await?;
        let literals = values.iter().zip(names).map(|(value, name)| match value {
            None => format!("CAST(NULL AS {name})"),
            Some(text) => {
                let text = String::from_utf8_lossy(text).replace('\'', "''");
                format!("CAST('{text}' AS {name})")
            }
        });
        Ok(literals.collect())
    }

    /// How texts of dates and times are read: `now` is when the transaction began.
    pub fn reading(&mut self) -> Reading {
        let began = self.session().began();
        let now = began.unwrap_or_else(|| chrono::Utc::now().timestamp_micros());
        self.settings.reading(now)
    }

    /// Expressions to texts of the wanted types.
    async fn computed(
        &mut self,
        run: &Run,
        expressions: &[String],
        types: &[u32],
    ) -> Result<Vec<Option<bytes::Bytes>>, Stop> {
        let names = self.type_names(run, types).await?;
        let columns: Vec<String> = expressions
            .iter()
            .zip(names)
            .map(|(expression, name)| format!("CAST(({expression}) AS {name})"))
            .collect();
        let reply = self
            .relay(
                run,
                Request::Simple(format!("SELECT {}", columns.join(", "))),
            )
            .await?;
        let row = reply.rows.first().cloned().unwrap_or_default();
        Ok(raw_fields(&row)
            .into_iter()
            .map(|field| field.map(|field| row.slice_ref(field)))
            .collect())
    }

    async fn type_names(&mut self, run: &Run, types: &[u32]) -> Result<Vec<String>, Stop> {
        let columns: Vec<String> = types
            .iter()
            .map(|oid| match oid {
                // `character` alone is one of a single character.
                1042 => "'bpchar'".to_owned(),
                1014 => "'bpchar[]'".to_owned(),
                oid => format!("pg_catalog.format_type({oid}, NULL)"),
            })
            .collect();
        self.texts(run, &columns).await
    }

    async fn type_oids(&mut self, run: &Run, names: &[String]) -> Result<Vec<u32>, Stop> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let columns: Vec<String> = names
            .iter()
            .map(|name| {
                format!(
                    "('{}'::pg_catalog.regtype)::pg_catalog.oid",
                    name.replace('\'', "''")
                )
            })
            .collect();
        let texts = self.texts(run, &columns).await?;
        Ok(texts.iter().map(|text| text.parse().unwrap_or(0)).collect())
    }

    async fn texts(&mut self, run: &Run, columns: &[String]) -> Result<Vec<String>, Stop> {
        let reply = self
            .relay(
                run,
                Request::Simple(format!("SELECT {}", columns.join(", "))),
            )
            .await?;
        let row = reply.rows.first().cloned().unwrap_or_default();
        Ok(raw_fields(&row)
            .into_iter()
            .map(|field| String::from_utf8_lossy(field.unwrap_or_default()).into_owned())
            .collect())
    }
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn tagged(tag: &str) -> Completion {
    Completion::Complete {
        tag: tag.to_owned(),
        rows: 0,
    }
}

fn one_row(tag: &str) -> Completion {
    Completion::Complete {
        tag: tag.to_owned(),
        rows: 1,
    }
}

fn only_in_blocks(what: &str) -> Failure {
    Failure::new(
        "25P01",
        format!("{what} can only be used in transaction blocks"),
    )
}

fn no_savepoint(name: &str) -> Failure {
    Failure::new("3B001", format!("savepoint \"{name}\" does not exist"))
}

fn no_cursor(name: &str) -> Failure {
    Failure::new("34000", format!("cursor \"{name}\" does not exist"))
}

fn is_preparable(statement: &Statement) -> bool {
    matches!(
        statement.kind,
        Kind::Engine(_) | Kind::Catalogue { .. } | Kind::Model(_)
    )
}
