//! Machines that touch the world, and tasks that nobody contains.

use super::{area, workspace};
use crate::rules::{impure, uncontained};

fn impurities(text: &str) -> usize {
    let sources = [("src/lib.rs", "mod call;"), ("src/call.rs", text)];
    impure(&workspace(&sources), &[area("call", "src/call", &[])], &["call"], &["/driver.rs"]).len()
}

#[test]
fn a_machine_that_touches_the_world_is_found() {
    for text in [
        "fn f() { std::time::Instant::now(); }",
        "use std::time::Instant as Clock; fn f() { Clock::now(); }",
        "fn f() { x.unwrap_or_else(SystemTime::now); }",
        "async fn f() { tokio::time::sleep(d).await }",
        "async fn f() { select! { _ = sleep_until(d) => {} } }",
        "fn f() { std::thread::spawn(f); }",
        "fn f() { thread::Builder::new().spawn(f); }",
        "struct S(std::sync::Mutex<u8>);",
        "fn f(lock: &RwLock<u8>) {}",
        "fn f() { mpsc::unbounded_channel::<u8>(); }",
        "use std::net::UdpSocket as S;",
        "use tokio::net;fn f() { net::lookup_host(x); }",
        "fn f() { std::fs::read(x); }",
    ] {
        assert!(impurities(text) > 0, "{text}");
    }
    for text in [
        "/// Never a Mutex, `Instant::now` or sleep(…).\nfn f(now: std::time::Instant) { let text = \"Mutex, sleep(\"; }",
        "fn spawn(respawn: u8) { respawn(1) }",
        "#[cfg(test)] mod tests { fn f() { std::time::Instant::now(); } }",
        "use std::net::SocketAddr;",
    ] {
        assert_eq!(impurities(text), 0, "{text}");
    }
}

#[test]
fn drivers_and_other_areas_may_touch_the_world() {
    let clock = "fn f() { Instant::now(); }";
    let sources = [
        ("src/lib.rs", "mod call; mod app;"),
        ("src/call.rs", "mod driver;"),
        ("src/call/driver.rs", clock),
        ("src/app.rs", clock),
    ];
    let areas = [area("call", "src/call", &[]), area("app", "src/app", &[])];
    assert_eq!(impure(&workspace(&sources), &areas, &["call"], &["/driver.rs"]), [""; 0]);
    assert_eq!(impure(&workspace(&sources), &areas, &["call"], &[]).len(), 1);
}

fn spawns(text: &str) -> usize {
    let sources = [("src/lib.rs", "mod call; mod cli;"), ("src/call.rs", text), ("src/cli.rs", text)];
    uncontained(&workspace(&sources), &[area("call", "src/call", &[]), area("cli", "src/cli", &[])], &["cli"], &[])
        .len()
}

#[test]
fn a_task_that_names_no_part_is_found() {
    for text in [
        "fn f() { tokio::spawn(g()); }",
        "use tokio::spawn; fn f() { spawn(contain(\"call\", g())); }",
        "fn f() { tokio::task::spawn_blocking(contain(\"call\", g)); }",
        "fn f() { std::thread::spawn(\"call\"); }",
        "fn f() { tasks.spawn(g()); }",
        "fn f() { select! { _ = x => { tasks.spawn_local(async {}); } } }",
        "fn f() { supervision::spawn(name, g()); }",
    ] {
        assert_eq!(spawns(text), 1, "{text}");
    }
    for text in [
        "fn f() { supervision::spawn(\"call\", g()); }",
        "fn f(part: &'static str) { supervision::spawn(part, g()); }",
        "fn f() { tasks.spawn(contain(\"call\", g())); }",
        "fn f() { Command::new(\"x\").spawn(); }",
        "fn spawn(task: u8) {}",
        "#[cfg(test)] mod tests { fn f() { tokio::spawn(g()); } }",
    ] {
        assert_eq!(spawns(text), 0, "{text}");
    }
}
