//! The extended protocol: Parse, Bind, Describe, Execute, Close, each on its own.

use std::sync::Arc;

use pgwire::messages::data::ParameterDescription;
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::charset::Charset;
use crate::connection::{Client, Run, Stop};
use crate::execute::{Rows, change, portal_columns};
use crate::lexer;
use crate::prepare::with_values;
use crate::rows::Form;
use crate::sqlstate::Failure;
use crate::statement::{
    ColumnInfo, Forms, Kind, Named, Portal, Progress, Source, Statement, Values, describe,
};
use crate::transaction::State;
use crate::{models, types, value};

/// Statements and portals that one session may keep.
const MAX_KEPT: usize = 10_000;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn extended(&mut self, message: PgWireFrontendMessage) -> Result<(), Stop> {
        match message {
            PgWireFrontendMessage::Parse(parse) => self.parse(parse).await,
            PgWireFrontendMessage::Bind(bind) => self.bind(bind).await,
            PgWireFrontendMessage::Describe(describe) => self.describe(describe),
            PgWireFrontendMessage::Execute(execute) => self.execute(execute).await,
            PgWireFrontendMessage::Close(close) => self.close(close),
            other => Err(Failure::fatal("08P01", format!("unexpected message {other:?}")).into()),
        }
    }

    /// The end of a series of messages, and of a transaction that nobody began.
    pub async fn sync(&mut self) -> Result<(), Stop> {
        self.is_piped = false;
        if self.transaction.in_block() {
            return Ok(());
        }
        let run = self.begin_run();
        let done = self.take_effect(&run).await;
        match done {
            Ok(()) => self.close_portals(true),
            Err(Stop::Failure(failure)) if !failure.is_fatal() => self.fail(failure).await?,
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    /// Several executions up to Sync are one transaction. What stands alone needs none, and does not conflict with what
    /// others do meanwhile.
    async fn join_series(&mut self, run: &Run, statement: &Statement) -> Result<(), Stop> {
        if self.transaction.in_block() {
            return Ok(());
        }
        let (is_change, is_setting) = match &statement.kind {
            Kind::Engine(prepared) => (change(&prepared.statement).is_some(), false),
            Kind::Command(_) => (false, true),
            Kind::Catalogue { calls, .. } => (false, !calls.is_empty()),
            Kind::Empty | Kind::Declare { .. } | Kind::Model(_) | Kind::CatalogueCopy { .. } => {
                (false, false)
            }
        };
        if !is_change && !is_setting {
            return Ok(());
        }
        // A client that copies waits for a word before it goes on.
        let is_copy = matches!(&statement.kind, Kind::Engine(prepared) if prepared.is_copy());
        if !self.transaction.is_begun() {
            let may_stand_alone = !is_copy && (is_change || !self.is_piped);
            if may_stand_alone && self.is_last_guarded(run).await? {
                return Ok(());
            }
        }
        let is_late = self.is_piped && !self.transaction.is_begun();
        self.begin(State::Series)?;
        if is_late {
            self.transaction.note_query();
        }
        match is_change {
            true => self.begin_engine(),
            false => Ok(()),
        }
    }

    async fn parse(&mut self, parse: Parse) -> Result<(), Stop> {
        let name = parse.name.unwrap_or_default();
        self.registered.asks(&parse.query);
        let cut;
        let mut pieces = lexer::split(&parse.query);
        if let Some(sql) = self.cut_names(&parse.query, &pieces) {
            cut = sql;
            pieces = lexer::split(&cut);
        }
        let run = self.begin_run();
        let statement = match pieces.as_slice() {
            [] => Arc::new(Statement {
                kind: Kind::Empty,
                params: Vec::new(),
            }),
            [piece] => {
                let before = piece.before;
                self.prepare(&run, piece, &parse.type_oids, true)
                    .await
                    .map_err(|stop| stop.moved_by(before))?
            }
            _ => {
                return Err(Failure::new(
                    "42601",
                    "cannot insert multiple commands into a prepared statement",
                )
                .into());
            }
        };
        self.keep_statement(name, statement, Source::new(&parse.query, false))?;
        self.wire
            .put(PgWireBackendMessage::ParseComplete(ParseComplete::new()));
        Ok(())
    }

    /// The unnamed statement is replaced, a named one is not.
    pub fn keep_statement(
        &mut self,
        name: String,
        statement: Arc<Statement>,
        source: Source,
    ) -> Result<(), Failure> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(Failure::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.statements.len() >= MAX_KEPT {
            return Err(Failure::new("53400", "too many prepared statements")
                .with_hint("Close those that are not needed any more."));
        }
        self.statements.insert(name, Named { statement, source });
        Ok(())
    }

    pub fn statement(&self, name: &str) -> Result<Arc<Statement>, Failure> {
        let named = self.statements.get(name);
        named.map(|named| named.statement.clone()).ok_or_else(|| {
            Failure::new(
                "26000",
                match name {
                    "" => "unnamed prepared statement does not exist".to_owned(),
                    name => format!("prepared statement \"{name}\" does not exist"),
                },
            )
        })
    }

    pub fn keep_portal(&mut self, name: String, mut portal: Portal) -> Result<(), Failure> {
        if !name.is_empty() {
            self.refuse_portal(&name)?;
        }
        if self.portals.len() >= MAX_KEPT {
            return Err(Failure::new("53400", "too many portals")
                .with_hint("Close those that are not needed any more."));
        }
        self.portals_made += 1;
        portal.number = self.portals_made;
        self.portals.insert(name, portal);
        Ok(())
    }

    /// 42P03 if there is one of the name.
    pub fn refuse_portal(&self, name: &str) -> Result<(), Failure> {
        match self.portals.contains_key(name) {
            true => Err(Failure::new(
                "42P03",
                format!("cursor \"{name}\" already exists"),
            )),
            false => Ok(()),
        }
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let statement_name = bind.statement_name.unwrap_or_default();
        let mut statement = self.statement(&statement_name)?;
        if let Some(named) = self.statements.get(&statement_name) {
            self.registered.asks(&named.source.text);
        }
        let given = bind.parameters.len();
        let wanted = statement.params.len();
        if given != wanted {
            return Err(Failure::protocol(format!(
                "bind message supplies {given} parameters, but prepared statement \"{statement_name}\" requires {wanted}"
            ))
            .into());
        }
        if bind.parameter_format_codes.len() > 1 && bind.parameter_format_codes.len() != given {
            return Err(Failure::protocol(format!(
                "bind message has {} parameter formats but {given} parameters",
                bind.parameter_format_codes.len()
            ))
            .into());
        }
        let forms = Forms::read(&bind.result_column_format_codes)?;
        let formats = Forms::read(&bind.parameter_format_codes)?;
        let mut parameters = bind.parameters;
        if self.wire.charset != Charset::Utf8 {
            for (n, parameter) in parameters.iter_mut().enumerate() {
                let type_oid = statement.params[n];
                let is_text =
                    formats.of(n) == Form::Text || types::is_text_in_binary(type_oid) == Some(true);
                if let Some(bytes) = parameter.as_mut().filter(|_| is_text) {
                    *bytes = self.wire.charset.decode(bytes)?.into_owned().into();
                }
            }
        }
        // The engine takes no parameters in a query that makes a table: their values are written into it.
        let made_by = match &statement.kind {
            Kind::Engine(prepared) if prepared.params.is_empty() && wanted > 0 => {
                Some(prepared.statement.text.clone())
            }
            _ => None,
        };
        if let Some(text) = made_by {
            let run = self.begin_run();
            let zone = self.settings.zone();
            let texts = parameters.iter().zip(&statement.params).enumerate();
            let texts = texts.map(|(n, (parameter, type_oid))| {
                let Some(bytes) = parameter else {
                    return Ok(None);
                };
                let is_binary = formats.of(n) == Form::Binary;
                let text = value::parameter_text(*type_oid, is_binary, bytes, zone)?;
                Ok(Some(text.into_bytes().into()))
            });
            let texts = texts.collect::<Result<Vec<_>, Failure>>()?;
            let literals = self.as_literals(&run, &texts, &statement.params).await?;
            let sql = with_values(&text, &literals);
            statement = self.prepare_text(&run, &sql, &[]).await?;
            parameters = Vec::new();
        }
        let mut values = match &statement.innermost().kind {
            Kind::Engine(_) => {
                let reading = self.reading();
                let scalars = parameters
                    .iter()
                    .zip(&statement.params)
                    .enumerate()
                    .map(|(n, (parameter, type_oid))| match parameter {
                        None => value::null_parameter(*type_oid),
                        Some(bytes) => {
                            let binary = formats.of(n).code() == 1;
                            value::parameter(*type_oid, binary, bytes, reading)
                        }
                    })
                    .collect::<Result<_, _>>()?;
                Values::Scalars(scalars)
            }
            _ => Values::Raw {
                values: parameters,
                formats: bind.parameter_format_codes,
            },
        };
        // EXECUTE at this level is the statement it names.
        if let Kind::Command(command) = &statement.kind {
            let run = self.begin_run();
            if let Some((named, given)) = self.resolve_execute(&run, command).await? {
                (statement, values) = (named, given);
            }
        }
        if let Some(columns) = self.columns_of(&statement)? {
            forms.check(columns.len())?;
        }
        let name = bind.portal_name.unwrap_or_default();
        let mut portal = Portal::new(statement, values, forms);
        let named = self.statements.get(&statement_name);
        let named = named.filter(|_| !name.is_empty());
        portal.source = named.map(|named| Source::new(&named.source.text, false));
        self.keep_portal(name, portal)?;
        self.wire
            .put(PgWireBackendMessage::BindComplete(BindComplete::new()));
        Ok(())
    }

    fn describe(&mut self, wanted: Describe) -> Result<(), Stop> {
        let name = wanted.name.unwrap_or_default();
        match wanted.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                let statement = self.statement(&name)?;
                let types = ParameterDescription::new(statement.params.clone());
                self.wire
                    .put(PgWireBackendMessage::ParameterDescription(types));
                let columns = self.columns_of(&statement)?;
                self.wire
                    .put(describe(columns.as_deref(), &Forms::default()));
            }
            TARGET_TYPE_BYTE_PORTAL => {
                let portal = self.portal(&name)?;
                let (statement, forms) = (portal.statement.clone(), portal.forms.clone());
                let columns = match portal_columns(portal) {
                    Some(columns) => Some(columns),
                    None => self.columns_of(&statement)?,
                };
                self.wire.put(describe(columns.as_deref(), &forms));
            }
            other => {
                return Err(
                    Failure::protocol(format!("invalid DESCRIBE message subtype {other}")).into(),
                );
            }
        }
        Ok(())
    }

    pub fn portal(&self, name: &str) -> Result<&Portal, Failure> {
        self.portals
            .get(name)
            .ok_or_else(|| Failure::new("34000", format!("portal \"{name}\" does not exist")))
    }

    /// What a statement answers, before it is run.
    pub fn columns_of(&self, statement: &Statement) -> Result<Option<Vec<ColumnInfo>>, Failure> {
        Ok(match &statement.kind {
            Kind::Empty | Kind::CatalogueCopy { .. } | Kind::Declare { .. } => None,
            Kind::Engine(prepared) => prepared
                .columns
                .as_ref()
                .map(|columns| columns.iter().map(ColumnInfo::from).collect()),
            Kind::Catalogue { fields, .. } => fields
                .as_ref()
                .map(|fields| fields.iter().map(ColumnInfo::from).collect()),
            Kind::Model(asked) => Some(models::columns(asked)),
            Kind::Command(command) => self.columns_of_command(command)?,
        })
    }

    /// The columns of a cursor, or of a named statement.
    pub fn columns_of_portal(&self, name: &str) -> Option<Vec<ColumnInfo>> {
        let portal = self.portals.get(name)?;
        portal_columns(portal).or_else(|| self.columns_of(&portal.statement).ok().flatten())
    }

    pub fn columns_of_statement(&self, name: &str) -> Result<Option<Vec<ColumnInfo>>, Failure> {
        self.columns_of(&*self.statement(name)?)
    }

    async fn execute(&mut self, execute: Execute) -> Result<(), Stop> {
        let name = execute.name.unwrap_or_default();
        // Out of the map while it runs: a statement may change the portals.
        let mut portal = match self.portals.remove(&name) {
            Some(portal) => portal,
            None => {
                return Err(
                    Failure::new("34000", format!("portal \"{name}\" does not exist")).into(),
                );
            }
        };
        // Nothing, or less, is everything.
        let limit = match execute.max_rows {
            rows @ 1.. => rows as u64,
            _ => u64::MAX,
        };
        let run = self.begin_run();
        if matches!(portal.progress, Progress::New) {
            self.join_series(&run, &portal.statement).await?;
        }
        let done = self.run_portal(&run, &mut portal, limit, Rows::Plain).await;
        self.is_piped = !portal.statement.ends_transaction();
        let is_cursor_still = done.is_ok()
            && (!self.portals.contains_key(&name))
            && !matches!(portal.progress, Progress::New);
        if is_cursor_still {
            self.portals.insert(name, portal);
        }
        let completion = done?;
        self.put_completion(completion);
        self.registered.statement_ended();
        Ok(())
    }

    /// A name that does not exist is no error.
    fn close(&mut self, close: Close) -> Result<(), Stop> {
        let name = close.name.unwrap_or_default();
        match close.target_type {
            TARGET_TYPE_BYTE_STATEMENT => drop(self.statements.remove(&name)),
            TARGET_TYPE_BYTE_PORTAL => drop(self.portals.remove(&name)),
            other => {
                return Err(
                    Failure::protocol(format!("invalid CLOSE message subtype {other}")).into(),
                );
            }
        }
        self.wire
            .put(PgWireBackendMessage::CloseComplete(CloseComplete::new()));
        Ok(())
    }

    /// At the end of a transaction only held cursors stay, and those declared in it only if it took effect.
    pub fn close_portals(&mut self, took_effect: bool) {
        self.portals.retain(|_, portal| match &mut portal.cursor {
            Some(cursor) if cursor.hold && (took_effect || !cursor.is_in_block) => {
                cursor.is_in_block = false;
                true
            }
            _ => false,
        });
    }
}
