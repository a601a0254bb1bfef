//! What a statement over the lake may ask of the catalogue: its relations as small tables, its functions by the batch.
//!
//! PostgreSQL answers as the statement's role and with the session's settings, so nobody sees more here than by asking
//! it alone.

mod function;
mod table;
mod value;

use std::{fmt, sync::Arc};

use datafusion::common::tree_node::TreeNode;
use datafusion::{
    common::{Column as ColumnRef, DFSchema, Result as PlanResult, tree_node::Transformed},
    logical_expr::{
        Cast, Expr, ExprSchemable, LogicalPlan, ScalarUDF, TableSource,
        expr_rewriter::NamePreserver, utils::merge_schema,
    },
};
use rapport_catalog_postgres::{
    Catalogue, Error as CatalogueError, Reply, Request, Settings, SystemNames,
};
use tokio::runtime::Handle;

use crate::{Error, Result, names::PRIVATE, plan::Scope};
use function::{Call, CatalogueFunction};
pub(crate) use value::reg_type;

/// PostgreSQL, as one role with one session's settings.
#[derive(Clone)]
pub(crate) struct System {
    catalogue: Catalogue,
    role: String,
    settings: Arc<Settings>,
    names: Arc<SystemNames>,
    /// Where questions run that somebody waits for on a thread of his own.
    runtime: Handle,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// None without a catalogue.
    pub(crate) async fn system(&self, role: &str) -> Result<Option<System>> {
        let Some(catalogue) = self.warehouse.catalogue() else {
            return Ok(None);
        };
        Ok(Some(System {
            catalogue: catalogue.clone(),
            role: role.to_owned(),
            settings: self.settings.clone(),
            names: catalogue.system_names().await?,
            runtime: self.warehouse.main_runtime().clone(),
        }))
    }

    /// The catalogue's relation that a name means, if it means one.
    pub(crate) async fn system_table(
        &self,
        parts: &[String],
    ) -> Result<Option<Arc<dyn TableSource>>> {
        let (schema, table) = match parts {
            [table] => ("pg_catalog", table),
            [schema, table] | [_, schema, table] => (schema.as_str(), table),
            _ => return Ok(None),
        };
        if !is_system_schema(schema) {
            return Ok(None);
        }
        let Some(system) = self.system(&self.role).await? else {
            return Ok(None);
        };
        if parts.len() == 1 && !system.names.relations.contains(table) {
            return Ok(None);
        }
        table::open(system, schema, table).await
    }
}

pub(crate) fn is_system_schema(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast")
}

impl System {
    /// The words are PostgreSQL's, but not the place: it is one in a statement that nobody wrote.
    async fn ask(&self, request: Request) -> Result<Reply> {
        let asked = self.catalogue.relay(&self.role, &self.settings, request);
        Ok(asked.await.map_err(|error| match error {
            CatalogueError::Postgres(mut fields) => {
                fields.position = None;
                CatalogueError::Postgres(fields)
            }
            error => error,
        })?)
    }

    /// For planning and computing, which can't wait otherwise. Ends when the catalogue's own bound for a statement does.
    fn ask_now(&self, request: Request) -> Result<Reply> {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let system = self.clone();
        self.runtime.spawn(async move {
            let _ = sender.send(system.ask(request).await);
        });
        answer.recv().unwrap_or(Err(Error::Cancelled))
    }

    /// A function of PostgreSQL that tells something about the catalogue or the session, or one of [`cast_name`]'s.
    pub(crate) fn function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let call = match name.strip_prefix(PRIVATE) {
            Some(to) => Call::Cast(value::reg_name(to)?),
            None if is_word(name) => Call::Word(name.to_owned()),
            None if self.names.scalar_functions.contains(name) && is_about_system(name) => {
                Call::Function(name.to_owned())
            }
            None => return None,
        };
        Some(self.call(call))
    }

    fn call(&self, call: Call) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(CatalogueFunction::new(self.clone(), call)))
    }

    /// Objects are numbers to the engine. Where they become text, their names are asked for.
    pub(crate) fn spell_out(&self, plan: LogicalPlan) -> PlanResult<LogicalPlan> {
        let spelled = plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|expr| self.spelled(expr, &schema))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(spelled?.data)
    }

    fn spelled(&self, expr: Expr, schema: &DFSchema) -> PlanResult<Transformed<Expr>> {
        let Expr::Cast(Cast { expr: inner, field }) = &expr else {
            return Ok(Transformed::no(expr));
        };
        if !field.data_type().is_string() {
            return Ok(Transformed::no(expr));
        }
        let (_, from) = inner.to_field(schema)?;
        Ok(match reg_type(&from) {
            Some(from) => Transformed::yes(self.shown(from, inner.as_ref().clone())),
            None => Transformed::no(expr),
        })
    }

    /// The name of the object with this number.
    pub(crate) fn shown(&self, from: &'static str, number: Expr) -> Expr {
        self.call(Call::Shown(from)).call(vec![number])
    }

    /// As [`Self::shown`], of a column.
    pub(crate) fn shown_column(&self, from: &'static str, column: ColumnRef) -> Expr {
        self.shown(from, Expr::Column(column))
    }
}

/// What a cast to a type such as regclass is planned as.
pub(crate) fn cast_name(type_name: &str) -> Option<String> {
    let type_name = type_name.strip_prefix("pg_catalog.").unwrap_or(type_name);
    Some(format!("{PRIVATE}{}", value::reg_name(type_name)?))
}

/// Written without parentheses.
fn is_word(name: &str) -> bool {
    matches!(
        name,
        "current_catalog"
            | "current_role"
            | "current_schema"
            | "current_user"
            | "session_user"
            | "user"
    )
}

/// Functions that the engine knows too, and answers about itself.
pub(crate) fn is_postgres_s(name: &str) -> bool {
    name == "version"
}

/// What the engine lacks of the rest computes with data, and data stays here.
fn is_about_system(name: &str) -> bool {
    const STARTS: [&str; 8] = [
        "current_",
        "has_",
        "inet_",
        "pg_",
        "row_security_",
        "session_",
        "to_reg",
        "txid_",
    ];
    const NAMES: [&str; 8] = [
        "col_description",
        "format_type",
        "getdatabaseencoding",
        "obj_description",
        "quote_ident",
        "shobj_description",
        "version",
        "row_security_active",
    ];
    // The session has its own answer.
    name != "pg_backend_pid"
        && (NAMES.contains(&name) || STARTS.iter().any(|start| name.starts_with(start)))
}
