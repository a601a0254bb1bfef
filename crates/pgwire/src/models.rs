//! Statements about models: what they answer, and what a client is told while they run.
//!
//! A refresh takes minutes and is a transaction of its own, so it stands outside of blocks, and says how far it is in
//! notices that do not wait for its end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use rapport_engine::{Cancel, oid};
use rapport_models::{Answer, Progress, Shape};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::connection::{Client, Run, Stop};
use crate::pump::{Pump, panic_text};
use crate::rows::{Form, Layout};
use crate::sqlstate::{self, Failure};
use crate::statement::{ColumnInfo, Forms, Kind, Portal, Progress as Fetched, Statement, Values};
use crate::style::Style;
use crate::value;

/// Words that may wait for the client; what is said beyond them is not worth waiting for.
const WAITING: usize = 16;

/// Within one phase a client hears no more often.
const LULL: Duration = Duration::from_secs(1);

/// How long a refresh may take to leave things tidy when the server ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub fn prepared(asked: rapport_models::Statement, declared: &[u32]) -> Statement {
    let mut params: Vec<u32> = declared
        .iter()
        .map(|type_oid| match *type_oid {
            0 | oid::UNKNOWN => oid::TEXT,
            known => known,
        })
        .collect();
    params.resize(params.len().max(asked.n_parameters()), oid::TEXT);
    Statement {
        kind: Kind::Model(asked),
        params,
    }
}

pub fn columns(asked: &rapport_models::Statement) -> Vec<ColumnInfo> {
    let columns = Shape::of(asked.verb).columns();
    columns.iter().map(ColumnInfo::from).collect()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Carries it out; the portal has its answer to be fetched from.
    pub async fn ask_models(
        &mut self,
        run: &Run,
        portal: &mut Portal,
        asked: &rapport_models::Statement,
    ) -> Result<(), Stop> {
        self.may_run(asked)?;
        let parameters = self.texts_of(portal)?;
        let asked = asked.clone().within(self.settings.get("search_path"));
        let answer = self.carry_out(run, asked.clone(), parameters).await?;
        if self.settings.shows("WARNING") {
            for warning in &answer.warnings {
                self.wire.put(sqlstate::warning("01000", warning));
            }
        }
        if self.settings.shows("NOTICE") {
            for notice in &answer.notices {
                self.wire.put(sqlstate::said("NOTICE", "00000", notice));
            }
        }
        let columns = Shape::of(asked.verb).columns();
        let infos = columns.iter().map(ColumnInfo::from).collect();
        let layout = Layout {
            columns,
            forms: Vec::new(),
            style: Style::of(&self.settings),
            charset: self.wire.charset,
        };
        let schema = answer.batch.schema();
        let batches = futures::stream::iter([Ok(answer.batch)]);
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
        portal.progress = Fetched::Running {
            pump: Pump::start(&self.shared.config.cpu, stream, layout),
            columns: infos,
            tag: asked.tag(),
        };
        Ok(())
    }

    fn may_run(&self, asked: &rapport_models::Statement) -> Result<(), Failure> {
        if asked.verb.is_question() {
            return Ok(());
        }
        let what = asked.verb.words();
        self.must_stand_alone(what)?;
        if self.is_read_only() {
            let message = format!("cannot execute {what} in a read-only transaction");
            return Err(Failure::new("25006", message));
        }
        Ok(())
    }

    fn texts_of(&self, portal: &Portal) -> Result<Vec<Option<String>>, Failure> {
        let Values::Raw { values, formats } = &portal.values else {
            return Ok(Vec::new());
        };
        let (forms, zone) = (Forms::read(formats)?, self.settings.zone());
        let text = |(n, bytes): (usize, &bytes::Bytes)| {
            let is_binary = forms.of(n) == Form::Binary;
            value::parameter_text(portal.statement.params[n], is_binary, bytes, zone)
        };
        let values = values.iter().enumerate();
        values
            .map(|(n, value)| value.as_ref().map(|bytes| text((n, bytes))).transpose())
            .collect()
    }

    /// Ends early as every statement does; then it is waited for, as it leaves nothing half done.
    async fn carry_out(
        &mut self,
        run: &Run,
        asked: rapport_models::Statement,
        parameters: Vec<Option<String>>,
    ) -> Result<Answer, Stop> {
        let (says, mut heard) = mpsc::channel(WAITING);
        let (models, role) = (self.shared.config.models.clone(), self.role.clone());
        let cancel = Cancel::default();
        let cancelled = cancel.clone();
        let mut work = self.shared.config.cpu.spawn(async move {
            let teller = Teller::new(says);
            let tell = |progress| teller.tell(progress);
            models
                .run(&role, &asked, &parameters, &tell, &cancelled)
                .await
        });
        let stop = loop {
            let next = async {
                tokio::select! {
                    biased;
                    Some(progress) = heard.recv() => Next::Progress(progress),
                    done = &mut work => Next::Done(done),
                }
            };
            match self.guard(run, next).await {
                Ok(Next::Progress(progress)) => {
                    if let Err(stop) = self.tell(run, &progress).await {
                        break stop;
                    }
                }
                Ok(Next::Done(Ok(done))) => return Ok(done?),
                Ok(Next::Done(Err(error))) => return Err(panicked(error).into()),
                Err(stop) => break stop,
            }
        };
        cancel.cancel();
        match &stop {
            Stop::Failure(_) => {
                // It came to its end after all: a client that is there has to know.
                if let Ok(Ok(answer)) = work.await {
                    return Ok(answer);
                }
            }
            Stop::Shutdown => drop(tokio::time::timeout(LAST_WORDS, work).await),
            Stop::Gone(_) => {}
        }
        Err(stop)
    }

    async fn tell(&mut self, run: &Run, progress: &Progress) -> Result<(), Stop> {
        if !self.settings.shows("NOTICE") {
            return Ok(());
        }
        let said = sqlstate::said("NOTICE", "00000", &progress.to_string());
        self.wire.put(said);
        self.flush_all_guarded(run).await
    }
}

