//! `catalog.url`: an ordinary PostgreSQL in place of the embedded one. Where none is installed, there is nothing to test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rapport_catalog_postgres::{Catalogue, Config, Error, Place, Settings};
use tempfile::TempDir;

use crate::house::{VERIFIER, ask, check, check_refused};

/// A server with one superuser, password "secret", that listens on a socket in its folder; with TLS on a port too.
struct Server {
    dir: TempDir,
    process: Child,
    superuser: &'static str,
}

impl Server {
    fn start() -> Option<Server> {
        Self::start_with("postgres", &["-c", "listen_addresses="])
    }

    fn start_with(superuser: &'static str, settings: &[&str]) -> Option<Server> {
        let programs = installed()?;
        let dir = TempDir::new().expect("a temporary folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a chmod");
        if let Some(user) = nobody() {
            chown(dir.path(), Some(user), None).expect("a chown");
        }
        let password = dir.path().join("password");
        fs::write(&password, "secret").expect("a write");
        let data = dir.path().join("data");
        let made = program(&programs, "initdb")
            .args([
                "-A",
                "scram-sha-256",
                "-U",
                superuser,
                "--no-sync",
                "-E",
                "UTF8",
                "--locale",
                "C",
            ])
            .arg("--pwfile")
            .arg(password)
            .arg(&data)
            .status();
        assert!(made.expect("initdb runs").success());
        let process = program(&programs, "postgres")
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(dir.path())
            .args(["-c", "fsync=off"])
            .args(settings)
            .spawn()
            .expect("postgres starts");
        Some(Server {
            dir,
            process,
            superuser,
        })
    }

    async fn open(&self, statement_timeout: Duration) -> Catalogue {
        let url = self.url(self.superuser);
        self.open_at(url, statement_timeout)
            .await
            .expect("the catalogue opens")
    }

    fn url(&self, user: &str) -> String {
        let dir = self.dir.path().to_str().expect("a plain path");
        format!(
            "postgres://{user}:secret@{}/postgres",
            dir.replace('/', "%2F")
        )
    }

