//! Who may do what to which table and column: PostgreSQL's own answer, remembered until definitions change.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::{
    common::{
        ExprSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan, TableSource, utils::merge_schema},
};
use rapport_catalog_postgres::{Catalogue, Request, Settings};
use rapport_lake::TableName;

use crate::{
    Error, Result, Warehouse, block::Block, plan::Scope, temporary::Temporary, view::View,
};

/// Grants may be changed by another process, which this one is not told.
const REMEMBERED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Privilege {
    fn word(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        }
    }

    fn is_of_columns(self) -> bool {
        matches!(self, Self::Select | Self::Insert | Self::Update)
    }
}

/// To what of a table a privilege extends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    All,
    /// At least one column, and not all.
    Columns(Arc<HashSet<String>>),
    Nothing,
    /// The schema may not be used.
    NoSchema,
}

impl Access {
    /// What permission is denied for, if nothing of the table may be touched.
    pub(crate) fn refusal(&self, kind: &str, table: &TableName) -> Option<String> {
        match self {
            Access::All | Access::Columns(_) => None,
            Access::Nothing => Some(format!("{kind} {}", table.table)),
            Access::NoSchema => Some(format!("schema {}", table.schema)),
        }
    }

    fn covers(&self, column: &str) -> bool {
        match self {
            Access::All => true,
            Access::Columns(columns) => columns.contains(column),
            Access::Nothing | Access::NoSchema => false,
        }
    }
}

/// Role, table and what the role wants to do.
type Question = (String, TableName, Privilege);

/// Answers with the moment they were given.
#[derive(Default)]
pub(crate) struct Privileges {
    known: Mutex<HashMap<Question, (Instant, Access)>>,
    owners: Mutex<HashMap<TableName, (Instant, String)>>,
    generation: AtomicU64,
}

impl Privileges {
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.known.lock().expect("never held over a panic").clear();
        self.owners.lock().expect("never held over a panic").clear();
    }

    /// Another one whenever they may have changed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}

impl Scope {
    pub(crate) async fn access(&self, table: &TableName, privilege: Privilege) -> Result<Access> {
        let is_own = |temporary: &Arc<Temporary>| temporary.has(table);
        let is_made = |block: &Arc<Block>| block.has_made(table);
        if self.temporary.as_ref().is_some_and(is_own) || self.block.as_ref().is_some_and(is_made) {
            return Ok(Access::All);
        }
        self.warehouse.access(&self.role, table, privilege).await
    }

    pub(crate) async fn require(&self, table: &TableName, privilege: Privilege) -> Result<()> {
        match self.access(table, privilege).await? {
            Access::All => Ok(()),
            access => Err(denied(&access, table)),
        }
    }

    pub(crate) async fn require_columns(
        &self,
        table: &TableName,
        privilege: Privilege,
        columns: &[String],
    ) -> Result<()> {
        let access = self.access(table, privilege).await?;
        if columns.iter().all(|column| access.covers(column))
            && access.refusal("table", table).is_none()
        {
            Ok(())
        } else {
            Err(denied(&access, table))
        }
    }
}

fn denied(access: &Access, table: &TableName) -> Error {
    let whole = format!("table {}", table.table);
    Error::Denied {
        what: access.refusal("table", table).unwrap_or(whole),
    }
}

