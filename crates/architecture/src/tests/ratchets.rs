//! What is beyond its limit, and the list of what is known to be.

use super::{lines, workspace};
use crate::map::{FIELDS_MAX, FILE_LINES_MAX, FUNCTION_LINES_MAX};
use crate::rules::{Known, Offender, compare, offenders, unlimited};
use crate::table::table;

/// Offenders of one rule in `src/lib.rs` and other files.
fn found(rule: &str, sources: &[(&str, &str)]) -> Vec<(String, usize)> {
    let found = offenders(&workspace(sources)).into_iter().filter(|offender| offender.rule == rule);
    found.map(|offender| (offender.name, offender.count)).collect()
}

fn function(head: &str, count: usize) -> String {
    format!("{head} {{\n{}\n    // why\n}}\n", lines(count - 2, |at| format!("    step({at});\n")))
}

#[test]
fn a_long_function_of_any_visibility_is_found_in_tests_too() {
    for head in
        ["fn f()", "pub(super) fn f()", "pub(crate) async fn f()", "#[test]\nfn f()", "pub unsafe extern \"C\" fn f()"]
    {
        assert_eq!(found("function", &[("src/lib.rs", &function(head, FUNCTION_LINES_MAX))]), []);
        let longer = function(head, FUNCTION_LINES_MAX + 1);
        assert_eq!(found("function", &[("src/lib.rs", &longer)]), [("src/lib.rs::f".to_owned(), 61)], "{head}");
    }
    let body = function("fn f()", 61);
    for (text, name) in [
        (format!("impl<T> S<T> {{ pub(super) {body} }}"), "src/lib.rs::S::f"),
        (format!("impl Drop for a::S {{ {body} }}"), "src/lib.rs::S::f"),
        (format!("trait T {{ {body} }}"), "src/lib.rs::T::f"),
        (format!("#[cfg(test)] mod tests {{ {body} }}"), "src/lib.rs::f"),
        (format!("fn outer() {{ {body} }}"), "src/lib.rs::f"),
        (format!("const F: fn() = {};", function("||", 61)), "src/lib.rs::F"),
        (format!("proptest! {{ {body} }}"), "src/lib.rs::f"),
    ] {
        assert!(found("function", &[("src/lib.rs", &text)]).contains(&(name.to_owned(), 61)), "{text}");
    }
    let in_tests = [("src/lib.rs", ""), ("tests/calls.rs", &*body), ("benches/paths.rs", &*body)];
    assert_eq!(found("function", &in_tests).len(), 2);
}

#[test]
fn a_long_file_is_found_and_its_tests_count_for_themselves() {
    let code = lines(FILE_LINES_MAX, |at| format!("/// Why.\nconst A{at}: u8 = 0;\n\n"));
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        lines(FILE_LINES_MAX - 3, |at| format!("const A{at}: u8 = 0;\n"))
    );
    let whole = format!("{code}{tests}");
    assert_eq!(found("file", &[("src/lib.rs", &whole)]), []);
    let longer = format!("{whole}const B: u8 = 0;");
    assert_eq!(found("file", &[("src/lib.rs", &longer)]), [("src/lib.rs".to_owned(), 451)]);
    let longer = whole.replace("mod tests {", "mod tests {\nconst B: u8 = 0;");
    assert_eq!(found("file", &[("src/lib.rs", &longer)]), [("src/lib.rs::tests".to_owned(), 451)]);
    let all_tests = format!("{code}const B: u8 = 0;");
    let sources =
        [("src/lib.rs", "#[cfg(test)] mod tests;"), ("src/tests.rs", &*all_tests), ("tests/calls.rs", &all_tests)];
    assert_eq!(found("file", &sources).len(), 2);
}

#[test]
fn a_wide_struct_is_found_unless_it_is_a_document() {
    let fields = |count| lines(count, |at| format!("f{at}: u8, "));
    let wide = fields(FIELDS_MAX + 1);
    let structure = |derives: &str, fields: &str| format!("#[derive({derives})] pub(super) struct S {{ {fields} }}");
    let of = |text: &str| found("struct", &[("src/lib.rs", text)]).len();
    assert_eq!(of(&structure("Debug", &fields(FIELDS_MAX))), 0);
    assert_eq!(of(&structure("Debug, Serialize, Deserialize", &wide)), 1);
    assert_eq!(of(&structure("Debug, utoipa::ToSchema", &wide)), 0);
    assert_eq!(of(&structure("garde::Validate", &wide)), 0);
    assert_eq!(of(&format!("enum E {{ A {{ {wide} }} }}")), 1);
    assert_eq!(of(&format!("struct CallMachine {{ {} }}", fields(13))), 1);
    assert_eq!(of(&format!("#[derive(ToSchema)] struct Leg {{ {} }}", fields(17))), 1, "no document");
    assert_eq!(of(&format!("struct CallMachine {{ {} }} struct Leg {{ {} }}", fields(12), fields(16))), 0);
    let settings = structure("Deserialize", &wide);
    let sources = |derives: &str| found("struct", &[("src/lib.rs", "mod config;"), ("src/config.rs", derives)]).len();
    assert_eq!((sources(&settings), sources(&structure("Debug", &wide))), (0, 1));
}