    /// Waits for the server to start.
    async fn open_at(&self, url: String, statement_timeout: Duration) -> Result<Catalogue, Error> {
        let config = Config {
            place: Place::Url(url),
            statement_timeout,
        };
        let started = Instant::now();
        loop {
            match Catalogue::open(config.clone()).await {
                Err(Error::BadServer { what, .. })
                    if is_starting(&what) && started.elapsed() < Duration::from_secs(20) =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_starting(what: &str) -> bool {
    ["No such file", "refused", "starting up"]
        .iter()
        .any(|words| what.contains(words))
}

/// Debian keeps the programs of each version in a folder of its own.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .find(|bin| bin.join("initdb").exists())
}

/// PostgreSQL refuses to run as root.
fn nobody() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    is_root.then_some(65_534)
}

fn program(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    if let Some(user) = nobody() {
        command.uid(user).gid(user);
    }
    command
}

#[tokio::test]
async fn an_ordinary_postgresql_serves_as_the_catalogue() {
    check_serves("postgres").await;
}

#[tokio::test]
async fn its_superuser_may_have_any_name() {
    check_serves("boss").await;
}

async fn check_serves(superuser: &'static str) {
    let Some(server) = Server::start_with(superuser, &["-c", "listen_addresses="]) else {
        return;
    };
    let catalogue = server.open(Duration::from_secs(30)).await;
    catalogue
        .create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    assert_eq!(
        catalogue
            .verifier("ann")
            .await
            .expect("an answer")
            .as_deref(),
        Some(VERIFIER)
    );
    check(
        &catalogue,
        "ann",
        "select current_user, session_user",
        &["ann|ann"],
    )
    .await;
    check_refused(
        &catalogue,
        "ann",
        "select set_config('role', 'postgres', true)",
        "42501",
    )
    .await;
    check_refused(
        &catalogue,
        "ann",
        "select pg_read_file('PG_VERSION')",
        "42501",
    )
    .await;
    let ddl = catalogue
        .begin_ddl(
            "ann",
            &Settings::new(),
            "create table t (a int primary key, b text)",
        )
        .await;
    ddl.expect("a table").commit().await.expect("a commit");
    let ddl = catalogue
        .begin_ddl("ann", &Settings::new(), "create view v as select a from t")
        .await;
    ddl.expect("a view").commit().await.expect("a commit");
    let dump = catalogue.dump().await.expect("a dump");
    catalogue.restore(&dump).await.expect("a restore");
    assert_eq!(catalogue.dump().await.expect("a dump"), dump);
    check(&catalogue, "ann", "select count(*) from v", &["0"]).await;
}

#[tokio::test]
async fn a_runaway_query_of_an_ordinary_postgresql_is_cancelled() {
    let Some(server) = Server::start() else {
        return;
    };
    let catalogue = server.open(Duration::from_millis(300)).await;
    catalogue
        .create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    let runaway = "select count(*) from pg_attribute a, pg_attribute b, pg_attribute c";
    let refused = ask(&catalogue, "ann", runaway).await;
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
    let started = Instant::now();
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_attribute a%' and pid <> pg_backend_pid()";
    loop {
        let reply = ask(&catalogue, Catalogue::OWNER, running)
            .await
            .expect("a query");
        if crate::house::text(&reply) == ["0"] {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it still runs");
    }
}

#[tokio::test]
async fn a_wrong_password_is_the_servers_own_words() {
    let Some(server) = Server::start() else {
        return;
    };
    server.open(Duration::from_secs(30)).await;
    let dir = server
        .dir
        .path()
        .to_str()
        .expect("a plain path")
        .replace('/', "%2F");
    let place = Place::Url(format!("postgres://postgres:wrong@{dir}/postgres"));
    let refused = Catalogue::open(Config {
        place,
        statement_timeout: Duration::from_secs(1),
    })
    .await;
    let refused = refused.expect_err("a wrong password").to_string();
    assert!(
        refused.contains("password authentication failed") && !refused.contains("wrong"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_role_that_is_no_superuser_is_refused_with_the_reason() {
    let Some(server) = Server::start() else {
        return;
    };
    let catalogue = server.open(PATIENCE).await;
    // A verifier of "secret" is made by the server itself.
    let sql = "create role maker login createrole createdb password 'secret'";
    let mut psql = program(&installed().expect("it has been found"), "psql");
    let made = psql.arg(server.url("postgres")).args(["-c", sql]).status();
    assert!(made.expect("psql runs").success());
    drop(catalogue);
    let refused = server.open_at(server.url("maker"), PATIENCE).await;
    let refused = refused.expect_err("no superuser").to_string();
    assert!(refused.contains("maker is no superuser"), "{refused}");
}

#[tokio::test]
async fn the_way_to_the_server_is_encrypted_as_the_url_says() {
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tls");
    let copies = TempDir::new().expect("a temporary folder");
    fs::set_permissions(copies.path(), fs::Permissions::from_mode(0o755)).expect("a chmod");
    for name in ["server.crt", "server.key"] {
        let copy = copies.path().join(name);
        fs::copy(tls.join(name), &copy).expect("a copy");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).expect("a chmod");
        if let Some(user) = nobody() {
            chown(&copy, Some(user), None).expect("a chown");
        }
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let file = |name: &str| copies.path().join(name).display().to_string();
    let settings = [
        "-p".to_owned(),
        port.to_string(),
        "-c".to_owned(),
        "listen_addresses=127.0.0.1,127.0.0.2".to_owned(),
        "-c".to_owned(),
        "ssl=on".to_owned(),
        "-c".to_owned(),
        format!("ssl_cert_file={}", file("server.crt")),
        "-c".to_owned(),
        format!("ssl_key_file={}", file("server.key")),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let Some(server) = Server::start_with("boss", &settings) else {
        return;
    };
    let believed = tls.join("ca.crt").display().to_string();
    let other = tls.join("other.crt").display().to_string();
    let open = async |host: &str, more: &str| {
        let url = format!("postgres://boss:secret@{host}:{port}/postgres{more}");
        let catalogue = server.open_at(url, PATIENCE).await?;
        let ssl = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
        let reply = ask(&catalogue, Catalogue::OWNER, ssl).await?;
        Ok::<_, Error>(crate::house::text(&reply) == ["t"])
    };
    for more in [
        String::new(),
        "?sslmode=require".to_owned(),
        format!("?sslmode=verify-ca&sslrootcert={believed}"),
        format!("?sslmode=verify-full&sslrootcert={believed}"),
    ] {
        assert!(open("127.0.0.1", &more).await.expect("it opens"), "{more}");
    }
    assert!(
        !open("127.0.0.1", "?sslmode=disable")
            .await
            .expect("it opens")
    );
    for more in [
        format!("?sslmode=require&sslrootcert={other}"),
        format!("?sslmode=verify-full&sslrootcert={other}"),
    ] {
        let refused = open("127.0.0.1", &more).await;
        assert!(matches!(refused, Err(Error::BadServer { .. })), "{more}");
    }
    // The certificate is for localhost and 127.0.0.1.
    let elsewhere = |mode: &str| format!("?sslmode={mode}&sslrootcert={believed}");
    assert!(open("127.0.0.2", &elsewhere("verify-full")).await.is_err());
    assert!(
        open("127.0.0.2", &elsewhere("verify-ca"))
            .await
            .expect("it opens")
    );
}

const PATIENCE: Duration = Duration::from_secs(30);
