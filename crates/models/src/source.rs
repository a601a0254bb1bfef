//! What a model reads: the warehouse's own history, or the query that it was given; as of a day, and of nobody who
//! does not consent.

use chrono::{Days, NaiveDate};
use rapport_engine::{Column, oid};

use crate::{
    Error, Result,
    registry::Definition,
    work::{Work, filled, quoted},
};

const HISTORIES: &str = include_str!("histories.sql");

/// Consent is asked of the newest row of the purpose `profiling`.
const REFUSED: &str = "
CREATE TEMPORARY TABLE without_consent AS
SELECT customer_id FROM (
    SELECT customer_id, granted, row_number() OVER (PARTITION BY customer_id ORDER BY since DESC NULLS LAST) AS n
    FROM consents WHERE purpose = 'profiling' AND customer_id IS NOT NULL
) AS newest
WHERE n = 1 AND granted IS NOT TRUE";

const NOT_GRANTED: &str = "
CREATE TEMPORARY TABLE without_consent AS
SELECT customer_id FROM customers WHERE customer_id NOT IN (
    SELECT customer_id FROM (
        SELECT customer_id, granted, row_number() OVER (PARTITION BY customer_id ORDER BY since DESC NULLS LAST) AS n
        FROM consents WHERE purpose = 'profiling' AND customer_id IS NOT NULL
    ) AS newest
    WHERE n = 1 AND granted
)";

/// What the model's query is called among our own.
const GIVEN: &str = "given_to_the_model";

/// A query whose rows are of one customer each, or of one event of a customer each.
pub(crate) struct Source {
    pub sql: String,
    /// All columns that it has.
    pub columns: Vec<Column>,
}

impl Source {
    /// What the model's owner may read. `history` is the query over the warehouse's own tables.
    pub async fn of(definition: &Definition, work: &mut Work, history: &str) -> Result<Self> {
        let sql = definition.query.as_deref().unwrap_or(history);
        let warehouse = work.session().warehouse().clone();
        let mut owner = warehouse.session(&definition.owner);
        let path = definition.options.text("search_path");
        if let Some(path) = path {
            owner.set("search_path", path)?;
        }
        let statements = owner.parse(sql)?;
        let [statement] = statements.as_slice() else {
            return Err(needs("a model reads one query", "AS SELECT …"));
        };
        let prepared = owner.prepare(statement, &[]).await?;
        let columns = prepared.columns.filter(|_| prepared.params.is_empty());
        let columns = columns
            .ok_or_else(|| needs("a model reads a query without parameters", "AS SELECT …"))?;
        check_columns(&columns)?;
        // Read in the owner's name, whatever else is read beside it.
        work.session()
            .read_as(GIVEN, &definition.owner, path, &statement.text);
        Ok(Self {
            sql: format!("SELECT * FROM {GIVEN}"),
            columns,
        })
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Fails if one of the columns is missing.
    pub fn need(&self, names: &[&str]) -> Result<()> {
        let is_missing = |name: &&str| self.column(name).is_none();
        let missing = names.iter().copied().filter(is_missing);
        let missing: Vec<String> = missing.map(|name| format!("\"{name}\"")).collect();
        let columns = match missing.len() {
            0 => return Ok(()),
            1 => "column",
            _ => "columns",
        };
        Err(needs(
            format!("the model's query has no {columns} {}", missing.join(", ")),
            &format!("It needs the columns {}.", names.join(", ")),
        ))
    }

    /// The PostgreSQL type that the key of the scores has.
    pub fn key_type(&self) -> Result<&'static str> {
        self.need(&["customer_id"])?;
        match self.column("customer_id").map(|column| column.pg_type) {
            Some(oid::INT8 | oid::INT4 | oid::INT2) => Ok("bigint"),
            Some(oid::TEXT | oid::VARCHAR | oid::BPCHAR) => Ok("text"),
            Some(oid::UUID) => Ok("uuid"),
            _ => Err(needs(
                "customer_id is neither a number nor a text",
                "Cast it: customer_id::text.",
            )),
        }
    }

    /// Leaves out who does not consent, and rows of nobody.
    pub async fn consenting(&self, definition: &Definition, work: &mut Work) -> Result<String> {
        let key = self.key_type()?;
        let known = format!(
            "SELECT * FROM ({}) AS given WHERE customer_id IS NOT NULL",
            self.sql
        );
        Ok(known + &consenting(definition, key, work).await?)
    }

