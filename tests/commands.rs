//! The binary's manners: help, exit codes, settings, users, what scripts read.

mod fits;
mod jobs;
mod limits;
mod models;
mod tls;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::fixtures::files;
use crate::fixtures::place;
use crate::fixtures::process::{Running, signal};
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Endpoint, Warehouse, finish, free_lake};

pub fn trials() -> Vec<Trial> {
    let mut trials = trials!["commands";
        every_command_has_help_with_an_example,
        a_wrong_flag_is_exit_code_2,
        an_unknown_setting_names_the_nearest,
        settings_tell_their_origin_and_hide_secrets,
        init_twice_harms_nothing,
        tables_say_what_is_there,
        json_is_json,
        a_generated_password_logs_in,
        a_changed_password_counts_at_once_and_a_removed_user_is_out,
        a_taken_port_is_named,
        serve_ends_at_sigterm_and_frees_the_lake,
        clients_are_told_when_the_server_ends_and_may_finish,
        the_demo_goes_through_without_serving,
        the_demo_takes_no_other_lake,
        a_bucket_without_credentials_says_what_is_missing,
        the_demo_answers_three_questions_and_lets_its_user_in,
        completions_are_written_for_each_shell,
        the_manual_of_functions_is_written_down,
        a_function_is_explained,
    ];
    trials.extend(fits::trials());
    trials.extend(models::trials());
    trials.extend(jobs::trials());
    trials.extend(limits::trials());
    trials.extend(tls::trials());
    trials
}

pub fn stop_shared() {
    models::stop_shared();
}

const COMMANDS: [&str; 13] = [
    "demo",
    "init",
    "serve",
    "load",
    "sources",
    "model",
    "refresh",
    "functions",
    "tables",
    "check",
    "compact",
    "user",
    "settings",
];

fn nowhere() -> Result<Warehouse> {
    let folder = free_lake()?;
    let url = folder.path().join("lake").display().to_string();
    Ok(Warehouse::at(folder, url, vec![]))
}

fn the_manual_of_functions_is_written_down() -> Result<()> {
    let told = nowhere()?.succeed(["functions", "--markdown"])?;
    let written = std::fs::read_to_string(place::root().join("FUNCTIONS.md"))?;
    let how = "run `cargo run -- functions --markdown > FUNCTIONS.md`";
    ensure!(told.trim_end() == written.trim_end(), "{how}");
    Ok(())
}

fn a_function_is_explained() -> Result<()> {
    let warehouse = nowhere()?;
    let told = warehouse.succeed(["functions", "FUNNEL"])?;
    ensure!(told.starts_with("funnel(relation, customer"), "{told}");
    let told = warehouse.succeed(["functions", "nps"])?;
    ensure!(!told.contains("nps_low("), "{told}");
    let told = warehouse.succeed(["functions", "bgnbd_", "--json"])?;
    let pages: Value = serde_json::from_str(&told)?;
    let pages = pages.as_array().context("an array")?;
    let of_name = |page: &Value| {
        page["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("bgnbd_"))
    };
    ensure!(pages.len() > 3 && pages.iter().all(of_name), "{told}");
    let failed = warehouse.fail(["functions", "no_such"])?;
    ensure!(failed.contains("there is no function no_such"), "{failed}");
    Ok(())
}

fn every_command_has_help_with_an_example() -> Result<()> {
    let warehouse = nowhere()?;
    let all = warehouse.succeed(["--help"])?;
    for command in COMMANDS.iter().chain(&["completions"]) {
        ensure!(all.contains(command), "--help does not list {command}");
        let help = warehouse.succeed([*command, "--help"])?;
        ensure!(help.contains("Example"), "{command} --help has no example");
        ensure!(
            help.contains(&format!("rapport {command}")),
            "{command} --help has no example"
        );
    }
    for what in ["add", "passwd", "list", "remove"] {
        ensure!(
            warehouse
                .succeed(["user", what, "--help"])?
                .contains("Example"),
            "user {what} --help has no example"
        );
    }
    Ok(())
}

fn a_wrong_flag_is_exit_code_2() -> Result<()> {
    let warehouse = nowhere()?;
    for arguments in [
        ["--nonsense"].as_slice(),
        &["serve", "--nonsense"],
        &["load"],
        &["nonsense"],
        &["user"],
    ] {
        let done = warehouse.run(arguments)?;
        ensure!(done.code == Some(2), "{done}");
    }
    Ok(())
}

fn an_unknown_setting_names_the_nearest() -> Result<()> {
    let warehouse = nowhere()?;
    let mut command = warehouse.command(["settings"])?;
    command.env("RAPPORT_QUERY__TIMOUT", "1s");
    let done = finish(command)?;
    ensure!(
        done.code != Some(0) && done.stderr.contains("query.timeout"),
        "{done}"
    );
    std::fs::write(
        warehouse.folder().join("rapport.toml"),
        "[serve]\nlisen = \"127.0.0.1:1\"\n",
    )?;
    let done = warehouse.run(["settings"])?;
    ensure!(
        done.code != Some(0) && done.stderr.contains("serve.listen"),
        "{done}"
    );
    Ok(())
}

fn settings_tell_their_origin_and_hide_secrets() -> Result<()> {
    let warehouse = nowhere()?;
    std::fs::write(
        warehouse.folder().join("rapport.toml"),
        "[query]\ntimeout = \"7s\"\n",
    )?;
    let mut command = warehouse.command(["settings", "--json"])?;
    command.env("RAPPORT_LAKE__OPTIONS__AWS_SECRET_ACCESS_KEY", "hush-hush");
    command.env(
        "RAPPORT_CATALOG__URL",
        "postgres://me:hush-hush@localhost/x",
    );
    let done = finish(command)?;
    ensure!(done.code == Some(0), "{done}");
    ensure!(
        !done.stdout.contains("hush-hush"),
        "a secret is shown: {done}"
    );
    ensure!(
        done.stdout.contains("rapport.toml") && done.stdout.contains("RAPPORT_LAKE__URL"),
        "{done}"
    );
    serde_json::from_str::<Value>(&done.stdout)?;
    Ok(())
}

fn init_twice_harms_nothing() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let source = files::source(warehouse.folder())?;
    let data = files::visits(warehouse.folder(), "v.csv", 0..100)?;
    warehouse.succeed(["load".as_ref(), source.as_os_str(), data.as_os_str()])?;
    let done = warehouse.run(["init"])?;
    ensure!(done.code == Some(0), "{done}");
    ensure!(done.stdout.contains("0 tables created"), "{done}");
    warehouse.succeed(["check"])?;
    let server = warehouse.serve()?;
    ensure!(server.ask("SELECT count(*) FROM interactions")? == [["100"]]);
    Ok(())
}

