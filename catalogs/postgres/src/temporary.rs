//! Schemas for the temporary tables of single sessions. Their tables are ordinary ones, made like all others.

use rapport_lake::TableName;

use crate::catalogue::Catalogue;
use crate::error::Result;
use crate::quote;

impl Catalogue {
    /// How such a schema's name begins. Nobody else can make one: PostgreSQL reserves `pg_`. In one that begins with
    /// `pg_temp_` nobody could make a table.
    pub const TEMPORARY: &'static str = "pg_tmp_r";

    /// For one session of `role`; schemas that nobody has dropped, because their process was killed, are for
    /// [`Catalogue::drop_temporary_schemas`].
    pub async fn create_temporary_schema(&self, schema: &str, role: &str) -> Result<()> {
        let (schema, role) = (quote::ident(schema), quote::ident(role));
        self.transact(&format!(
            "SET LOCAL allow_system_table_mods = on;\nCREATE SCHEMA {schema} AUTHORIZATION {role}"
        ))
        .await
    }

    pub async fn drop_temporary_schema(&self, schema: &str) -> Result<()> {
        let schema = quote::ident(schema);
        self.transact(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
            .await
    }

    pub async fn drop_temporary_table(&self, name: &TableName) -> Result<()> {
        let name = quote::relation(name);
        self.transact(&format!("DROP TABLE IF EXISTS {name} CASCADE"))
            .await
    }

    /// Drops those of sessions that are no more.
    pub async fn drop_temporary_schemas(&self, is_alive: impl Fn(&str) -> bool) -> Result<()> {
        let schemas = self
            .ask("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname LIKE 'pg\\_tmp\\_r%'")
            .await?;
        for schema in schemas.into_iter().flatten().flatten() {
            if !is_alive(&schema) {
                self.drop_temporary_schema(&schema).await?;
            }
        }
        Ok(())
    }
}
