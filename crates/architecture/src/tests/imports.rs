//! Edges between areas, crates that stand apart, crates of others, and where descriptions meet media.

use super::{area, workspace};
use crate::map::{Area, Foreign};
use crate::rules::{edge_faults, foreign_faults, meeting_places};

const LIB: (&str, &str) = ("src/lib.rs", "pub mod domain;\npub mod store;\npub mod api;");

fn areas() -> Vec<Area> {
    vec![
        area("api", "src/api", &["store::rows", "domain"]),
        area("store", "src/store", &["domain"]),
        area("domain", "src/domain", &[]),
    ]
}

/// Faults of `src/domain/agent.rs` with this text.
fn of_domain(text: &str) -> Vec<String> {
    let sources = [
        LIB,
        ("src/domain.rs", "mod agent;"),
        ("src/domain/agent.rs", text),
        ("src/store.rs", "pub struct Store; pub mod rows { pub struct Row; }"),
        ("src/api.rs", "use crate::domain; use crate::store::rows::Row;"),
    ];
    edge_faults(&workspace(&sources), &areas(), &[])
}

#[test]
fn an_import_that_the_map_does_not_have_is_found_however_it_is_written() {
    for text in [
        "use crate::store::Store;",
        "use crate::{store::Store};",
        "use super::super::store::Store;",
        "use crate::store as shop;\nfn f() { shop::Store; }",
        "fn f() -> crate::store::Store { todo!() }",
        "fn f() { format!(\"{}\", crate::store::Store) }",
        "fn f() { use crate::store::*; }",
        "mod inline { use super::super::super::store::Store; }",
    ] {
        assert!(of_domain(text)[0].starts_with("src/domain/agent.rs:1 imports "), "{text}");
    }
    for text in ["use crate::domain;", "use super::agent;", "fn f() { let store = 1; store }"] {
        assert_eq!(of_domain(text), [""; 0], "{text}");
    }
    assert_eq!(of_domain("#[cfg(test)]\nmod tests { use crate::store::Store; }"), [""; 0], "tests may");
    assert_eq!(of_domain("use crate::unheard_of::X;"), ["src/domain/agent.rs:1 imports crate::unheard_of::X"]);
}

#[test]
fn an_area_may_use_what_the_map_says_of_another_and_no_more() {
    let sources = |api| {
        [LIB, ("src/domain.rs", ""), ("src/store.rs", "pub mod rows;"), ("src/store/rows.rs", ""), ("src/api.rs", api)]
    };
    assert_eq!(edge_faults(&workspace(&sources("use crate::store::rows::Row;")), &areas(), &[]), [""; 0]);
    let faults = edge_faults(&workspace(&sources("use crate::store::rows_of;")), &areas(), &[]);
    assert_eq!(faults, ["src/api.rs:1 imports crate::store::rows_of"]);
}

#[test]
fn a_folder_that_becomes_a_crate_changes_one_line_of_the_map() {
    let mut areas = areas();
    areas[2] = area("domain", "crates/domain/src", &[]);
    let sources = |of_domain, api| {
        [
            ("src/lib.rs", "pub mod store;\npub mod api;"),
            ("src/store.rs", "use trunkline_domain::Agent;"),
            ("src/api.rs", api),
            ("crates/domain/Cargo.toml", "[package]\nname = \"trunkline-domain\"\n"),
            ("crates/domain/src/lib.rs", of_domain),
        ]
    };
    assert_eq!(edge_faults(&workspace(&sources("", "use trunkline_domain::X;")), &areas, &[]), [""; 0]);
    let faults = edge_faults(&workspace(&sources("use trunkline::store::Store;", "")), &areas, &[]);
    assert_eq!(faults, ["crates/domain/src/lib.rs:1 imports trunkline::store::Store"]);
}

