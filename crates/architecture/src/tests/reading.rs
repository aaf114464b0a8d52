//! What is read from one file.

use super::workspace;
use crate::facts::{Facts, PathRole, Visibility};
use crate::read::read;

fn facts(text: &str) -> Facts {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn lines_of_code_are_neither_blank_nor_comments() {
    let text = "//! Head.\n\n/* a\n block */\nconst A: &str = \"\n// text\n\n\";\n\n/// Doc.\nfn f() {\n    // why\n    g(); // aside\n}\n";
    let facts = facts(text);
    assert_eq!((facts.code_lines, facts.test_lines), (6, 0), "three of the constant, three of the function");
    assert_eq!(facts.functions[0].lines, 3);
    assert!(facts.has_header);
    assert!(!super::reading::facts("fn f() {}").has_header);
}

#[test]
fn what_tests_have_is_counted_for_itself() {
    let facts =
        facts("fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n\n    // why\n}\n#[cfg(test)]\nfn h() {}\n");
    assert_eq!((facts.code_lines, facts.test_lines), (1, 6));
    let in_tests: Vec<bool> = facts.functions.iter().map(|function| function.in_tests).collect();
    assert_eq!(in_tests, [false, true, true]);
    assert!(!super::reading::facts("#[cfg(any(test, unix))]\nfn f() {}").functions[0].in_tests, "other builds have it");
}

#[test]
fn functions_of_every_visibility_are_found() {
    let text = "
        pub fn a() {}
        pub(crate) async fn b() {}
        pub(super) fn c() { fn inner() {} }
        pub(in crate::x) const fn d() {}
        fn e() {}
        struct S;
        impl S { pub(super) fn f() {} }
        impl Clone for S { fn clone(&self) -> S { S } }
        trait T { fn g(); fn h() {} }
        const K: fn() = || {
            a();
        };
        static L: LazyLock<u8> = LazyLock::new(|| 1);
        macro_rules! m { ($name:ident) => { fn $name() {} fn made() { a() } }; }
        other! { pub fn written() { b() } }
    ";
    let facts = facts(text);
    let found: Vec<(&str, Visibility)> = facts.functions.iter().map(|f| (f.name.as_str(), f.visibility)).collect();
    let wanted = [
        ("a", Visibility::Public),
        ("b", Visibility::Crate),
        ("c", Visibility::Super),
        ("inner", Visibility::Private),
        ("d", Visibility::Super),
        ("e", Visibility::Private),
        ("S::f", Visibility::Super),
        ("S::clone", Visibility::Trait),
        ("T::g", Visibility::Trait),
        ("T::h", Visibility::Trait),
        ("K", Visibility::Private),
        ("L", Visibility::Private),
        ("made", Visibility::Private),
        ("written", Visibility::Private),
    ];
    assert_eq!(found, wanted);
    assert_eq!(facts.functions[10].lines, 3, "the closure of the constant");
}

#[test]
fn a_signature_over_several_lines_counts() {
    let facts = facts("pub(super) async fn f(\n    a: u8,\n    b: u8,\n) -> u8\nwhere\n    u8: Copy,\n{\n    a\n}\n");
    assert_eq!(facts.functions[0].lines, 9);
}

#[test]
fn tests_are_known_by_their_attribute() {
    let facts = facts("#[test]\nfn a() {}\n#[tokio::test(start_paused = true)]\nasync fn b() {}\nfn c() {}\n");
    assert_eq!(facts.functions.iter().map(|function| function.is_test).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn fields_and_derives_are_read() {
    let text =
        "#[derive(Debug, utoipa::ToSchema)]\nstruct S { a: Option< String >, b: u8 }\nenum E { A, B(u8), C { d: u8 } }";
    let facts = facts(text);
    let names: Vec<&str> = facts.structs.iter().map(|structure| structure.name.as_str()).collect();
    assert_eq!(names, ["S", "E::B", "E::C"]);
    assert_eq!(facts.structs[0].derives, ["Debug", "ToSchema"]);
    assert_eq!(facts.structs[0].fields[0].kind, "Option<String>");
}

#[test]
fn paths_are_found_in_imports_in_code_and_in_macros() {
    let text = "
        use a::{b::C, d as e, f::{self, *}};
        pub use g::H;
        fn f<'a>(x: &'a i::J) -> impl K + use<'a> { select! { y = l::m() => format!(\"{}\", n::O) } p::q::<R<u8>>(1) }
        #[cfg(test)]
        use t::U;
    ";
    let facts = facts(text);
    let paths = |role: fn(&PathRole) -> bool| -> Vec<String> {
        let found = facts.paths.iter().filter(|path| role(&path.role) && !path.in_tests);
        found.map(|path| path.segments.join("::")).collect()
    };
    assert_eq!(paths(|role| *role == PathRole::Import), ["a::b::C", "a::d", "a::f"]);
    assert_eq!(paths(|role| *role == PathRole::ReExport), ["g::H"]);
    assert_eq!(paths(|role| *role == PathRole::Glob), ["a::f"]);
    assert_eq!(paths(|role| matches!(role, PathRole::Call(_))), ["l::m", "p::q"]);
    let mentioned = paths(|role| *role == PathRole::Mention);
    assert!(["i::J", "K", "n::O", "R"].iter().all(|path| mentioned.contains(&(*path).to_owned())), "{mentioned:?}");
    assert!(facts.paths.iter().any(|path| path.in_tests && path.segments == ["t", "U"]));
}

#[test]
fn all_targets_of_all_members_are_read_and_what_is_for_tests_is_known() {
    let workspace = workspace(&[
        ("src/lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\nmod inline { mod deep; }"),
        ("src/a/mod.rs", "#[path = \"other/place.rs\"]\nmod b;"),
        ("src/a/other/place.rs", ""),
        ("src/inline/deep.rs", ""),
        ("src/tests.rs", "mod more;"),
        ("src/tests/more.rs", ""),
        ("src/main.rs", ""),
        ("src/bin/tool.rs", ""),
        ("tests/server/main.rs", "mod support;"),
        ("tests/server/support.rs", ""),
        ("benches/paths.rs", ""),
        ("build.rs", ""),
        ("crates/json/Cargo.toml", "[package]\nname = \"trunkline-json\"\n[lib]\npath = \"lib.rs\"\n"),
        ("crates/json/lib.rs", ""),
        ("fuzz/Cargo.toml", "not a member"),
    ]);
    let paths: Vec<&str> = workspace.sources.iter().map(|source| source.path.as_str()).collect();
    let mut sorted = paths.clone();
    sorted.sort_unstable();
    let wanted = [
        "benches/paths.rs",
        "build.rs",
        "crates/json/lib.rs",
        "src/a/mod.rs",
        "src/a/other/place.rs",
        "src/bin/tool.rs",
        "src/inline/deep.rs",
        "src/lib.rs",
        "src/main.rs",
        "src/tests.rs",
        "src/tests/more.rs",
        "tests/server/main.rs",
        "tests/server/support.rs",
    ];
    assert_eq!(sorted, wanted);
    let tests = workspace.sources.iter().filter(|source| source.is_test).map(|source| source.path.as_str());
    assert_eq!(tests.collect::<Vec<_>>().len(), 4, "two below src, two below tests");
}
