//! One child, several users of it; what it has acknowledged survives kill -9.

use std::time::{Duration, Instant};

use rapport_catalog_postgres::Settings;
use tempfile::TempDir;

use crate::house::{VERIFIER, ask, check, kill, open, pid, try_open, with_ann};

#[tokio::test]
async fn two_openers_share_one_child() {
    let dir = TempDir::new().expect("a temporary folder");
    let (one, two) = tokio::join!(open(dir.path()), open(dir.path()));
    one.create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    check(&two, "ann", "select current_user", &["ann"]).await;
    pid(dir.path());
}

#[tokio::test]
async fn many_sessions_at_once_are_all_answered() {
    let (_dir, catalogue) = with_ann().await;
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let catalogue = catalogue.clone();
            tokio::spawn(async move {
                check(&catalogue, "ann", &format!("select {i}"), &[&i.to_string()]).await
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn an_open_definition_keeps_others_waiting_and_loses_nothing() {
    let (dir, catalogue) = with_ann().await;
    let other = open(dir.path()).await;
    let ddl = catalogue
        .begin_ddl("ann", &Settings::new(), "create table t (a int)")
        .await
        .expect("a table");
    let waiting = tokio::spawn(async move { ask(&other, "ann", "select count(*) from t").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    ddl.commit().await.expect("a commit");
    assert!(waiting.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn a_dropped_definition_is_rolled_back() {
    let (_dir, catalogue) = with_ann().await;
    let ddl = catalogue
        .begin_ddl("ann", &Settings::new(), "create table t (a int)")
        .await
        .expect("a table");
    drop(ddl);
    check(&catalogue, "ann", "select to_regclass('t')", &["NULL"]).await;
}

#[tokio::test]
async fn killed_between_statements_it_comes_back_with_all_it_had() {
    let (dir, catalogue) = with_ann().await;
    for i in 0..8 {
        let sql = format!("create table t{i} (a int)");
        let ddl = catalogue
            .begin_ddl("ann", &Settings::new(), &sql)
            .await
            .expect("a table");
        ddl.commit().await.expect("a commit");
        kill(dir.path());
        let count = (i + 1).to_string();
        check(
            &catalogue,
            "ann",
            "select count(*) from pg_class where relname ~ '^t[0-9]$'",
            &[&count],
        )
        .await;
    }
}

#[tokio::test]
async fn killed_during_a_definition_it_is_as_if_it_had_never_begun() {
    let (dir, catalogue) = with_ann().await;
    for _ in 0..4 {
        let ddl = catalogue
            .begin_ddl("ann", &Settings::new(), "create table t (a int)")
            .await
            .expect("a table");
        kill(dir.path());
        ddl.commit().await.expect_err("the process was killed");
        check(&catalogue, "ann", "select to_regclass('t')", &["NULL"]).await;
    }
}

#[tokio::test]
async fn killed_at_random_moments_it_loses_nothing_acknowledged() {
    let (dir, catalogue) = with_ann().await;
    let killer = {
        let dir = dir.path().to_owned();
        tokio::task::spawn_blocking(move || {
            for i in 0u64..6 {
                std::thread::sleep(Duration::from_millis(150 + 37 * i));
                let _ = std::panic::catch_unwind(|| kill(&dir));
            }
        })
    };
    let mut made = 0;
    while !killer.is_finished() {
        let role = format!("r{made}");
        match catalogue.create_role(&role, VERIFIER, false).await {
            Ok(()) => made += 1,
            // The next attempt of the same name must find it absent or present, never half.
            Err(rapport_catalog_postgres::Error::Lost(_)) => {}
            Err(error) => panic!("{error}"),
        }
        let count = catalogue.list_roles().await.expect("roles").len();
        assert_eq!(count, made + 1);
    }
    killer.await.expect("no panic");
    assert!(made > 0);
}

#[tokio::test]
async fn the_child_leaves_when_nobody_needs_it() {
    let (dir, catalogue) = with_ann().await;
    let child = pid(dir.path());
    catalogue.shutdown().await;
    gone(child).await;
    let catalogue = open(dir.path()).await;
    check(&catalogue, "ann", "select 1", &["1"]).await;
}

#[tokio::test]
async fn the_child_leaves_when_its_folder_vanishes() {
    let (dir, catalogue) = with_ann().await;
    let child = pid(dir.path());
    drop(dir);
    gone(child).await;
    drop(catalogue);
}

async fn gone(pid: u32) {
    let started = Instant::now();
    let is_there = || std::fs::read_link(format!("/proc/{pid}/exe")).is_ok();
    while is_there() && started.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!is_there(), "process {pid} is still there");
}

#[tokio::test]
async fn damaged_files_are_put_aside_and_the_catalogue_starts_empty() {
    let (dir, catalogue) = with_ann().await;
    let child = pid(dir.path());
    catalogue.shutdown().await;
    gone(child).await;
    let control = dir.path().join("data/tmp/pglite/base/global/pg_control");
    std::fs::write(&control, [0; 8192]).expect("a write");
    let catalogue = open(dir.path()).await;
    assert!(catalogue.list_roles().await.expect("roles").is_empty());
    assert!(dir.path().join("data.damaged").exists());
}

#[tokio::test]
async fn a_folder_of_a_later_version_is_refused_with_a_reason() {
    let dir = TempDir::new().expect("a temporary folder");
    std::fs::write(dir.path().join("format"), "99\n").expect("a write");
    let refused = try_open(dir.path()).await.expect_err("a later version");
    assert!(
        refused.to_string().contains("use a newer rapport"),
        "{refused}"
    );
}