enum Next {
    Progress(Progress),
    Done(Result<rapport_models::Result<Answer>, tokio::task::JoinError>),
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    tracing::error!("a statement about models panicked");
    match error.try_into_panic() {
        Ok(panic) => Failure::internal(format!("internal error: {}", panic_text(&*panic))),
        Err(_) => Failure::shutting_down(),
    }
}

/// Passes on what is worth hearing: each new phase, and within one a word a second.
struct Teller {
    says: mpsc::Sender<Progress>,
    last: Mutex<Option<(Instant, Progress)>>,
}

impl Teller {
    fn new(says: mpsc::Sender<Progress>) -> Self {
        Self {
            says,
            last: Mutex::new(None),
        }
    }

    fn tell(&self, progress: Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = last.as_ref().is_none_or(|(at, last)| {
            at.elapsed() >= LULL || last.phase != progress.phase || last.model != progress.model
        });
        if is_news && self.says.try_send(progress.clone()).is_ok() {
            *last = Some((Instant::now(), progress));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &[(&str, &'static str)]) -> usize {
        let (says, mut heard) = mpsc::channel(WAITING);
        let teller = Teller::new(says);
        for (model, phase) in said {
            teller.tell(Progress {
                model: (*model).to_owned(),
                phase,
                done: 0,
                total: 6,
                rows: None,
                left: None,
            });
        }
        let mut n = 0;
        while heard.try_recv().is_ok() {
            n += 1;
        }
        n
    }

    #[test]
    fn a_phase_is_told_once_within_a_second() {
        assert_eq!(heard(&[("clv", "fitting"); 1000]), 1);
    }

    #[test]
    fn every_new_phase_and_every_model_is_told() {
        let said = [
            ("clv", "fitting"),
            ("clv", "scoring"),
            ("clv", "scoring"),
            ("churn", "scoring"),
        ];
        assert_eq!(heard(&said), 3);
    }

    #[test]
    fn parameters_are_texts_unless_declared_otherwise() {
        let sql = "SELECT * FROM promote_model($1, $2, $3)";
        let asked = rapport_models::Statement::read(sql);
        let asked = asked.expect("about models").expect("well formed");
        let statement = prepared(asked, &[0, oid::INT4]);
        assert_eq!(statement.params, [oid::TEXT, oid::INT4, oid::TEXT]);
    }
}
