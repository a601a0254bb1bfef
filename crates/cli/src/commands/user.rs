//! `rapport user`: who may connect.

use clap::{Args, Subcommand};
use rapport_catalog_postgres::Catalogue;
use rapport_engine::Warehouse;
use rapport_pgwire::scram_verifier;
use serde_json::json;

use super::Context;
use crate::failure::{Failure, Result};
use crate::password::{Password, PasswordArgs};
use crate::{open, output, runtimes};

/// Add, change, list and remove the users who may connect
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport user add anna\n  rapport user add etl --generate\n  \
    echo \"$SECRET\" | rapport user passwd anna --password-stdin\n  rapport user list --json"
)]
pub struct User {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a user; asks for the password, or see the options
    #[command(
        after_help = "Examples:\n  rapport user add anna\n  rapport user add etl --generate\n  \
        RAPPORT_PASSWORD=... rapport user add etl --admin"
    )]
    Add {
        name: String,
        /// May manage users and grants (CREATEROLE)
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Change a user's password
    #[command(after_help = "Example:\n  rapport user passwd anna")]
    Passwd {
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List the users
    #[command(after_help = "Example:\n  rapport user list --json")]
    List {
        /// As JSON: an array of {name, admin, can_login, has_password}
        #[arg(long)]
        json: bool,
    },
    /// Remove a user
    #[command(after_help = "Example:\n  rapport user remove anna")]
    Remove { name: String },
}

impl User {
    pub async fn run(self, context: Context) -> Result {
        // Asked before anything is opened: a password takes its time to type.
        let password = match &self.what {
            What::Add { name, password, .. } | What::Passwd { name, password } => {
                check_name(name)?;
                Some(password.get(name)?)
            }
            What::List { .. } | What::Remove { .. } => None,
        };
        let settings = context.settings().clone();
        let work = runtimes::on(&context.compute, async move {
            let warehouse = open::warehouse(&settings).await?;
            let catalogue = warehouse.catalogue().expect("opened with one").clone();
            let done = self.what.run(&warehouse, &catalogue, password).await;
            catalogue.shutdown().await;
            done
        });
        context.interrupt.or(work).await?
    }
}

impl What {
    async fn run(
        self,
        warehouse: &Warehouse,
        catalogue: &Catalogue,
        password: Option<Password>,
    ) -> Result {
        match self {
            Self::List { json } => list(catalogue, json).await,
            Self::Add { name, admin, .. } => {
                let password = password.expect("asked for above");
                if exists(catalogue, &name).await? {
                    return Err(Failure::new(format!("there is a user {name} already"))
                        .hint(format!("`rapport user passwd {name}` changes the password")));
                }
                catalogue
                    .create_role(&name, &scram_verifier(&password.text), admin)
                    .await?;
                warehouse.dump_catalogue().await?;
                tell(&format!("user {name} added"), &password)
            }
            Self::Passwd { name, .. } => {
                let password = password.expect("asked for above");
                must_exist(catalogue, &name).await?;
                catalogue
                    .set_password(&name, &scram_verifier(&password.text))
                    .await?;
                warehouse.dump_catalogue().await?;
                tell(&format!("password of {name} changed"), &password)
            }
            Self::Remove { name } => {
                must_exist(catalogue, &name).await?;
                catalogue.drop_role(&name).await?;
                warehouse.dump_catalogue().await?;
                output::line(&format!("user {name} removed"))
            }
        }
    }
}

async fn list(catalogue: &Catalogue, json: bool) -> Result {
    let roles = catalogue.list_roles().await?;
    if json {
        let list: Vec<_> = roles
            .iter()
            .map(|role| {
                json!({
                    "name": role.name, "admin": role.is_admin,
                    "can_login": role.can_login, "has_password": role.has_password,
                })
            })
            .collect();
        return output::json(&list);
    }
    if roles.is_empty() {
        return output::line("no users yet; `rapport user add NAME` adds one");
    }
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let mut table = output::Table::new(&["user", "admin", "can log in", "password"]);
    for role in roles {
        table.row(vec![
            role.name,
            yes(role.is_admin),
            yes(role.can_login),
            yes(role.has_password),
        ]);
    }
    table.print()
}

async fn exists(catalogue: &Catalogue, name: &str) -> Result<bool> {
    Ok(catalogue
        .list_roles()
        .await?
        .iter()
        .any(|role| role.name == name))
}

async fn must_exist(catalogue: &Catalogue, name: &str) -> Result {
    if exists(catalogue, name).await? {
        return Ok(());
    }
    Err(Failure::new(format!("there is no user {name}"))
        .hint("`rapport user list` shows those that exist"))
}

fn tell(what: &str, password: &Password) -> Result {
    match password.is_generated {
        true => output::line(&format!("{what}; password: {}", password.text)),
        false => output::line(what),
    }
}

/// What PostgreSQL would refuse or cut, said before a password is asked for.
fn check_name(name: &str) -> Result {
    let refuse = |what: &str| {
        Err(
            Failure::usage(format!("{name:?} can't be a user's name: {what}"))
                .hint("use letters, digits and underscores, as in etl_nightly"),
        )
    };
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > 63 {
        return refuse("it is longer than 63 bytes");
    }
    if name.starts_with("pg_") {
        return refuse("names that start with pg_ belong to PostgreSQL");
    }
    if name.chars().any(|c| c.is_control() || c == '\0') {
        return refuse("it has a control character");
    }
    Ok(())
}