fn tables_say_what_is_there() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let source = files::source(warehouse.folder())?;
    let data = files::visits(warehouse.folder(), "v.csv", 0..1234)?;
    warehouse.succeed(["load".as_ref(), source.as_os_str(), data.as_os_str()])?;
    let tables: Vec<Value> = serde_json::from_str(&warehouse.succeed(["tables", "--json"])?)?;
    let interactions = tables
        .iter()
        .find(|table| {
            table["table"]
                .as_str()
                .is_some_and(|name| name.ends_with("interactions"))
        })
        .context("interactions")?;
    ensure!(
        interactions["rows"] == 1234 && interactions["files"] == 1,
        "{interactions}"
    );
    ensure!(
        interactions["bytes"].as_u64() > Some(1000),
        "{interactions}"
    );
    ensure!(tables.len() == 11, "{} tables", tables.len());
    ensure!(warehouse.succeed(["tables"])?.contains("1,234"));
    Ok(())
}

fn json_is_json() -> Result<()> {
    let warehouse = Warehouse::init()?;
    for arguments in [
        ["tables", "--json"].as_slice(),
        &["check", "--json"],
        &["settings", "--json"],
        &["user", "list", "--json"],
        &["compact", "--json"],
    ] {
        let text = warehouse.succeed(arguments)?;
        serde_json::from_str::<Value>(&text).with_context(|| format!("{arguments:?}: {text}"))?;
    }
    Ok(())
}

fn logs_in(endpoint: &Endpoint, user: &str, password: &str) -> Result<bool> {
    let endpoint = Endpoint {
        user: user.to_owned(),
        password: password.to_owned(),
        ..endpoint.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match endpoint.connect().await {
            Ok(_) => Ok(true),
            Err(error) if error.code().is_some_and(|code| code.code() == "28P01") => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
}

fn a_generated_password_logs_in() -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    let said = server
        .warehouse()
        .succeed(["user", "add", "etl", "--generate"])?;
    let password = said.trim().rsplit(' ').next().context("a password")?;
    ensure!(password.len() >= 16, "{said}");
    ensure!(
        logs_in(server.endpoint(), "etl", password)?,
        "the password said does not log in: {said}"
    );
    ensure!(!logs_in(server.endpoint(), "etl", "another")?);
    let said = server
        .warehouse()
        .fail(["user", "add", "etl", "--generate"])?;
    ensure!(said.contains("etl") && said.contains("already"), "{said}");
    Ok(())
}

fn a_changed_password_counts_at_once_and_a_removed_user_is_out() -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    let with_password = |arguments: [&str; 3], password: &str| -> Result<()> {
        let mut command = server.warehouse().command(arguments)?;
        command.env("RAPPORT_PASSWORD", password);
        let done = finish(command)?;
        ensure!(done.code == Some(0), "{done}");
        Ok(())
    };
    with_password(["user", "add", "anna"], "the first one")?;
    ensure!(logs_in(server.endpoint(), "anna", "the first one")?);
    with_password(["user", "passwd", "anna"], "the second one")?;
    ensure!(logs_in(server.endpoint(), "anna", "the second one")?);
    ensure!(
        !logs_in(server.endpoint(), "anna", "the first one")?,
        "the old password still works"
    );
    let users: Value =
        serde_json::from_str(&server.warehouse().succeed(["user", "list", "--json"])?)?;
    ensure!(
        users.to_string().contains("anna") && !users.to_string().contains("SCRAM"),
        "{users}"
    );
    server.warehouse().succeed(["user", "remove", "anna"])?;
    ensure!(
        !logs_in(server.endpoint(), "anna", "the second one")?,
        "a removed user logs in"
    );
    server.warehouse().fail(["user", "remove", "anna"])?;
    Ok(())
}

