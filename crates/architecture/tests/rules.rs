//! The map is kept true: the rules of ARCHITECTURE.md against the sources of the workspace. One test, because the
//! sources are read once for all rules; each fault names its rule.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use trunkline_architecture::map::{
    APART, AREAS, DRIVERS, FOREIGN, MACHINES, NEGOTIATED, NEGOTIATION, NOT_SECRET, SECRET_NAMES, SERVER_TESTS,
    SPAWN_FREELY, SPAWN_FREELY_IN,
};
use trunkline_architecture::rules::{
    Known, Offender, Proofs, compare, contract_faults, edge_faults, foreign_faults, impure, meeting_places, offenders,
    silent, tests_without_name, uncontained, unlimited, unnamed_rules, unsealed,
};
use trunkline_architecture::{Files, Workspace, files};

/// What is asked by several rules, read once.
struct Tree {
    workspace: Workspace,
    offenders: Vec<Offender>,
    known: Known,
}

/// A rule by its name in ARCHITECTURE.md, and what breaks it.
type Rule = (&'static str, fn(&Tree) -> Vec<String>);

const RULES: &[Rule] = &[
    ("imports_point_one_way", |tree| edge_faults(&tree.workspace, AREAS, APART)),
    ("only_negotiate_uses_both_sdp_and_media", only_negotiate_uses_both_sdp_and_media),
    ("only_the_store_speaks_sql_and_only_the_api_the_web_framework", |tree| foreign(tree, false)),
    ("foreign_schemas_are_compiled_in_one_crate", |tree| foreign(tree, true)),
    ("machines_do_no_io", |tree| impure(&tree.workspace, AREAS, MACHINES, DRIVERS)),
    ("whatever_is_spawned_contains_its_panics", |tree| {
        uncontained(&tree.workspace, AREAS, SPAWN_FREELY, SPAWN_FREELY_IN)
    }),
    ("a_field_that_is_named_like_a_secret_has_the_type_of_secrets", |tree| {
        unsealed(&tree.workspace, SECRET_NAMES, NOT_SECRET)
    }),
    ("every_file_says_what_it_is", |tree| silent(&tree.workspace)),
    ("no_function_grows_too_long", |tree| ratchet(tree, "function")),
    ("no_file_grows_too_long", |tree| ratchet(tree, "file")),
    ("no_struct_grows_too_wide", |tree| ratchet(tree, "struct")),
    ("files_use_each_other_in_one_direction", |tree| ratchet(tree, "circle")),
    ("tests_sleep_only_in_the_polling_helper", |tree| ratchet(tree, "sleep")),
    ("the_map_names_what_exists", |tree| unlimited(&tree.workspace)),
    ("every_sentence_of_the_reference_documents_has_its_test", |tree| {
        let (sources, fixtures) = (files(&root()).unwrap(), fixtures());
        let (workspace, areas, server_tests) = (&tree.workspace, AREAS, SERVER_TESTS);
        let proofs = Proofs { workspace, areas, server_tests, sources: &sources, fixtures: &fixtures };
        contract_faults(proofs, &text("docs/contract.md"), 120)
    }),
    ("what_breaks_with_carriers_has_its_tests", |tree| {
        tests_without_name(&tree.workspace, &text("docs/carriers.md"), 25)
    }),
];

#[test]
fn the_workspace_keeps_its_rules() {
    let workspace = Workspace::open(&root()).unwrap();
    let known = Known::parse(&text("crates/architecture/known.txt")).unwrap();
    let tree = Tree { offenders: offenders(&workspace), workspace, known };
    let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
    let mut faults = unnamed_rules(&names, &text("ARCHITECTURE.md"));
    for (name, rule) in RULES {
        faults.extend(rule(&tree).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Snapshots and recordings, by their paths from the root.
fn fixtures() -> Files {
    let (root, mut folders, mut found) = (root(), vec![root().join("fixtures")], Files::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text);
            }
        }
    }
    found
}

fn only_negotiate_uses_both_sdp_and_media(tree: &Tree) -> Vec<String> {
    let found = meeting_places(&tree.workspace, AREAS, NEGOTIATED);
    if found == [format!("{NEGOTIATION}.rs")] { vec![] } else { found }
}

fn foreign(tree: &Tree, tests_too: bool) -> Vec<String> {
    let crates = FOREIGN.iter().filter(|foreign| foreign.tests_too == tests_too);
    crates.flat_map(|foreign| foreign_faults(&tree.workspace, AREAS, foreign)).collect()
}

/// Offenders of one rule against the known ones.
fn ratchet(tree: &Tree, rule: &str) -> Vec<String> {
    compare(&tree.offenders, &tree.known, rule)
}
