//! When one job is to run: its schedule with jitter, what was missed, what is to be tried again, clocks that jump.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Schedule;
use crate::history::Status;

/// A clock that is put back by no more than this repeats nothing, as in Vixie's cron.
pub(crate) const SMALL_STEP: TimeDelta = TimeDelta::hours(3);

const FIRST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    schedule: Schedule,
    /// The job's own share of the jitter, from 0 to 1.
    share: f64,
    max_jitter: Duration,
    retries: u32,
    /// By the schedule; `None`: never again.
    due: Option<DateTime<Utc>>,
    start: Option<DateTime<Utc>>,
    attempt: u32,
    seen: DateTime<Utc>,
}

impl Timetable {
    /// `last` is when the job was started last, by whatever process. A job that never ran has missed nothing.
    pub(crate) fn new(
        schedule: Schedule,
        name: &str,
        max_jitter: Duration,
        retries: u32,
        last: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let mut timetable = Self {
            schedule,
            share: hasher.finish() as f64 / u64::MAX as f64,
            max_jitter,
            retries,
            due: None,
            start: None,
            attempt: 1,
            seen: now,
        };
        // A run of the future is one of a clock that was wrong.
        let last = last.filter(|last| *last <= now + SMALL_STEP);
        timetable.plan(last.unwrap_or(now));
        timetable
    }

    /// What the next run is for, and the how-manieth attempt it is.
    pub(crate) fn due(&self) -> Option<(DateTime<Utc>, u32)> {
        Some((self.due?, self.attempt))
    }

    pub(crate) fn start(&self) -> Option<DateTime<Utc>> {
        self.start
    }

    /// How long to wait; nothing if it is time.
    pub(crate) fn wait(&mut self, now: DateTime<Utc>) -> Duration {
        if now + SMALL_STEP < self.seen {
            self.plan(now);
        }
        self.seen = now;
        match self.start {
            Some(start) => (start - now).to_std().unwrap_or_default(),
            None => Duration::MAX,
        }
    }

    /// However many moments have passed meanwhile, the next is to come.
    pub(crate) fn ended(&mut self, status: Status, now: DateTime<Utc>) {
        let (attempt, was_due) = (self.attempt, self.due);
        self.plan(was_due.map_or(now, |due| due.max(now)));
        let again = now + back_off(attempt);
        if status == (Status::Failed { again: true })
            && attempt <= self.retries
            && self.start.is_none_or(|start| again < start)
        {
            self.due = was_due;
            self.start = Some(again);
            self.attempt = attempt + 1;
        }
        self.seen = now;
    }

    fn plan(&mut self, after: DateTime<Utc>) {
        self.attempt = 1;
        self.due = self.schedule.next(after);
        self.start = self.due.map(|due| due + self.jitter(due));
    }

    /// No more than a tenth of the time to the next but one.
    fn jitter(&self, due: DateTime<Utc>) -> Duration {
        let next = self.schedule.next(due);
        let period = next.and_then(|next| (next - due).to_std().ok());
        let tenth = period.map_or(Duration::MAX, |period| period / 10);
        self.max_jitter.min(tenth).mul_f64(self.share)
    }
}

