//! Certificates as an operator handles them: given, renewed, broken.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::fixtures::process::signal;
use crate::fixtures::trial::{skip, trials};
use crate::fixtures::warehouse::{Done, Server, Warehouse, finish};
use crate::fixtures::{place, tls};

pub fn trials() -> Vec<Trial> {
    trials!["commands";
        a_server_that_requires_tls_refuses_what_is_not_encrypted,
        a_server_without_a_certificate_says_that_it_has_none,
        a_renewed_certificate_is_shown_to_new_connections,
        a_broken_certificate_leaves_the_one_before,
        a_hangup_ends_nothing,
        a_certificate_that_is_not_there_is_named,
        a_key_of_another_certificate_is_refused,
        a_server_makes_its_own_certificate_and_keeps_it,
    ]
}

/// psql with a mode of encryption, and whom it trusts.
fn ask(server: &Server, mode: &str, authority: Option<&str>) -> Result<Done> {
    let authority = authority.map_or("/nowhere".into(), tls::file);
    ask_trusting(server, mode, &authority)
}

fn ask_trusting(server: &Server, mode: &str, authority: &Path) -> Result<Done> {
    let Some(psql) = place::program("psql") else {
        return skip("psql is not installed (tests/run installs it where it can)");
    };
    let mut command = Command::new(psql);
    command
        .args(["-X", "-w", "-A", "-t", "-c", "SELECT 1"])
        .envs(server.endpoint().libpq())
        .env("PGHOST", "localhost")
        .env("PGHOSTADDR", "127.0.0.1")
        .env("PGSSLMODE", mode)
        .env("PGSSLROOTCERT", authority);
    finish(command)
}

fn a_server_that_requires_tls_refuses_what_is_not_encrypted() -> Result<()> {
    let [certificate, key] = tls::settings();
    let server = Warehouse::init()?.serve_with([
        certificate,
        key,
        ("RAPPORT_SERVE__TLS", "require".into()),
    ])?;
    let plain = ask(&server, "disable", None)?;
    ensure!(
        plain.code == Some(2) && plain.stderr.contains("no encryption"),
        "{plain}"
    );
    let encrypted = ask(&server, "verify-full", Some("ca.crt"))?;
    ensure!(encrypted.code == Some(0), "{encrypted}");
    // A client that would rather not gives in.
    let reluctant = ask(&server, "allow", None)?;
    ensure!(reluctant.code == Some(0), "{reluctant}");
    Ok(())
}

fn a_server_without_a_certificate_says_that_it_has_none() -> Result<()> {
    let server = Warehouse::init()?.serve_with::<&str>([])?;
    let encrypted = ask(&server, "require", None)?;
    ensure!(
        encrypted.code == Some(2) && encrypted.stderr.contains("server does not support SSL"),
        "{encrypted}"
    );
    let plain = ask(&server, "prefer", None)?;
    ensure!(plain.code == Some(0), "{plain}");
    Ok(())
}

/// A server with a pair of files of its own.
fn serve_pair() -> Result<Server> {
    let warehouse = Warehouse::init()?;
    let folder = warehouse.folder().to_owned();
    put(&folder, "server.crt", "server.key")?;
    warehouse.serve_with([
        ("RAPPORT_SERVE__TLS_CERT", folder.join("crt")),
        ("RAPPORT_SERVE__TLS_KEY", folder.join("key")),
    ])
}

fn put(folder: &Path, certificate: &str, key: &str) -> Result<()> {
    for (from, to) in [(certificate, "crt"), (key, "key")] {
        fs::copy(tls::file(from), folder.join(to)).with_context(|| from.to_owned())?;
    }
    Ok(())
}

fn trusts(server: &Server, authority: &str) -> Result<bool> {
    let done = ask(server, "verify-full", Some(authority))?;
    ensure!(
        done.code == Some(0) || done.stderr.contains("certificate verify failed"),
        "{done}"
    );
    Ok(done.code == Some(0))
}

fn a_renewed_certificate_is_shown_to_new_connections() -> Result<()> {
    let server = serve_pair()?;
    ensure!(trusts(&server, "ca.crt")?);
    put(server.warehouse().folder(), "other.crt", "other.key")?;
    ensure!(trusts(&server, "other.crt")?);
    ensure!(!trusts(&server, "ca.crt")?);
    Ok(())
}

fn a_broken_certificate_leaves_the_one_before() -> Result<()> {
    let server = serve_pair()?;
    let folder = server.warehouse().folder().to_owned();
    // Half of a renewal: the key does not fit yet.
    put(&folder, "other.crt", "server.key")?;
    ensure!(trusts(&server, "ca.crt")?);
    ensure!(server.log().contains("can't be used"), "{}", server.log());
    fs::remove_file(folder.join("key"))?;
    ensure!(trusts(&server, "ca.crt")?);
    put(&folder, "other.crt", "other.key")?;
    ensure!(trusts(&server, "other.crt")?);
    Ok(())
}

fn a_hangup_ends_nothing() -> Result<()> {
    let server = serve_pair()?;
    put(server.warehouse().folder(), "other.crt", "other.key")?;
    signal(server.endpoint().process, "HUP")?;
    ensure!(trusts(&server, "other.crt")?);
    ensure!(server.ask("SELECT 1")? == [["1"]]);
    Ok(())
}

fn refused(
    settings: impl IntoIterator<Item = (&'static str, std::path::PathBuf)>,
) -> Result<String> {
    let warehouse = Warehouse::init()?;
    let mut serve = warehouse.command(["serve"])?;
    serve.env("RAPPORT_SERVE__LISTEN", "127.0.0.1:0");
    serve.envs(settings);
    let done = finish(serve)?;
    ensure!(done.code == Some(1), "{done}");
    Ok(done.stderr)
}

fn a_certificate_that_is_not_there_is_named() -> Result<()> {
    let [_, key] = tls::settings();
    let said = refused([
        ("RAPPORT_SERVE__TLS_CERT", "/nowhere/server.crt".into()),
        key,
    ])?;
    ensure!(said.contains("/nowhere/server.crt"), "{said}");
    let said = refused([("RAPPORT_SERVE__TLS", "require".into())])?;
    ensure!(said.contains("serve.tls_cert"), "{said}");
    Ok(())
}

fn a_key_of_another_certificate_is_refused() -> Result<()> {
    let [certificate, _] = tls::settings();
    let said = refused([
        certificate,
        ("RAPPORT_SERVE__TLS_KEY", tls::file("other.key")),
    ])?;
    ensure!(said.contains("can't be used"), "{said}");
    Ok(())
}

fn a_server_makes_its_own_certificate_and_keeps_it() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let certificate = warehouse.lake().join("_rapport/endpoint.crt");
    let mut server =
        warehouse.serve_as(&["--tls-self-signed"], [("RAPPORT_SERVE__TLS", "require")])?;
    let first = fs::read(&certificate)?;
    let verified = ask_trusting(&server, "verify-full", &certificate)?;
    ensure!(verified.code == Some(0), "{verified}");
    let warehouse = server.stop()?;
    server = warehouse.serve_as(&["--tls-self-signed"], [("RAPPORT_SERVE__TLS", "allow")])?;
    ensure!(fs::read(&certificate)? == first);
    let verified = ask_trusting(&server, "verify-full", &certificate)?;
    ensure!(verified.code == Some(0), "{verified}");
    Ok(())
}