#[test]
fn a_file_that_is_on_no_area_is_found() {
    let sources = [("src/lib.rs", "mod domain; mod shelf;"), ("src/domain.rs", ""), ("src/shelf.rs", "")];
    assert_eq!(edge_faults(&workspace(&sources), &areas(), &[]), ["src/shelf.rs is not on the map"]);
}

#[test]
fn crates_that_stand_apart_do_so_in_their_tests_too() {
    let areas = [area("media", "crates/media/src", &[]), area("signaling", "crates/signaling/src", &[])];
    let sources = |test| {
        [
            ("src/lib.rs", ""),
            ("crates/media/Cargo.toml", "[package]\nname = \"media\"\n"),
            ("crates/media/src/lib.rs", "#[cfg(test)]\nmod tests { use crate::X; }"),
            ("crates/media/tests/calls.rs", test),
            ("crates/signaling/Cargo.toml", "[package]\nname = \"signaling\"\n"),
            ("crates/signaling/src/lib.rs", ""),
        ]
    };
    for (test, faults) in [("use media::Leg;", 0), ("use signaling::Sdp;", 1), ("use trunkline::Call;", 1)] {
        assert_eq!(edge_faults(&workspace(&sources(test)), &areas, &["media", "signaling"]).len(), faults, "{test}");
    }
}

#[test]
fn a_second_file_that_knows_descriptions_and_media_is_found() {
    let areas =
        [area("media", "src/media", &[]), area("signaling", "src/signaling", &[]), area("call", "src/call", &[])];
    let sources = [
        ("src/lib.rs", "mod media; mod signaling; mod call;"),
        ("src/media.rs", "pub struct Leg;"),
        ("src/signaling.rs", "pub mod sdp { pub struct Sdp; } pub mod sip {}"),
        ("src/call.rs", "mod negotiate; mod other; mod sip;"),
        ("src/call/negotiate.rs", "use crate::media::Leg; use crate::signaling::sdp::Sdp;"),
        ("src/call/other.rs", "use crate::media; fn f() { media::Leg; crate::signaling::sdp::Sdp; }"),
        ("src/call/sip.rs", "use crate::media::Leg; use crate::signaling::sip;"),
    ];
    let found = meeting_places(&workspace(&sources), &areas, ("signaling::sdp", "media"));
    assert_eq!(found, ["src/call/negotiate.rs", "src/call/other.rs"]);
}

#[test]
fn foreign_crates_stay_in_their_places() {
    let rule = |tests_too| Foreign { library: "sqlx", places: &["store"], tests_too };
    let world = |domain, store| {
        let sources = [LIB, ("src/domain.rs", domain), ("src/store.rs", store), ("src/api.rs", "")];
        workspace(&sources)
    };
    let faults = |domain, tests_too| foreign_faults(&world(domain, "use sqlx::Row;"), &areas(), &rule(tests_too));
    assert_eq!(faults("", true), [""; 0]);
    assert_eq!(faults("use sqlx::Row;", false), ["src/domain.rs:1: sqlx"]);
    assert_eq!(faults("#[derive(sqlx::FromRow)] struct S;", false), ["src/domain.rs:1: sqlx"]);
    let test = "#[cfg(test)] mod tests { use sqlx::Row; }";
    assert_eq!((faults(test, false).len(), faults(test, true).len()), (0, 1));
    assert_eq!(foreign_faults(&world("", ""), &areas(), &rule(false)).len(), 1, "a rule that finds nothing is wrong");
    let manifest = "[package]\nname = \"json\"\n[dev-dependencies]\nsqlx = \"0.9\"\n";
    let sources = [
        LIB,
        ("src/domain.rs", ""),
        ("src/store.rs", "use sqlx::Row;"),
        ("src/api.rs", ""),
        ("crates/json/Cargo.toml", manifest),
        ("crates/json/src/lib.rs", ""),
    ];
    assert_eq!(foreign_faults(&workspace(&sources), &areas(), &rule(true)), ["crates/json/Cargo.toml: sqlx"]);
}