impl Warehouse {
    /// In whose name a view reads: the catalogue knows, and its author where there is none.
    pub(crate) async fn owner(&self, view: &View) -> Result<String> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(view.owner.clone());
        };
        let known = {
            let owners = self.privileges().owners.lock();
            owners
                .expect("never held over a panic")
                .get(&view.name)
                .cloned()
        };
        if let Some((since, owner)) = known
            && since.elapsed() < REMEMBERED
        {
            return Ok(owner);
        }
        let generation = self.privileges().generation();
        let owner = catalogue.owner(&view.name).await?;
        let owner = owner.unwrap_or_else(|| view.owner.clone());
        let mut owners = self
            .privileges()
            .owners
            .lock()
            .expect("never held over a panic");
        if generation == self.privileges().generation() {
            owners.insert(view.name.clone(), (Instant::now(), owner.clone()));
        }
        Ok(owner)
    }

    /// Without a catalogue there are no roles, and whoever holds the lake may do everything.
    async fn access(&self, role: &str, table: &TableName, privilege: Privilege) -> Result<Access> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(Access::All);
        };
        if role == Catalogue::OWNER {
            return Ok(Access::All);
        }
        let key = (role.to_owned(), table.clone(), privilege);
        let known = {
            let known = self.privileges().known.lock();
            known.expect("never held over a panic").get(&key).cloned()
        };
        if let Some((since, access)) = known
            && since.elapsed() < REMEMBERED
        {
            return Ok(access);
        }
        // What changes while PostgreSQL is asked must not be forgotten before it is remembered.
        let generation = self.privileges().generation();
        let access = match ask(catalogue, role, table, privilege).await? {
            Some(access) => access,
            // Another process made the table, and the mirror does not have it yet.
            None => {
                self.mirror_lake().await?;
                let access = ask(catalogue, role, table, privilege).await?;
                access.unwrap_or(Access::Nothing)
            }
        };
        let mut known = self
            .privileges()
            .known
            .lock()
            .expect("never held over a panic");
        if generation == self.privileges().generation() {
            known.insert(key, (Instant::now(), access.clone()));
        }
        Ok(access)
    }
}

/// None if PostgreSQL does not know the table.
async fn ask(
    catalogue: &Catalogue,
    role: &str,
    table: &TableName,
    privilege: Privilege,
) -> Result<Option<Access>> {
    let word = privilege.word();
    let columns = if privilege.is_of_columns() {
        format!(
            "ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 AND pg_catalog.has_column_privilege(c.oid, a.attnum, '{word}'))"
        )
    } else {
        "ARRAY[]::pg_catalog.name[]".to_owned()
    };
    let sql = format!(
        "SELECT CASE
           WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'no schema'
           WHEN pg_catalog.has_table_privilege(c.oid, '{word}') THEN 'all'
           ELSE pg_catalog.array_to_json({columns})::pg_catalog.text END
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'v')",
        literal(&table.schema),
        literal(&table.table)
    );
    let reply = catalogue
        .relay(role, &Settings::new(), Request::Simple(sql))
        .await?;
    // A DataRow of one column: its count, its length, its text.
    let Some(answer) = reply.rows.first().and_then(|row| row.get(6..)) else {
        return Ok(None);
    };
    Ok(Some(match answer {
        b"all" => Access::All,
        b"no schema" => Access::NoSchema,
        columns => {
            let columns: HashSet<String> = serde_json::from_slice(columns).unwrap_or_default();
            if columns.is_empty() {
                Access::Nothing
            } else {
                Access::Columns(Arc::new(columns))
            }
        }
    }))
}

/// An identifier as SQL takes it whatever it holds.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it with its backslashes as they are, which is how our sessions are set.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Metadata of a field that may not be read: what permission is denied for.
const MARK: &str = "rapport.denied";

/// A relation of which only some columns may be read, to see in a plan which are.
pub(crate) struct Marked(SchemaRef);

impl Marked {
    pub(crate) fn new(schema: &Schema, readable: &HashSet<String>, what: &str) -> Self {
        let fields = schema.fields().iter().map(|field| {
            let mut field: Field = field.as_ref().clone();
            if !readable.contains(field.name()) {
                field
                    .metadata_mut()
                    .insert(MARK.to_owned(), what.to_owned());
            }
            field
        });
        Self(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }
}

impl TableSource for Marked {
    fn schema(&self) -> SchemaRef {
        self.0.clone()
    }
}

/// Fails if an expression anywhere in the plan names a marked column. To be asked before the optimiser drops what is
/// named and not needed.
pub(crate) fn check_marks(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let mark = match expr {
                    Expr::Column(column) => schema
                        .field_from_column(column)
                        .ok()
                        .and_then(|field| field.metadata().get(MARK)),
                    Expr::OuterReferenceColumn(field, _) => field.metadata().get(MARK),
                    _ => None,
                };
                if mark.is_none() {
                    return Ok(TreeNodeRecursion::Continue);
                }
                refused = mark.cloned();
                Ok(TreeNodeRecursion::Stop)
            })
        })
    })?;
    match refused {
        Some(what) => Err(Error::Denied { what }),
        None => Ok(()),
    }
}
