//! `rapport serve`: the PostgreSQL endpoint, until somebody says stop.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use rapport_engine::Warehouse;
use rapport_jobs::{Endpoint, Metrics, serve_http};
use rapport_models::Models;
use rapport_pgwire::{ServerConfig, Tls};
use tokio::net::TcpListener;

use super::{Context, jobs};
use crate::failure::{Failure, Result};
use crate::settings::{Flags, ServeSettings, Settings, TlsMode};
use crate::{certificate, open, output, runtimes};

/// Serve the lake to PostgreSQL clients: psql, Tableau, Power BI and all others
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport serve\n  rapport serve --listen 0.0.0.0:5432 --lake s3://my-bucket/rapport\n  rapport serve --listen 0.0.0.0:5432 --tls-self-signed\n\n\
    Users are added with `rapport user add`, also while it serves. Ctrl-C stops it."
)]
pub struct Serve {
    /// Address and port to listen on (setting serve.listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Clients beyond this many are refused (setting serve.max_connections)
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Encrypt with a certificate of the server's own making, which is kept beside the catalogue
    #[arg(long)]
    tls_self_signed: bool,
    /// Address and port of /metrics, /livez and /readyz over HTTP (setting serve.metrics)
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<String>,
}

impl Serve {
    pub fn add_flags(&self, flags: &mut Flags) {
        flags.put("--listen", "serve.listen", self.listen.as_ref());
        flags.put(
            "--max-connections",
            "serve.max_connections",
            self.max_connections,
        );
        flags.put("--metrics", "serve.metrics", self.metrics.as_ref());
    }

    pub async fn run(self, mut context: Context) -> Result {
        if self.tls_self_signed {
            give_certificate(&mut context.loaded.settings)?;
        }
        let settings = context.settings().clone();
        // First what is known in no time: the lake may be far away.
        tls(&settings.serve)?;
        let listener = bind(settings.serve.listen).await?;
        let opening = runtimes::on(
            &context.compute,
            async move { open::warehouse(&settings).await },
        );
        let warehouse = context.interrupt.or(opening).await??;
        let users = warehouse
            .catalogue()
            .expect("opened with one")
            .list_roles()
            .await?;
        let tables = warehouse.lake().table_names().await?.len();
        let address = listener
            .local_addr()
            .map_err(|e| Failure::doing("asking for the port", &e))?;
        eprintln!(
            "serving {} ({}) on {address}, {}; Ctrl-C stops",
            warehouse.lake().location().display(),
            output::counted(tables as u64, "table", "tables"),
            match context.settings().serve.tls_mode() {
                TlsMode::Off => "not encrypted",
                TlsMode::Allow => "encrypted for those who ask for it",
                TlsMode::Require => "encrypted",
            }
        );
        if !users.iter().any(|role| role.can_login && role.has_password) {
            eprintln!("nobody can log in yet: add a user with `rapport user add NAME`");
        }
        run(listener, warehouse, &context).await
    }
}

/// Serves until the first Ctrl-C or SIGTERM; the catalogue is closed after the last connection.
pub async fn run(listener: TcpListener, warehouse: Warehouse, context: &Context) -> Result {
    let beside = warehouse.beside(open::job_limits(context.settings()))?;
    let limits = rapport_models::Limits {
        lease: context.settings().jobs.lease.or_very_long(),
    };
    let models = Models::new(beside, limits).named("rapport serve");
    let scheduled = Arc::new(jobs::ScheduledModels(models.clone()));
    let mut config = config(context, models);
    if let Some(tls) = tls(&context.settings().serve)? {
        let tls = Arc::new(tls);
        config.tls = Some(tls.clone());
        #[cfg(unix)]
        reload_at_hangup(tls)?;
    }
    match open::endpoint_secret(context.settings(), warehouse.lake().location()) {
        Ok(secret) => config.secret = secret,
        Err(error) => {
            tracing::warn!(%error, "the endpoint's secret can't be kept; using one for this run")
        }
    }
    let stop = context.interrupt.token.clone();
    let catalogue = warehouse.catalogue().cloned();
    let counters = config.counters.clone();
    let endpoint = move || Endpoint {
        connections: counters.connections(),
        completed: counters.completed(),
        failed: counters.failed(),
    };
    let metrics = Metrics::new(warehouse.clone(), endpoint, Some(scheduled.clone()));
    if let Some(address) = context.settings().serve.metrics {
        let listener = bind(address).await?;
        let pages = serve_http(listener, warehouse.clone(), metrics.clone(), stop.clone());
        tokio::spawn(pages);
    }
    let who = match listener.local_addr() {
        Ok(address) => format!("rapport serve on {address}"),
        Err(_) => "rapport serve".to_owned(),
    };
    let jobs = jobs::start(context, &warehouse, metrics, scheduled, who).await?;
    let served = rapport_pgwire::serve(listener, warehouse, config, stop).await;
    jobs::end(jobs).await;
    if let Some(catalogue) = catalogue {
        catalogue.shutdown().await;
    }
    served.map_err(|error| Failure::doing("serving", &error))?;
    eprintln!("stopped");
    // A service manager that says "stop" gets what it asked for; Ctrl-C is an interruption wherever it comes.
    if context.interrupt.is_by_user() {
        return Err(Failure::stopped());
    }
    Ok(())
}

