//! A bucket that fails at some step of a refresh. 6 rounds, as each takes long; `RAPPORT_TEST_ROUNDS` asks for more.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::faults::kill::rounds;
use crate::faults::models::{
    CUSTOMERS, is_settled, make, refresh, refresh_cleanly, runs, version_read, with_tables,
};
use crate::fixtures::proxy::{Fault, Proxy};
use crate::fixtures::stores::Store;
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Warehouse, free_lake};

pub fn trials() -> Vec<Trial> {
    trials!["faults::bucket";
        a_bucket_that_fails_at_any_step_publishes_all_or_nothing_and_says_so,
    ]
}

const MODEL: &str = "worth";

fn a_bucket_that_fails_at_any_step_publishes_all_or_nothing_and_says_so() -> Result<()> {
    let store = Store::moto()?;
    let url = store.lake("fails");
    let warehouse = with_tables(Warehouse::init_in_bucket(&url, store.variables())?)?;
    make(&warehouse, MODEL, "stopping")?;
    let server = warehouse.serve()?;
    let proxy = Proxy::start(store.address())?;
    let mut variables = store.variables();
    for (name, value) in &mut variables {
        if name == "AWS_ENDPOINT_URL" {
            *value = proxy.url();
        }
    }
    let behind = Warehouse::at(free_lake()?, url, variables);
    refresh_cleanly(&behind, MODEL)?;
    proxy.set(Fault::None);
    refresh_cleanly(&behind, MODEL)?;
    let requests = proxy.seen();
    let (mut refused, mut unharmed) = (0, 0);
    for round in 0..rounds() * 3 / 5 {
        // The last ones, which publish, more often than the others.
        let n = match round % 2 {
            0 => rand::random_range(0..requests),
            _ => rand::random_range(requests - requests / 4..requests),
        };
        let fault = match round % 3 {
            0 => Fault::From(n),
            1 => Fault::Some(n, rand::random_range(1..4)),
            _ => Fault::AnswerLost(n),
        };
        let told = || format!("round {round}, {fault:?} of {requests}");
        let before = is_settled(&server, MODEL, CUSTOMERS)?;
        let published = runs(&server, MODEL, "published")?;
        proxy.set(fault);
        let done = refresh(&behind, MODEL)?;
        let seen = version_read(&server, MODEL, CUSTOMERS)
            .with_context(|| format!("{}, right after it: {done}", told()))?;
        ensure!(
            seen == before || seen == before + 1,
            "{}: version {seen} after version {before}: {done}",
            told()
        );
        match done.code {
            Some(0) => {
                ensure!(
                    seen == before + 1,
                    "{}: it was not published: {done}",
                    told()
                );
                unharmed += 1;
            }
            Some(1) => {
                ensure!(done.stderr.contains("error"), "{}: silent: {done}", told());
                refused += 1;
            }
            _ => anyhow::bail!("{}: {done}", told()),
        }
        proxy.set(Fault::None);
        refresh_cleanly(&behind, MODEL).with_context(told)?;
        let next = is_settled(&server, MODEL, CUSTOMERS)
            .with_context(|| format!("{}, after the next refresh: {done}", told()))?;
        let published = runs(&server, MODEL, "published")? - published;
        ensure!(
            next == before + published as i64 && (seen == before || published == 2),
            "{}: version {next} after version {before} and {published} runs that published: {done}",
            told()
        );
    }
    println!(
        "a bucket that failed at one of {requests} requests: {refused} refreshes were refused, {unharmed} published"
    );
    server.warehouse().succeed(["check"])?;
    Ok(())
}
