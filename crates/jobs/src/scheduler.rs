//! A task for each job, until the server ends. Jobs come and go with the models that have a schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rapport_engine::Warehouse;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::chain;
use crate::history::History;
use crate::live::Live;
use crate::refresh_model::RefreshModel;
use crate::timetable::Timetable;
use crate::{Clock, Job, Metrics, Models, Result, Schedule};

/// So often it is looked which models have a schedule.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Jobs that one process runs at once; others wait.
const AT_ONCE: usize = 2;

/// What holds for all jobs.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Told to other processes that would run the same job.
    pub who: String,
    /// A process that is silent for so long has lost its lease.
    pub lease: Duration,
    pub max_run_time: Duration,
    /// How often a run that failed is tried again before the next moment of its schedule.
    pub retries: u32,
    pub max_jitter: Duration,
    /// Of schedules that name none.
    pub time_zone: String,
}

/// What all runs have in common.
pub(crate) struct House {
    pub warehouse: Warehouse,
    pub history: History,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    pub rules: Rules,
    /// As `system.jobs` shows them.
    pub planned: Arc<Mutex<BTreeMap<String, Planned>>>,
    turns: Semaphore,
}

#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub kind: &'static str,
    pub schedule: String,
    pub next_run: Option<DateTime<Utc>>,
}

pub struct Scheduler {
    pub(crate) house: Arc<House>,
    jobs: Vec<Arc<dyn Job>>,
    models: Option<Arc<dyn Models>>,
}

impl Scheduler {
    /// Makes the tables of the schema `system` where they are missing; from now on the warehouse shows `system.jobs`.
    pub async fn open(
        warehouse: Warehouse,
        jobs: Vec<Arc<dyn Job>>,
        models: Option<Arc<dyn Models>>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        rules: Rules,
    ) -> Result<Self> {
        let history = History::open(warehouse.clone()).await?;
        for (job, last) in history.last(clock.now()).await? {
            metrics.know(&job, last.succeeded_at);
        }
        let planned = Arc::default();
        Live::show(&warehouse, history.clone(), Arc::clone(&planned)).await?;
        let house = House {
            warehouse,
            history,
            metrics,
            clock,
            rules,
            planned,
            turns: Semaphore::new(AT_ONCE),
        };
        Ok(Self {
            house: Arc::new(house),
            jobs,
            models,
        })
    }

    /// Until `stop`; what runs then is ended and written down.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let mut tended: BTreeMap<String, (Terms, CancellationToken)> = BTreeMap::new();
        while !stop.is_cancelled() {
            if let Some(jobs) = self.jobs_now().await {
                let wanted: BTreeMap<String, Arc<dyn Job>> =
                    jobs.into_iter().map(|job| (job.name(), job)).collect();
                tended.retain(|name, (terms, ended)| {
                    let job = wanted.get(name);
                    let stays = job.is_some_and(|job| Terms::of(job.as_ref()) == *terms);
                    if !stays {
                        ended.cancel();
                        self.house.forget(name);
                    }
                    stays
                });
                for (name, job) in wanted {
                    if tended.contains_key(&name) {
                        continue;
                    }
                    let (terms, ended) = (Terms::of(job.as_ref()), stop.child_token());
                    let house = Arc::clone(&self.house);
                    tasks.spawn(tend(house, job, ended.clone(), stop.clone()));
                    tended.insert(name, (terms, ended));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = stop.cancelled() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// `None` if nobody can say now.
    pub(crate) async fn jobs_now(&self) -> Option<Vec<Arc<dyn Job>>> {
        let mut jobs = self.jobs.clone();
        let Some(models) = &self.models else {
            return Some(jobs);
        };
        match models.scheduled().await {
            Ok(scheduled) => {
                for model in scheduled {
                    let zone = model.time_zone.as_deref();
                    let zone = zone.unwrap_or(&self.house.rules.time_zone);
                    match Schedule::parse(&model.schedule, zone) {
                        Ok(schedule) => {
                            let models = Arc::clone(models);
                            jobs.push(Arc::new(RefreshModel::new(models, model, schedule)));
                        }
                        Err(error) => warn!(job = model.job, %error, "a model is never refreshed"),
                    }
                }
                Some(jobs)
            }
            Err(error) => {
                warn!(
                    error = chain(error.as_ref()),
                    "the schedules of models could not be read"
                );
                None
            }
        }
    }
}

/// What makes a job another one when it changes, besides its name. The zone is told with the schedule.
#[derive(Debug, PartialEq)]
pub(crate) struct Terms {
    schedule: String,
    max_run_time: Option<Duration>,
}

impl Terms {
    pub(crate) fn of(job: &dyn Job) -> Self {
        Self {
            schedule: job.schedule().to_string(),
            max_run_time: job.max_run_time(),
        }
    }
}

/// One job, until it is taken off the schedule or the server ends.
async fn tend(
    house: Arc<House>,
    job: Arc<dyn Job>,
    ended: CancellationToken,
    stop: CancellationToken,
) {
    let name = job.name();
    let mut timetable = None;
    loop {
        let now = house.clock.now();
        let wait = match &mut timetable {
            None => match house.history.last(now).await {
                Ok(last) => {
                    let last = last.get(&name).and_then(|last| last.ended);
                    let rules = &house.rules;
                    let schedule = job.schedule().clone();
                    let (jitter, retries) = (rules.max_jitter, rules.retries);
                    timetable = Some(Timetable::new(schedule, &name, jitter, retries, last, now));
                    continue;
                }
                Err(error) => {
                    warn!(
                        job = name,
                        error = chain(&error),
                        "the history of jobs can't be read"
                    );
                    Duration::from_secs(60)
                }
            },
            Some(timetable) => {
                let wait = timetable.wait(now);
                house.plan(job.as_ref(), timetable.start(), &ended);
                if let (Some((due, attempt)), Duration::ZERO) = (timetable.due(), wait) {
                    let turn = tokio::select! {
                        turn = house.turns.acquire() => turn.expect("never closed"),
                        () = ended.cancelled() => break,
                    };
                    let status = house.run(&job, due, attempt, &stop).await;
                    drop(turn);
                    timetable.ended(status, house.clock.now());
                    continue;
                }
                wait
            }
        };
        tokio::select! {
            () = house.clock.sleep(wait) => {}
            () = ended.cancelled() => break,
        }
    }
    if stop.is_cancelled() {
        house.forget(&name);
    }
}

impl House {
    /// Not of a job that has ended: another one may bear its name by now.
    fn plan(&self, job: &dyn Job, next_run: Option<DateTime<Utc>>, ended: &CancellationToken) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_cancelled() {
            return;
        }
        let shown = Planned {
            kind: job.kind(),
            schedule: job.schedule().to_string(),
            next_run,
        };
        planned.insert(job.name(), shown);
    }

    fn forget(&self, name: &str) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.remove(name);
    }
}
