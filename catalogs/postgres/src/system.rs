//! What `pg_catalog` holds by itself: the names by which a statement is known to be the catalogue's.

use std::collections::HashSet;
use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::error::Result;

/// Names of the schema `pg_catalog`, which is looked in first for every bare name.
#[derive(Debug, Default)]
pub struct SystemNames {
    pub relations: HashSet<String>,
    /// Functions of every kind.
    pub functions: HashSet<String>,
    /// Those that make one value of their arguments.
    pub scalar_functions: HashSet<String>,
}

const QUERY: &str = "
SELECT 'r', relname FROM pg_catalog.pg_class WHERE relnamespace = 'pg_catalog'::pg_catalog.regnamespace
UNION
SELECT 'f', proname FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace
UNION
SELECT 's', proname FROM pg_catalog.pg_proc
WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND prokind = 'f' AND NOT proretset";

impl Catalogue {
    /// Asked once: they are those of PostgreSQL's version.
    pub async fn system_names(&self) -> Result<Arc<SystemNames>> {
        let asked = self.known_names().get_or_try_init(async || {
            let mut names = SystemNames::default();
            for row in self.ask(QUERY).await? {
                let [Some(kind), Some(name)] = <[_; 2]>::try_from(row).unwrap_or_default() else {
                    continue;
                };
                match kind.as_str() {
                    "r" => names.relations.insert(name),
                    "f" => names.functions.insert(name),
                    _ => names.scalar_functions.insert(name),
                };
            }
            Ok(Arc::new(names))
        });
        asked.await.cloned()
    }
}
