//! Users and their verifiers. A password never comes here: only what proves that somebody knows it.

use crate::catalogue::Catalogue;
use crate::error::{Error, Result};
use crate::quote;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    /// Answers for the warehouse: a member of `rapport_admin`, or a superuser.
    pub is_admin: bool,
    pub can_login: bool,
    pub has_password: bool,
}

/// Roles that people make; not PostgreSQL's own, not ours.
const OF_PEOPLE: &str =
    "rolname !~ '^(pg_|rapport_(reader|writer|admin)$)' AND rolname <> session_user";

impl Catalogue {
    /// A role that may log in, read the warehouse's tables and make its own; an admin may do what admins may.
    ///
    /// `scram_verifier` is `SCRAM-SHA-256$4096:salt$stored:server`. An existing role is PostgreSQL's 42710.
    pub async fn create_role(
        &self,
        role: &str,
        scram_verifier: &str,
        is_admin: bool,
    ) -> Result<()> {
        let group = if is_admin {
            "rapport_admin"
        } else {
            "rapport_writer"
        };
        let role = quote::ident(role);
        let password = password(scram_verifier)?;
        // The right to make roles is not inherited, and groups are given on only by whom they were given for that.
        let more = match is_admin {
            true => format!(
                "ALTER ROLE {role} CREATEROLE; GRANT rapport_reader, rapport_writer, rapport_admin TO {role} WITH ADMIN OPTION"
            ),
            false => String::new(),
        };
        self.transact(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD {password} IN ROLE {group}; {more}"
        ))
        .await
    }

    pub async fn set_password(&self, role: &str, scram_verifier: &str) -> Result<()> {
        let password = password(scram_verifier)?;
        self.transact(&format!(
            "ALTER ROLE {} PASSWORD {password}",
            quote::ident(role)
        ))
        .await
    }

    /// Removes a role; what it owned belongs to [`Catalogue::OWNER`] from then on.
    pub async fn drop_role(&self, role: &str) -> Result<()> {
        let role = quote::ident(role);
        self.transact(&format!(
            "REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"
        ))
        .await
    }

    /// By name.
    pub async fn list_roles(&self) -> Result<Vec<Role>> {
        let rows = self
            .ask(&format!(
                "SELECT rolname, rolsuper OR pg_catalog.pg_has_role(oid, 'rapport_admin', 'MEMBER'), rolcanlogin, rolpassword IS NOT NULL
                 FROM pg_catalog.pg_authid WHERE {OF_PEOPLE} ORDER BY rolname"
            ))
            .await?;
        let is = |value: Option<String>| value.as_deref() == Some("t");
        let role = |row: Vec<Option<String>>| {
            let [name, is_admin, can_login, has_password] = <[_; 4]>::try_from(row).ok()?;
            Some(Role {
                name: name?,
                is_admin: is(is_admin),
                can_login: is(can_login),
                has_password: is(has_password),
            })
        };
        Ok(rows.into_iter().filter_map(role).collect())
    }

    /// What proves that somebody knows the role's password; none for a role that does not exist or may not log in.
    pub async fn verifier(&self, role: &str) -> Result<Option<String>> {
        let role = quote::literal(role);
        let rows = self
            .ask(&format!(
                "SELECT rolpassword FROM pg_catalog.pg_authid
                 WHERE rolname = {role} AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > pg_catalog.now())"
            ))
            .await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten()))
    }
}

/// PostgreSQL would take anything else for a password and hash it.
fn password(scram_verifier: &str) -> Result<String> {
    if scram_verifier.starts_with("SCRAM-SHA-256$") {
        Ok(quote::literal(scram_verifier))
    } else {
        Err(Error::NotSupported(
            "a role needs a SCRAM-SHA-256 verifier".into(),
        ))
    }
}