    /// Refuses a query that answers more than one row of a customer.
    pub async fn once_each(&self, work: &mut Work) -> Result<()> {
        let found = work
            .ask(&format!(
                "SELECT customer_id::text AS customer, count(*) AS n FROM ({}) AS given WHERE customer_id IS NOT NULL
                 GROUP BY customer_id HAVING count(*) > 1 ORDER BY n DESC, customer LIMIT 1",
                self.sql
            ))
            .await?;
        match (
            found.texts("customer").pop().flatten(),
            found.wholes("n").pop().flatten(),
        ) {
            (Some(customer), Some(n)) => Err(needs(
                format!("customer {customer} is there {n} times"),
                "The model's query answers one row of each customer.",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses values of a column that are neither true nor false.
    pub async fn truths(&self, name: &str, work: &mut Work) -> Result<()> {
        let wanted = "be true or false, 1 or 0";
        self.refuse(
            name,
            &format!("{name}::double precision NOT IN (0, 1)"),
            wanted,
            work,
        )
        .await
    }

    pub async fn never_below_0(&self, name: &str, work: &mut Work) -> Result<()> {
        self.refuse(name, &format!("{name} < 0"), "not be below 0", work)
            .await
    }

    async fn refuse(&self, name: &str, bad: &str, wanted: &str, work: &mut Work) -> Result<()> {
        if self
            .column(name)
            .is_none_or(|column| column.pg_type == oid::BOOL)
        {
            return Ok(());
        }
        let found = work
            .ask(&format!(
                "SELECT {name}::text AS value FROM ({}) AS given WHERE {bad} ORDER BY 1 LIMIT 1",
                self.sql
            ))
            .await?;
        match found.texts("value").pop().flatten() {
            None => Ok(()),
            Some(value) => Err(needs(
                format!("{name} must {wanted}, got {value}"),
                "Look at what the model's query answers.",
            )),
        }
    }

    /// How many customers are left out.
    pub async fn left_out(&self, definition: &Definition, work: &mut Work) -> Result<u64> {
        if definition.options.word("consent", "unless_refused") == "ignored" {
            return Ok(0);
        }
        let cast = cast_to_text(self.key_type()?);
        let counted = work
            .numbers(&format!(
                "SELECT count(DISTINCT customer_id) AS n FROM ({}) AS given WHERE customer_id{cast} IN (SELECT customer_id{cast} FROM without_consent)",
                self.sql
            ))
            .await?;
        Ok(counted.get("n").copied().unwrap_or(0.0) as u64)
    }

    /// The last day that anything is known of, if none is asked for: today, or the newest event where that is older.
    pub async fn newest_day(&self, work: &mut Work, today: NaiveDate) -> Result<NaiveDate> {
        let newest = work
            .ask(&format!(
                "SELECT max(occurred_at)::date AS day FROM ({}) AS given WHERE occurred_at < {} AND customer_id IS NOT NULL",
                self.sql,
                quoted(&(today + Days::new(1)).to_string()),
            ))
            .await?;
        newest
            .wholes("day")
            .first()
            .copied()
            .flatten()
            .and_then(|days| NaiveDate::from_epoch_days(i32::try_from(days).ok()?))
            .ok_or_else(|| Error::Unfit {
                message: format!("there is nothing to learn from up to {today}"),
                hint: "Load the history first, or look at what the model's query, or OPTIONS (events, currency), leave of it."
                    .to_owned(),
            })
    }
}

/// The condition on `given.customer_id` that leaves out who does not consent: ` AND …`, or nothing. Makes the temporary
/// table `without_consent`.
pub(crate) async fn consenting(
    definition: &Definition,
    key: &str,
    work: &mut Work,
) -> Result<String> {
    let asked = definition.options.word("consent", "unless_refused");
    if asked == "ignored" {
        return Ok(String::new());
    }
    work.run(if asked == "required" {
        NOT_GRANTED
    } else {
        REFUSED
    })
    .await?;
    let cast = cast_to_text(key);
    Ok(format!(
        " AND NOT EXISTS (SELECT 1 FROM without_consent AS refused WHERE refused.customer_id{cast} = given.customer_id{cast})"
    ))
}

/// Consents are of the warehouse's own customers, which have numbers; these may be written as texts.
fn cast_to_text(key: &str) -> &'static str {
    match key {
        "bigint" => "",
        _ => "::text",
    }
}

/// Columns that mean something must be of a type that can mean it.
fn check_columns(columns: &[Column]) -> Result<()> {
    for (n, column) in columns.iter().enumerate() {
        let name = column.name.as_str();
        if columns[..n].iter().any(|other| other.name == name) {
            return Err(needs(
                format!("the model's query has two columns \"{name}\""),
                "Give each a name of its own.",
            ));
        }
        let is_number = matches!(
            column.pg_type,
            oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC
        );
        let is_moment = matches!(
            column.pg_type,
            oid::TIMESTAMPTZ | oid::TIMESTAMP | oid::DATE
        );
        let wanted = match name {
            "occurred_at" if !is_moment => "a date or a timestamp",
            "amount" | "tenure" | "strength" if !is_number => "a number",
            _ => continue,
        };
        return Err(needs(
            format!("column \"{name}\" of the model's query must be {wanted}"),
            "Cast it in the query.",
        ));
    }
    Ok(())
}

/// The query over the history that the models of purchases read.
pub(crate) fn purchases(definition: &Definition) -> String {
    let events = definition.options.word("events", "purchase");
    let currency = match definition.options.text("currency") {
        Some(currency) => format!(" AND currency = {}", quoted(currency)),
        None => String::new(),
    };
    format!(
        "SELECT customer_id, occurred_at, amount, currency FROM interactions WHERE interaction_type = {}{currency}",
        quoted(events)
    )
}

/// Money of several currencies can't be added up.
pub(crate) async fn check_currency(source: &Source, work: &mut Work) -> Result<()> {
    if source.column("currency").is_none() {
        return Ok(());
    }
    let sql = format!(
        "SELECT DISTINCT currency FROM ({}) AS given WHERE currency IS NOT NULL ORDER BY 1 LIMIT 5",
        source.sql
    );
    let currencies: Vec<String> = work
        .ask(&sql)
        .await?
        .texts("currency")
        .into_iter()
        .flatten()
        .collect();
    match currencies.len() {
        0 | 1 => Ok(()),
        _ => Err(Error::Invalid {
            message: format!(
                "the purchases are in several currencies: {}",
                currencies.join(", ")
            ),
            hint: format!(
                "OPTIONS (currency = '{}') takes those in one, or AS SELECT converts them.",
                currencies[0]
            ),
        }),
    }
}

/// When the holdout begins and ends: the last day that is learned from, and the last day of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Split {
    pub cutoff: NaiveDate,
    pub as_of: NaiveDate,
}

impl Split {
    pub fn days(self) -> i64 {
        (self.as_of - self.cutoff).num_days()
    }
}

/// Splits a history that began on `first`: as long a holdout as was asked for, else `wanted` or a third of it all.
pub(crate) fn split(
    first: NaiveDate,
    as_of: NaiveDate,
    asked: Option<i64>,
    wanted: i64,
) -> Result<Split> {
    let span = (as_of - first).num_days();
    if span < 0 {
        return Err(Error::Unfit {
            message: format!("the history begins on {first}, and nothing is known as of {as_of}"),
            hint: "REFRESH MODEL … AS OF takes a later day.".to_owned(),
        });
    }
    let days = asked.unwrap_or_else(|| wanted.min(span / 3)).max(1);
    if span < 3 || days >= span {
        return Err(Error::Unfit {
            message: format!("{span} days of history are too few for a holdout of {days}"),
            hint: "OPTIONS (holdout = …) takes a shorter one; a model needs some weeks at least."
                .to_owned(),
        });
    }
    let cutoff = as_of - Days::new(days.unsigned_abs());
    Ok(Split { cutoff, as_of })
}

/// The day of the first event.
pub(crate) async fn first_day(source: &str, work: &mut Work) -> Result<Option<NaiveDate>> {
    let rows = work
        .ask(&format!(
            "SELECT min(occurred_at)::date AS day FROM ({source}) AS given"
        ))
        .await?;
    let day = rows.wholes("day").first().copied().flatten();
    Ok(day.and_then(|days| NaiveDate::from_epoch_days(i32::try_from(days).ok()?)))
}

/// Makes the temporary table `histories`: of each customer what is known at the cut-off, what came then, and what is
/// known at the end. Purchases of one day are one.
pub(crate) async fn histories(work: &mut Work, purchases: &str, split: Split) -> Result<()> {
    let (cutoff, as_of) = (split.cutoff.to_string(), split.as_of.to_string());
    work.run(&filled(
        HISTORIES,
        &[
            ("cutoff", &cutoff),
            ("as_of", &as_of),
            ("purchases", purchases),
        ],
    ))
    .await?;
    Ok(())
}

/// Inputs whose drift is watched: expressions over columns of `histories`.
pub(crate) const INPUTS: [(&str, &str); 4] = [
    ("repeats", "repeats"),
    ("days_since_last", "age - recency"),
    ("age", "age"),
    ("spend", "spend"),
];

fn needs(message: impl Into<String>, hint: &str) -> Error {
    Error::Invalid {
        message: message.into(),
        hint: hint.to_owned(),
    }
}
