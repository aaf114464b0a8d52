//! Headers of files, names of secrets, and documents that name tests and rules.

use super::{area, workspace};
use crate::manifest::Files;
use crate::rules::{Proofs, contract_faults, silent, tests_without_name, unnamed_rules, unsealed};

#[test]
fn a_file_without_a_sentence_is_found() {
    let sources = [("src/lib.rs", "//! The root.\nmod a;"), ("src/a.rs", "// No documentation.\n")];
    assert_eq!(silent(&workspace(&sources)), ["src/a.rs"]);
}

#[test]
fn a_secret_in_the_clear_is_found() {
    let found = |text| unsealed(&workspace(&[("src/lib.rs", text)]), &["password", "token"], &["token_file"]);
    for text in [
        "struct S { password: String }",
        "enum E { A { sip_password: Option<String> } }",
        "pub(super) fn f(token: Arc<str>) {}",
        "impl S { fn f(&self, token: Option<Arc<str>>) {} }",
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
    }
    for text in [
        "struct S { password: Secret, token_file: String, tokens: u8 }",
        "fn f(token: &str) {}",
        "#[cfg(test)] struct S { password: String }",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_row_without_its_test_is_found() {
    let rings = "#[cfg(test)]\nmod tests {\n#[test]\nfn it_rings() {\nassert!(ring_ms > 0);\n}\nfn helper() {}\n\
        #[test]\n#[ignore]\nfn it_waits() {\nassert!(true);\n}\n#[test]\nfn it_does_nothing() {\nring();\n}\n}";
    let files = [
        ("src/lib.rs", "mod call;"),
        ("src/call.rs", "mod machine;"),
        ("src/call/machine.rs", rings),
        ("tests/server/main.rs", "mod api;"),
        ("tests/server/api.rs", "#[tokio::test]\nasync fn keys_are_needed() {\nget(\"keys_list\").unwrap();\n}"),
    ];
    let workspace = workspace(&files);
    let areas = [area("call", "src/call", &[])];
    let texts = |files: &[(&str, &str)]| files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    let fixtures: Files =
        texts(&[("fixtures/api/keys_list.snap", "api_key"), ("fixtures/api/other.snap", "other_key")]);
    let sources: Files = texts(&files);
    let server_tests = "tests/server/main.rs";
    let proofs = Proofs { workspace: &workspace, areas: &areas, server_tests, sources: &sources, fixtures: &fixtures };
    let faults = |rows: &str| contract_faults(proofs, rows, 0);
    let says = |sentence: &str, proof: &str| {
        faults(&format!("| Document | Sentence | Proven by |\n| A | {sentence} | {proof} |\n"))
    };
    let rings = "`call::machine::tests::it_rings`, `api::keys_are_needed`";
    for sentence in ["It rings", "ring_ms", "the api_key rings"] {
        assert_eq!(says(sentence, rings), [""; 0], "{sentence}");
    }
    for (sentence, proof) in [
        ("It rings", "`api::keys_are_not_needed`"),
        ("It rings", "`call::machine::tests::helper`"),
        ("It rings", "`call::machine::tests::it_waits`"),
        ("It rings", "`call::machine::tests::it_does_nothing`"),
        ("It rings", ""),
        ("ring_s", rings),
        ("X-Ring", rings),
        ("the other_key rings", rings),
    ] {
        assert_eq!(says(sentence, proof).len(), 1, "{sentence} {proof}");
    }
    assert_eq!(faults("no table"), ["0 rows"]);
    assert_eq!(tests_without_name(&workspace, "See `it_rings`, `it_ri…` and `src/call.rs`.", 1), [""; 0]);
    assert_eq!(tests_without_name(&workspace, "See `it_rings_twice`.", 0), ["it_rings_twice"]);
    assert_eq!(tests_without_name(&workspace, "See `it_rings`.", 1), ["1 tests are named"]);
}

#[test]
fn a_rule_that_the_table_does_not_name_is_found() {
    let document =
        "### Rules\n\n| Rule | Name |\n| Imports. | `one_way` |\n| Old. | `gone` |\n\n## More\n| x | `other` |\n";
    let faults = unnamed_rules(&["one_way", "new"], document);
    assert_eq!(faults, ["gone is in the table, and no rule", "new is not in the table"]);
}