fn a_taken_port_is_named() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    let mut command = warehouse.command(["serve"])?;
    command.env("RAPPORT_SERVE__LISTEN", &address);
    let done = finish(command)?;
    ensure!(
        done.code == Some(1) && done.stderr.contains(&address),
        "{done}"
    );
    Ok(())
}

fn serve_ends_at_sigterm_and_frees_the_lake() -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    server.ask("CREATE TABLE own (a integer)")?;
    let warehouse = server.stop()?;
    let server = warehouse.serve()?;
    ensure!(server.ask("SELECT count(*) FROM own")? == [["0"]]);
    Ok(())
}

fn clients_are_told_when_the_server_ends_and_may_finish() -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    let endpoint = server.endpoint().clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let connect = async || endpoint.config().connect(tokio_postgres::NoTls).await;
        let (_idle, idle_connection) = connect().await?;
        let (busy, busy_connection) = connect().await?;
        let (idle_ends, busy_ends) = (tokio::spawn(idle_connection), tokio::spawn(busy_connection));
        let asked = tokio::spawn(async move {
            let rows = busy.query("SELECT pg_sleep(2), 'done'", &[]).await;
            (busy, rows)
        });
        // One second and a half is left of the statement then.
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal(endpoint.process, "TERM")?;
        let code = |ended: Result<(), tokio_postgres::Error>| {
            ended
                .err()
                .and_then(|error| error.code().map(|code| code.code().to_owned()))
        };
        ensure!(code(idle_ends.await?).as_deref() == Some("57P01"));
        let (_busy, rows) = asked.await?;
        let rows = rows?;
        let done: &str = rows.first().context("a row")?.get(1);
        ensure!(done == "done");
        ensure!(code(busy_ends.await?).as_deref() == Some("57P01"));
        anyhow::Ok(())
    })
}

fn the_demo_goes_through_without_serving() -> Result<()> {
    let warehouse = nowhere()?;
    let said = warehouse.succeed(["demo", "--customers", "2000", "--seed", "7", "--no-serve"])?;
    ensure!(
        warehouse.folder().join("rapport-demo").is_dir(),
        "it is not under ./rapport-demo: {said}"
    );
    Ok(())
}

fn the_demo_takes_no_other_lake() -> Result<()> {
    let done = nowhere()?.run(["demo", "--no-serve", "--lake", "elsewhere"])?;
    ensure!(
        done.code == Some(2) && done.stderr.contains("--dir"),
        "{done}"
    );
    Ok(())
}

fn a_bucket_without_credentials_says_what_is_missing() -> Result<()> {
    let warehouse = nowhere()?;
    let mut command = warehouse.command(["init", "--lake", "s3://nobody-has-this-bucket/lake"])?;
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT"] {
        command.env_remove(variable);
    }
    // Nobody listens there, as on a machine that is not Amazon's.
    command.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9");
    let done = finish(command)?;
    ensure!(
        done.code == Some(1) && done.stderr.contains("AWS_ACCESS_KEY_ID and"),
        "{done}"
    );
    Ok(())
}

fn the_demo_answers_three_questions_and_lets_its_user_in() -> Result<()> {
    let warehouse = nowhere()?;
    // Somebody has the usual port, be it us: the demo takes another and says which.
    let _taken = std::net::TcpListener::bind(("127.0.0.1", 5432));
    let mut command = warehouse.command(["demo", "--customers", "1000"])?;
    let log = warehouse.folder().join("demo.log");
    let mut demo = Running::start("rapport demo", &mut command, &log)?;
    let url = demo.wait_until(Duration::from_secs(100), || {
        let said = std::fs::read_to_string(&log).ok()?;
        let url = &said[said.find("postgres://")?..];
        Some(url[..url.find('"')?].to_owned())
    })?;
    let said = demo.log();
    for question in ["\n1. ", "\n2. ", "\n3. ", "psql \"postgres://"] {
        ensure!(said.contains(question), "no {question:?} in {said}");
    }
    ensure!(!url.contains(":5432/"), "{url} is taken by somebody else");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rows: i64 = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let row = client
            .query_one("SELECT count(*) FROM interactions", &[])
            .await?;
        anyhow::Ok(row.get(0))
    })?;
    ensure!(rows > 20_000, "{rows} interactions");
    demo.stop(Duration::from_secs(30))?;
    Ok(())
}

fn completions_are_written_for_each_shell() -> Result<()> {
    let warehouse = nowhere()?;
    for shell in ["bash", "zsh", "fish"] {
        ensure!(
            warehouse
                .succeed(["completions", shell])?
                .contains("rapport"),
            "{shell}"
        );
    }
    Ok(())
}
