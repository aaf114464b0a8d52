//! Circles between files.

use super::workspace;
use crate::circles::circles;

/// The files of every circle, with the files of the root crate below `src`.
fn found(sources: &[(&str, &str)]) -> Vec<Vec<String>> {
    circles(&workspace(sources)).into_iter().map(|circle| circle.files).collect()
}

const NONE: [Vec<String>; 0] = [];

#[test]
fn siblings_that_use_each_other_are_a_circle() {
    let lib = ("src/lib.rs", "mod a; mod b; mod c;");
    let c = ("src/c.rs", "pub struct C; use crate::a::A;");
    for b in [
        "use crate::a::A; pub struct B;",
        "pub struct B; fn f() -> super::a::A { todo!() }",
        "pub struct B; fn f() { log!(crate::a::A) }",
    ] {
        assert_eq!(
            found(&[lib, ("src/a.rs", "use super::b::B; pub struct A;"), ("src/b.rs", b), c]),
            [["src/a.rs", "src/b.rs"]],
            "{b}"
        );
    }
    let one_way = [lib, ("src/a.rs", "use super::b::B; pub struct A;"), ("src/b.rs", "pub struct B;"), c];
    assert_eq!(found(&one_way), NONE);
    let in_tests = [lib, one_way[1], ("src/b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"), c];
    assert_eq!(found(&in_tests), NONE);
}

#[test]
fn a_way_over_a_third_file_closes_a_circle_too() {
    let sources = [
        ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
        ("src/a.rs", "use crate::b; pub fn go() { b::go() }"),
        ("src/b.rs", "pub fn go() { crate::c::go() }"),
        ("src/c.rs", "use crate::a as first; pub fn go() { first::go() }"),
        ("src/d.rs", "use crate::a::go; pub fn last() { go() }"),
    ];
    assert_eq!(found(&sources), [["src/a.rs", "src/b.rs", "src/c.rs"]]);
}

#[test]
fn a_parent_and_a_child_are_a_circle_if_each_uses_what_the_other_defines() {
    let sources = |parent, child| [("src/lib.rs", "mod a;"), ("src/a.rs", parent), ("src/a/b.rs", child)];
    let child = "use super::A; pub struct B(A); pub fn go() {}";
    for parent in [
        "mod b; pub struct A; struct Other(b::B);",
        "mod b; use b::B; pub struct A;",
        "mod b; pub use b::B; pub struct A; struct Other(B);",
        "mod b; pub use b::go; pub struct A; fn f() { go() }",
        "mod b; pub use self::b::*; pub struct A; struct Other(B);",
    ] {
        assert_eq!(found(&sources(parent, child)), [["src/a.rs", "src/a/b.rs"]], "{parent}");
    }
    for parent in
        ["mod b; pub struct A;", "mod b; pub use b::B; pub struct A;", "pub mod b; pub use b::*; pub struct A;"]
    {
        assert_eq!(found(&sources(parent, child)), NONE, "{parent}");
    }
    let glob = "use super::*; pub struct B(A);";
    assert_eq!(found(&sources("mod b; pub struct A; struct Other(b::B);", glob)), [["src/a.rs", "src/a/b.rs"]]);
    assert_eq!(found(&sources("mod b { pub struct B; } use b::B; pub struct A;", "")), NONE, "one file");
}

#[test]
fn re_exports_are_followed_to_the_file_that_defines() {
    let sources = [
        ("src/lib.rs", "mod a; pub use a::Deep;"),
        ("src/a.rs", "mod b; mod c; pub use b::Deep; use c::Other as Alias; pub fn f(x: Alias) {}"),
        ("src/a/b.rs", "pub struct Deep; fn f() { super::c::go() }"),
        ("src/a/c.rs", "pub struct Other; pub fn go() { crate::Deep; }"),
    ];
    assert_eq!(found(&sources), [["src/a/b.rs", "src/a/c.rs"]], "neither lib.rs nor a.rs defines `Deep`");
}

#[test]
fn what_closes_a_circle_is_named() {
    let sources = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::{B, State}; pub struct A; fn f(b: B) { State::Ringing; }"),
        ("src/b.rs", "pub struct B; pub enum State { Ringing } pub fn go() { crate::a::A::new() }"),
    ];
    let circles = circles(&workspace(&sources));
    let edges: Vec<(&str, &[String])> =
        circles[0].edges.iter().map(|edge| (edge.from.as_str(), edge.items.as_slice())).collect();
    assert_eq!(edges, [("src/a.rs", &["B".to_owned(), "State".to_owned()][..]), ("src/b.rs", &["A".to_owned()][..])]);
    assert_eq!(circles[0].package, "trunkline");
}