fn config(context: &Context, models: Models) -> ServerConfig {
    let Settings { serve, .. } = context.settings();
    ServerConfig {
        max_connections: serve.max_connections,
        login_timeout: serve.login_timeout.or_very_long(),
        write_timeout: serve.write_timeout.or_very_long(),
        idle_timeout: serve.idle_timeout.limit(),
        max_message_bytes: serve.max_message.bytes(),
        shutdown_grace: serve.shutdown_grace.limit().unwrap_or_default(),
        ..ServerConfig::new(context.compute.clone(), models)
    }
}

/// Names the server's own certificate in the settings, where none is named.
fn give_certificate(settings: &mut Settings) -> Result {
    if settings.serve.tls_cert.is_some() {
        return Err(Failure::usage(
            "--tls-self-signed is for a server without a certificate, and serve.tls_cert names one",
        ));
    }
    let lake = open::location(settings)?;
    let place = open::catalogue_dir(settings, &lake).with_file_name("endpoint");
    let (certificate, key) = certificate::own(&place, settings.serve.listen.ip())?;
    settings.serve.tls_cert = Some(certificate);
    settings.serve.tls_key = Some(key);
    Ok(())
}

/// The certificate, if one is to be used.
fn tls(serve: &ServeSettings) -> Result<Option<Tls>> {
    let is_required = match serve.tls_mode() {
        TlsMode::Off => return Ok(None),
        TlsMode::Allow => false,
        TlsMode::Require => true,
    };
    let (Some(certificate), Some(key)) = (&serve.tls_cert, &serve.tls_key) else {
        return Err(Failure::new("TLS needs a certificate").hint(
            "name its files with serve.tls_cert and serve.tls_key, or let `--tls-self-signed` make one",
        ));
    };
    Tls::open(certificate, key, is_required)
        .map(Some)
        .map_err(|error| {
            Failure::doing("starting TLS", &error)
                .hint("serve.tls_cert and serve.tls_key name two PEM files that belong together")
        })
}

/// SIGHUP reads the certificate again, as it does in PostgreSQL.
#[cfg(unix)]
fn reload_at_hangup(tls: Arc<Tls>) -> Result {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups =
        signal(SignalKind::hangup()).map_err(|e| Failure::doing("watching for SIGHUP", &e))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tls.reload();
        }
    });
    Ok(())
}

pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    use std::io::ErrorKind;
    TcpListener::bind(address).await.map_err(|error| {
        let failure = match error.kind() {
            ErrorKind::AddrInUse => Failure::new(format!("{address} is taken by another program")),
            ErrorKind::PermissionDenied => Failure::new(format!("this user may not listen on {address}")),
            ErrorKind::AddrNotAvailable => {
                Failure::new(format!("{} is not an address of this machine", address.ip()))
            }
            _ => Failure::doing(format!("listening on {address}"), &error),
        };
        failure.hint(
            "name another with `--listen ADDRESS:PORT`, RAPPORT_SERVE__LISTEN or serve.listen in rapport.toml",
        )
    })
}