#[test]
fn a_sleep_of_a_test_is_found_however_it_is_called() {
    let support = "async fn poll() { loop { tokio::time::sleep(d).await } }";
    let of = |text: &str| {
        let sources = [
            ("src/lib.rs", "fn f() { std::thread::sleep(d) }"),
            ("tests/server/main.rs", "mod support; mod calls;"),
            ("tests/server/support/mod.rs", "mod polling;"),
            ("tests/server/support/polling.rs", support),
            ("tests/server/calls.rs", text),
        ];
        found("sleep", &sources)
    };
    for text in [
        "fn f() { std::thread::sleep(d) }",
        "async fn f() { tokio::time::sleep(d).await }",
        "use tokio::time; async fn f() { time::sleep(d).await }",
        "use std::thread::sleep; fn f() { sleep(d) }",
        "use std::thread::sleep as nap; fn f() { nap(d) }",
        "async fn f() { select! { _ = tokio::time::sleep_until(d) => {} } }",
        "fn f() { list.for_each(std::thread::sleep) }",
    ] {
        assert_eq!(of(text), [("tests/server/calls.rs::f".to_owned(), 1)], "{text}");
    }
    assert_eq!(of("fn f() { sleep(d) } fn sleep(d: u8) {}"), []);
    let in_a_file = "#[cfg(test)] mod tests { fn f() { std::thread::sleep(d); std::thread::sleep(d) } }";
    assert_eq!(found("sleep", &[("src/lib.rs", in_a_file)]), [("src/lib.rs::f".to_owned(), 2)]);
}

#[test]
fn every_file_of_a_circle_is_an_offender() {
    let sources = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "pub struct A(crate::b::B);"),
        ("src/b.rs", "pub struct B(crate::a::A);"),
    ];
    assert_eq!(found("circle", &sources), [("src/a.rs".to_owned(), 2), ("src/b.rs".to_owned(), 2)]);
    assert!(table(&workspace(&sources)).is_ok_and(|text| text.contains("Circles between files: 1 with 2 files")));
}

fn offender(name: &str, count: usize) -> Offender {
    Offender { rule: "function".to_owned(), name: name.to_owned(), count }
}

#[test]
fn the_list_can_only_shrink() {
    let known = Known::parse("# head\n\nfunction 70 a::f\nfile 500 b\n").unwrap_or_default();
    let compared = |offenders: &[Offender]| compare(offenders, &known, "function");
    assert_eq!(compared(&[offender("a::f", 70)]), [""; 0]);
    assert_eq!(compared(&[offender("a::f", 65)]), [""; 0]);
    assert_eq!(compared(&[offender("a::f", 71)]), ["a::f has 71, and had 70 before"]);
    assert_eq!(compared(&[offender("a::f", 70), offender("a::g", 61)]), ["a::g has 61, which is beyond the limit"]);
    assert_eq!(compared(&[]), ["a::f is mended or has moved: take it off known.txt"]);
    assert!(Known::parse("function a::f").is_err());
}

#[test]
fn the_list_is_read_as_it_is_printed() {
    let offenders = [offender("a::f", 70), offender("a::g", 61)];
    let text = Known::print(&offenders).unwrap_or_default();
    let known = Known::parse(&text).unwrap_or_default();
    assert_eq!(compare(&offenders, &known, "function"), [""; 0]);
}

#[test]
fn a_limit_of_nothing_is_found() {
    let faults = unlimited(&workspace(&[("src/lib.rs", "struct Machine;")]));
    assert!(faults.contains(&"tests/server/support/polling.rs::poll".to_owned()), "{faults:?}");
    assert!(faults.contains(&"no file is at src/api".to_owned()), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("the leg")), "{faults:?}");
}