fn back_off(attempt: u32) -> Duration {
    let factor = 4_u32.saturating_pow(attempt - 1);
    FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text)
            .expect(text)
            .with_timezone(&Utc)
    }

    /// At three each night, without jitter.
    fn nightly(last: Option<&str>, now: &str) -> Timetable {
        let schedule = Schedule::parse("0 3 * * *", "UTC").expect("a schedule");
        Timetable::new(schedule, "job", Duration::ZERO, 3, last.map(at), at(now))
    }

    fn check_start(timetable: &Timetable, expected: &str) {
        assert_eq!(timetable.start(), Some(at(expected)));
    }

    const FAILED: Status = Status::Failed { again: true };

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn a_job_waits_for_its_moment_and_then_for_the_next() {
        let mut timetable = nightly(None, "2026-05-01T01:00:00Z");
        assert_eq!(timetable.wait(at("2026-05-01T01:00:00Z")), minutes(120));
        assert_eq!(timetable.wait(at("2026-05-01T02:59:00Z")), minutes(1));
        assert_eq!(timetable.wait(at("2026-05-01T03:00:01Z")), minutes(0));
        timetable.ended(Status::Ok, at("2026-05-01T03:20:00Z"));
        check_start(&timetable, "2026-05-02T03:00:00Z");
    }

    #[test]
    fn what_was_missed_is_caught_up_once() {
        let mut timetable = nightly(Some("2026-05-01T03:00:05Z"), "2026-05-09T12:00:00Z");
        assert_eq!(timetable.due(), Some((at("2026-05-02T03:00:00Z"), 1)));
        assert_eq!(timetable.wait(at("2026-05-09T12:00:00Z")), minutes(0));
        timetable.ended(Status::Ok, at("2026-05-09T12:10:00Z"));
        check_start(&timetable, "2026-05-10T03:00:00Z");
    }

    #[test]
    fn a_job_that_never_ran_has_missed_nothing() {
        check_start(
            &nightly(None, "2026-05-09T12:00:00Z"),
            "2026-05-10T03:00:00Z",
        );
    }

    #[test]
    fn a_run_that_takes_longer_than_the_period_is_followed_by_one() {
        let mut timetable = nightly(None, "2026-05-01T01:00:00Z");
        timetable.ended(Status::Ok, at("2026-05-04T12:00:00Z"));
        check_start(&timetable, "2026-05-05T03:00:00Z");
    }

    #[test]
    fn a_failure_is_tried_again_after_ever_longer_times_but_not_for_ever() {
        let mut timetable = nightly(None, "2026-05-01T02:00:00Z");
        let starts = ["03:01:00", "03:05:00", "03:21:00"];
        for (attempt, start) in (2..).zip(starts) {
            let failed = timetable.start().expect("a moment");
            timetable.ended(FAILED, failed);
            check_start(&timetable, &format!("2026-05-01T{start}Z"));
            assert_eq!(timetable.due(), Some((at("2026-05-01T03:00:00Z"), attempt)));
        }
        timetable.ended(FAILED, at("2026-05-01T03:21:00Z"));
        check_start(&timetable, "2026-05-02T03:00:00Z");
        assert_eq!(timetable.due(), Some((at("2026-05-02T03:00:00Z"), 1)));
        assert_eq!(back_off(20), LAST_RETRY);
    }

    #[test]
    fn only_what_may_go_well_is_tried_again_and_only_before_the_next_moment() {
        let lasting = Status::Failed { again: false };
        for status in [
            lasting,
            Status::TimedOut,
            Status::Skipped,
            Status::Interrupted,
        ] {
            let mut timetable = nightly(None, "2026-05-01T02:00:00Z");
            timetable.ended(status, at("2026-05-01T03:10:00Z"));
            check_start(&timetable, "2026-05-02T03:00:00Z");
        }
        let schedule = Schedule::parse("* * * * *", "UTC").expect("a schedule");
        let now = at("2026-05-01T02:00:00Z");
        let mut timetable = Timetable::new(schedule, "job", Duration::ZERO, 3, None, now);
        timetable.ended(FAILED, at("2026-05-01T02:01:01Z"));
        assert_eq!(timetable.due(), Some((at("2026-05-01T02:02:00Z"), 1)));
    }

    #[test]
    fn a_clock_that_jumps_forward_makes_one_run() {
        let mut timetable = nightly(None, "2026-05-01T01:00:00Z");
        timetable.wait(at("2026-05-01T01:00:15Z"));
        assert_eq!(timetable.wait(at("2026-06-01T12:00:00Z")), minutes(0));
        timetable.ended(Status::Ok, at("2026-06-01T12:01:00Z"));
        check_start(&timetable, "2026-06-02T03:00:00Z");
    }

    #[test]
    fn a_clock_that_is_put_back_a_little_repeats_nothing() {
        let mut timetable = nightly(None, "2026-05-01T02:00:00Z");
        timetable.ended(Status::Ok, at("2026-05-01T03:00:10Z"));
        assert_eq!(
            timetable.wait(at("2026-05-01T02:30:00Z")),
            minutes(24 * 60 + 30)
        );
        // Also while it runs.
        let mut timetable = nightly(None, "2026-05-01T02:00:00Z");
        timetable.ended(Status::Ok, at("2026-05-01T02:10:00Z"));
        check_start(&timetable, "2026-05-02T03:00:00Z");
    }

    #[test]
    fn a_clock_that_is_put_back_a_lot_does_not_stop_the_job() {
        let mut timetable = nightly(None, "2099-05-01T02:00:00Z");
        assert_eq!(timetable.wait(at("2026-05-01T02:00:00Z")), minutes(60));
        let timetable = nightly(Some("2099-01-01T03:00:00Z"), "2026-05-01T02:00:00Z");
        check_start(&timetable, "2026-05-01T03:00:00Z");
    }

    #[test]
    fn jitter_is_the_job_s_own_and_no_more_than_a_tenth_of_the_period() {
        let of = |cron: &str, name: &str| {
            let schedule = Schedule::parse(cron, "UTC").expect(cron);
            let now = at("2026-05-01T00:00:30Z");
            let timetable = Timetable::new(schedule, name, minutes(5), 3, None, now);
            let late = timetable.start().expect("a moment") - timetable.due().expect("a moment").0;
            late.to_std().expect("not early")
        };
        let mut different = std::collections::BTreeSet::new();
        for name in ["a", "b", "c", "d"] {
            assert_eq!(of("0 3 * * *", name), of("0 3 * * *", name));
            assert!(of("0 3 * * *", name) <= minutes(5));
            assert!(of("* * * * *", name) <= Duration::from_secs(6));
            different.insert(of("0 3 * * *", name));
        }
        assert_eq!(different.len(), 4);
    }
}
