//! `rapport demo`: from nothing to a PostgreSQL endpoint over a synthetic history, in one command.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rapport_engine::Warehouse;
use rapport_lake::Lake;
use rapport_pgwire::scram_verifier;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Context, load, serve};
use crate::demo::book::{Book, BookFile};
use crate::demo::world::World;
use crate::demo::{files, models, questions, sources};
use crate::failure::{Failure, Result};
use crate::output::{self, counted, duration};
use crate::progress::Progress;
use crate::settings::Flags;
use crate::{open, password, runtimes};

const USER: &str = "analyst";
/// Ports tried, one after the other, if the wanted one is taken.
const PORTS: u16 = 20;

/// Make a synthetic history of 3 million interactions, load it, and serve it
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport demo\n  rapport demo --customers 1000 --seed 7 --no-serve\n\n\
    Everything lies in ./rapport-demo: remove that folder and nothing is left. Running it again serves what is there."
)]
pub struct Demo {
    /// How many customers; each has about 32 interactions
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=9_000_000))]
    customers: u32,
    /// Another seed, another history; the same seed, the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after the answers
    #[arg(long)]
    no_serve: bool,
    /// Where everything goes
    #[arg(long, value_name = "FOLDER", default_value = "rapport-demo")]
    dir: PathBuf,
    /// Only make the Parquet files and demo.json: load and serve nothing
    #[arg(long, conflicts_with = "no_serve")]
    files_only: bool,
    /// Address and port to listen on; the next free port if it is taken (setting serve.listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// With --no-serve or --files-only: {dir, customers, seed, interactions, user, password, seconds} as JSON
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub fn add_flags(&self, flags: &mut Flags) -> Result {
        if flags.say("lake.url") {
            return Err(Failure::usage("the demo makes a lake of its own")
                .hint("--dir names the folder that it lies in"));
        }
        flags.put("--listen", "serve.listen", self.listen.as_ref());
        flags.put("demo", "lake.url", Some(self.lake().display()));
        Ok(())
    }

    fn lake(&self) -> PathBuf {
        self.dir.join("lake")
    }

    fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    pub async fn run(self, mut context: Context) -> Result {
        let start = Instant::now();
        // Whatever catalogue the user has configured is for their own lake.
        let catalog = &mut context.loaded.settings.catalog;
        (catalog.url, catalog.dir) = (None, None);
        let listener = match self.no_serve || self.files_only {
            true => None,
            false => Some(self.bind(context.settings().serve.listen).await?),
        };
        let mut book = self.open_book()?;
        self.say_what(&book);
        std::fs::create_dir_all(&self.dir)
            .map_err(|e| Failure::doing(format!("making the folder {}", self.dir.display()), &e))?;
        if self.files_only {
            self.generate(&context, &mut book).await?;
            return self.finish(&book, None, start.elapsed());
        }

        // The catalogue takes its time to start the first time: it does so while the files are made.
        let (generated, opened) =
            tokio::join!(self.generate(&context, &mut book), open_or_make(&context));
        let opened = opened?;
        let done = match generated {
            Ok(()) => self.fill(&context, &opened, &mut book).await,
            Err(failure) => Err(failure),
        };
        let warehouse = opened.warehouse;
        let (Ok(password), Some(listener)) = (&done, listener) else {
            shut(&warehouse).await;
            return done.and_then(|password| self.finish(&book, Some(&password), start.elapsed()));
        };
        self.finish(&book, Some(password), start.elapsed())?;
        let address = listener
            .local_addr()
            .map_err(|e| Failure::doing("asking for the port", &e))?;
        output::line(&connect(address, password))?;
        serve::run(listener, warehouse, &context).await
    }

    fn say_what(&self, book: &Book) {
        let dir = self.dir.display();
        self.say(&match book.is_loaded {
            true => format!(
                "{dir} is there already, with these customers and this seed: using it (remove the folder to start anew)."
            ),
            false => format!(
                "Making {} (seed {}) in {dir} …",
                counted(self.customers, "synthetic customer", "synthetic customers"),
                self.seed,
            ),
        });
    }

    fn say(&self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    async fn bind(&self, wanted: SocketAddr) -> Result<TcpListener> {
        let first = serve::bind(wanted).await;
        let Err(failure) = first else { return first };
        for port in (1..=PORTS).filter_map(|n| wanted.port().checked_add(n)) {
            if let Ok(listener) = TcpListener::bind(SocketAddr::new(wanted.ip(), port)).await {
                self.say(&format!(
                    "Port {} is taken: this takes {port}.",
                    wanted.port()
                ));
                return Ok(listener);
            }
        }
        Err(failure)
    }

    /// The demo that is there, if it is this one; a new one where there is none.
    fn open_book(&self) -> Result<Book> {
        let path = self.dir.join(BookFile::NAME);
        let new = || Book::new(self.customers, self.seed);
        let Some(found) = BookFile(&path).read()? else {
            // Without its book the folder may be anything: don't write into what isn't ours.
            let is_empty =
                std::fs::read_dir(&self.dir).map_or(true, |mut entries| entries.next().is_none());
            return if is_empty {
                Ok(new())
            } else {
                Err(self.in_the_way("is not empty and has no demo.json"))
            };
        };
        if (found.customers, found.seed, found.format) != (self.customers, self.seed, new().format)
        {
            return Err(self.in_the_way(&format!(
                "holds another demo ({}, seed {})",
                counted(found.customers, "customer", "customers"),
                found.seed
            )));
        }
        Ok(found)
    }

    fn in_the_way(&self, what: &str) -> Failure {
        let dir = self.dir.display();
        Failure::new(format!("{dir} {what}")).hint(format!(
            "remove it with `rm -r {dir}`, or name another folder with --dir"
        ))
    }

    /// Files on all cores; an interruption leaves a book that says so.
    async fn generate(&self, context: &Context, book: &mut Book) -> Result {
        let path = self.dir.join(BookFile::NAME);
        BookFile(&path).write(book)?;
        if book.generated.is_some() {
            return Ok(());
        }
        let start = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let (told, folder, customers) = (Arc::clone(&stop), self.files(), self.customers);
        let threads = context.settings().query.threads;
        let seed = self.seed;
        let mut work = tokio::task::spawn_blocking(move || {
            let world = World::new(seed);
            let bar = Progress::new("making interactions", 0);
            let total = files::generate(
                &world,
                customers,
                &folder,
                threads,
                &|rows| bar.add(rows),
                &told,
            )?;
            Ok((total, world))
        });
        let result: Result<_, files::Error> = tokio::select! {
            done = &mut work => done,
            () = context.interrupt.token.cancelled() => {
                stop.store(true, Ordering::Relaxed);
                work.await
            }
        }
        .unwrap_or_else(|gone| std::panic::resume_unwind(gone.into_panic()));
        let (total, world) = result.map_err(|error| match error {
            files::Error::Interrupted => Failure::interrupted(),
            error => Failure::doing("making the files", &error),
        })?;
        self.say(&format!(
            "  {} in {} channels, in {}",
            counted(total.interactions, "interaction", "interactions"),
            total.by_channel.iter().filter(|n| **n > 0).count(),
            duration(start.elapsed())
        ));
        book.complete(&world, &total);
        BookFile(&path).write(book)
    }

    /// Loads what is not loaded, gives the user a password, asks the questions. Returns the password.
    async fn fill(&self, context: &Context, opened: &Opened, book: &mut Book) -> Result<String> {
        let warehouse = &opened.warehouse;
        if !book.is_loaded || opened.is_new {
            self.load(context, warehouse).await?;
            book.is_loaded = true;
            BookFile(&self.dir.join(BookFile::NAME)).write(book)?;
        }
        let password = password::random();
        let verifier = scram_verifier(&password);
        let catalogue = warehouse.catalogue().expect("opened with one");
        if catalogue
            .list_roles()
            .await?
            .iter()
            .any(|role| role.name == USER)
        {
            catalogue.set_password(USER, &verifier).await?;
        } else {
            catalogue.create_role(USER, &verifier, true).await?;
        }
        warehouse.dump_catalogue().await?;
        models::make(context, warehouse, USER, |text| self.say(text)).await?;
        if !self.json {
            for question in questions::ALL {
                let (warehouse, sql) = (warehouse.clone(), question.sql);
                let asking = runtimes::on(&context.compute, async move {
                    questions::ask(&warehouse, USER, sql).await
                });
                let start = Instant::now();
                let answer = context.interrupt.or(asking).await??;
                output::line(&format!(
                    "\n{}\n\n{}\n\n{answer}\n({})",
                    question.title,
                    questions::indent(question.sql),
                    duration(start.elapsed())
                ))?;
            }
        }
        Ok(password)
    }

    async fn load(&self, context: &Context, warehouse: &Warehouse) -> Result {
        let start = Instant::now();
        let mut rows = 0;
        for source in sources::all()? {
            let folder = self.files().join(source.folder);
            let options = load::options(context.settings(), vec![folder.display().to_string()]);
            let (warehouse, stop) = (warehouse.clone(), context.interrupt.token.clone());
            let loaded = runtimes::on(&context.compute, async move {
                let bar = load::Bar::new();
                load::quietly(&warehouse, &source.source, options, &bar, stop).await
            })
            .await?;
            tracing::debug!(table = source.folder, rows = loaded.added, took = ?loaded.took, "loaded");
            rows += loaded.added;
        }
        let took = start.elapsed();
        self.say(&format!(
            "  {} loaded in {}{}",
            counted(rows, "row", "rows"),
            duration(took),
            output::rate(rows, took)
        ));
        Ok(())
    }

    fn finish(&self, book: &Book, password: Option<&str>, took: Duration) -> Result {
        let interactions = book
            .generated
            .as_ref()
            .map_or(0, |generated| generated.interactions);
        if self.json {
            return output::json(&json!({
                "dir": self.dir, "customers": book.customers, "seed": book.seed,
                "interactions": interactions, "user": password.map(|_| USER), "password": password,
                "seconds": took.as_secs_f64(),
            }));
        }
        output::line(&format!(
            "\ndemo {} in {}: {} of {}, in {}",
            if password.is_some() { "ready" } else { "made" },
            self.dir.display(),
            counted(interactions, "interaction", "interactions"),
            counted(book.customers, "customer", "customers"),
            duration(took)
        ))
    }
}

struct Opened {
    warehouse: Warehouse,
    /// There was no lake: whatever the book says, nothing is loaded.
    is_new: bool,
}

async fn open_or_make(context: &Context) -> Result<Opened> {
    let settings = context.settings().clone();
    let opening = runtimes::on(&context.compute, async move {
        let lake = Lake::open(open::location(&settings)?).await?;
        let is_new = !lake.exists().await?;
        if is_new {
            lake.create_root().await?;
        }
        let catalogue = open::catalogue(&settings, lake.location()).await?;
        let warehouse = Warehouse::open(lake, Some(catalogue), open::limits(&settings)).await?;
        warehouse.init().await?;
        Ok::<_, Failure>(Opened { warehouse, is_new })
    });
    context.interrupt.or(opening).await?
}

/// A second way out of the same door: the catalogue's process must not outlive the command.
async fn shut(warehouse: &Warehouse) {
    if let Some(catalogue) = warehouse.catalogue() {
        catalogue.shutdown().await;
    }
}

fn connect(address: SocketAddr, password: &str) -> String {
    format!(
        "\nConnect (the password is written nowhere; Ctrl-C ends the demo):\n\n  \
         psql \"postgres://{USER}:{password}@{address}/rapport\"\n"
    )
}
