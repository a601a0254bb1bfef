//! The engine's functions, declared so that clients find them: with arguments, result, volatility and comment.
//!
//! Here they only refuse. A statement that calls one is the engine's; PostgreSQL sees them in views and when it is asked
//! what there is.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tracing::debug;

use crate::catalogue::Catalogue;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::quote;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    pub name: String,
    pub arguments: Vec<Argument>,
    /// As `format_type` prints it, or a pseudo-type such as `anyelement`.
    pub result: String,
    pub kind: FunctionKind,
    /// `IMMUTABLE`, `STABLE` or `VOLATILE`.
    pub volatility: &'static str,
    pub comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionKind {
    Plain,
    Aggregate,
    Window,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Argument {
    pub name: Option<String>,
    pub pg_type: String,
    /// An array of them stands for any number.
    pub is_variadic: bool,
    pub has_default: bool,
}

impl Function {
    fn signature(&self, with_names: bool) -> String {
        let arguments = self.arguments.iter().map(|argument| {
            let variadic = if argument.is_variadic {
                "VARIADIC "
            } else {
                ""
            };
            let default = match argument.has_default && with_names {
                true => " DEFAULT NULL",
                false => "",
            };
            match &argument.name {
                Some(name) if with_names => format!(
                    "{variadic}{} {}{default}",
                    quote::ident(name),
                    argument.pg_type
                ),
                _ => format!("{variadic}{}", argument.pg_type),
            }
        });
        arguments.collect::<Vec<_>>().join(", ")
    }

    fn kind(&self) -> &'static str {
        match self.kind {
            FunctionKind::Aggregate => "AGGREGATE",
            FunctionKind::Plain | FunctionKind::Window => "FUNCTION",
        }
    }

    fn named(&self) -> String {
        format!(
            "public.{}({})",
            quote::ident(&self.name),
            self.signature(false)
        )
    }

    /// An aggregate's step stands where no list of functions looks.
    fn create(&self, mark: &str) -> String {
        let mut sql = String::new();
        if self.kind == FunctionKind::Aggregate {
            let step = format!(
                "information_schema.{}",
                quote::ident(&format!("_rapport_{}", self.name))
            );
            let arguments = self.signature(false);
            // No state can be a row of any columns; what a last function makes of it can.
            let (state, last) = match self.result.as_str() {
                "record" => {
                    let last = format!(
                        "information_schema.{}",
                        quote::ident(&format!("_rapport_last_{}", self.name))
                    );
                    sql.push_str(&format!(
                        "CREATE OR REPLACE FUNCTION {last}(bytea) RETURNS record LANGUAGE plpgsql AS {};\n",
                        body(mark)
                    ));
                    ("bytea", format!(", FINALFUNC = {last}"))
                }
                result => (result, String::new()),
            };
            sql.push_str(&format!(
                "CREATE OR REPLACE FUNCTION {step}({state}, {arguments}) RETURNS {state} LANGUAGE plpgsql AS {};
                 CREATE AGGREGATE public.{}({}) (SFUNC = {step}, STYPE = {state}{last});\n",
                body(mark),
                quote::ident(&self.name),
                self.signature(true)
            ));
        } else {
            let window = match self.kind {
                FunctionKind::Window => " WINDOW",
                _ => "",
            };
            sql.push_str(&format!(
                "CREATE OR REPLACE FUNCTION public.{}({}) RETURNS {} LANGUAGE plpgsql{window} {} AS {};\n",
                quote::ident(&self.name),
                self.signature(true),
                self.result,
                self.volatility,
                body(mark)
            ));
        }
        if let Some(comment) = &self.comment {
            sql.push_str(&format!(
                "COMMENT ON {} {} IS {};\n",
                self.kind(),
                self.named(),
                quote::literal(comment)
            ));
        }
        sql
    }
}

fn body(mark: &str) -> String {
    quote::literal(&format!(
        "BEGIN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'this function is computed over the lake, not in the catalogue'; END -- {mark}"
    ))
}

/// What declares them, and how one set of declarations is told from another.
pub(crate) struct Declarations {
    sql: String,
    mark: String,
}

impl Declarations {
    fn of(functions: &[Function]) -> Self {
        let mut hasher = DefaultHasher::new();
        functions.len().hash(&mut hasher);
        for function in functions {
            function.create("").hash(&mut hasher);
        }
        let mark = format!("rapport {:016x}", hasher.finish());
        let sql = functions.iter().map(|function| function.create(&mark));
        Self {
            sql: sql.collect(),
            mark,
        }
    }

    /// For a schema that has nothing.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }
}

impl Catalogue {
    /// Idempotent; nothing is written when just these are declared. One that PostgreSQL refuses is left out.
    pub async fn declare_functions(&self, functions: &[Function]) -> Result<()> {
        let declarations = Declarations::of(functions);
        let mark = quote::literal(&format!("%{}", declarations.mark));
        let declared = self
            .ask(&format!(
                "SELECT count(*) FILTER (WHERE prosrc LIKE {mark}), count(*) FROM pg_catalog.pg_proc
                 WHERE pronamespace = 'public'::pg_catalog.regnamespace"
            ))
            .await?;
        let declared: Vec<&str> = declared
            .iter()
            .flatten()
            .flatten()
            .map(String::as_str)
            .collect();
        let done = match declared[..] {
            ["0", "0"] => self.transact(&declarations.sql).await,
            ["0", _] => self.declare_anew(functions, &declarations.mark).await,
            _ => Ok(()),
        };
        match done {
            Err(Error::Postgres(why)) => {
                debug!(%why, "functions are declared one by one");
                self.declare_anew(functions, &declarations.mark).await?;
            }
            done => done?,
        }
        self.keep_declarations(declarations);
        Ok(())
    }

    /// What a view calls stays as it was.
    async fn declare_anew(&self, functions: &[Function], mark: &str) -> Result<()> {
        let old = "SELECT pg_catalog.format('DROP %s %s',
            CASE prokind WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, oid::pg_catalog.regprocedure)
          FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::pg_catalog.regnamespace ORDER BY prokind";
        let old = self.ask(old).await?.into_iter().flatten().flatten();
        let new = functions.iter().map(|function| function.create(mark));
        let statements: Vec<String> = old.chain(new).collect();
        let mut lease = self.lease().await?;
        let made = one_by_one(&mut lease, &statements).await;
        match made {
            Ok(()) => {
                lease.query("COMMIT").await?;
                lease.give_back();
                Ok(())
            }
            Err(error) => {
                lease.roll_back().await;
                Err(error)
            }
        }
    }
}

async fn one_by_one(connection: &mut Connection, statements: &[String]) -> Result<()> {
    connection.query("BEGIN").await?;
    for sql in statements {
        match connection
            .query(&format!("SAVEPOINT one;\n{sql};\nRELEASE one"))
            .await
        {
            Err(Error::Postgres(why)) => {
                debug!(%why, sql, "left as it was");
                connection.query("ROLLBACK TO one").await?;
            }
            made => drop(made?),
        }
    }
    Ok(())
}
