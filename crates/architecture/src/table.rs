//! The counts of a tree, as text: what is quoted before and after a change.

use crate::circles::circles;
use crate::facts::Visibility;
use crate::map::{AREAS, FIELDS_MAX, FILE_LINES_MAX, FUNCTION_LINES_MAX};
use crate::rules::{Offender, is_document, offenders};
use crate::workspace::{Source, Workspace};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

/// All counts of a tree.
///
/// # Errors
///
/// None: a string takes every text.
pub fn table(workspace: &Workspace) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let offenders = offenders(workspace);
    crates(&mut text, workspace)?;
    visibilities(&mut text, workspace)?;
    list(&mut text, workspace, &offenders, "function", &format!("Functions over {FUNCTION_LINES_MAX} lines"))?;
    list(&mut text, workspace, &offenders, "file", &format!("Files over {FILE_LINES_MAX} lines"))?;
    list(&mut text, workspace, &offenders, "struct", &format!("Structs over {FIELDS_MAX} fields or their own limit"))?;
    documents(&mut text, workspace)?;
    all_circles(&mut text, workspace)?;
    scattered_methods(&mut text, workspace)?;
    list(&mut text, workspace, &offenders, "sleep", "Functions of tests that sleep outside of the polling helper")?;
    Ok(text)
}

fn by_package(workspace: &Workspace) -> BTreeMap<&str, Vec<&Source>> {
    let mut packages: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in &workspace.sources {
        packages.entry(workspace.package(source)).or_default().push(source);
    }
    packages
}

fn crates(text: &mut String, workspace: &Workspace) -> fmt::Result {
    let circles = circles(workspace);
    writeln!(text, "Crates (lines are lines of code; circles: files in circles)\n")?;
    writeln!(
        text,
        "| crate | files | of them tests | lines | of them tests | functions | longest function | longest file | most fields | circles |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | --- | --- |")?;
    for (package, sources) in by_package(workspace) {
        let production: Vec<_> = sources.iter().filter(|source| source.is_production()).collect();
        let lines: usize = sources.iter().map(|source| source.facts.code_lines + source.facts.test_lines).sum();
        let of_production: usize = production.iter().map(|source| source.facts.code_lines).sum();
        let functions = sources.iter().flat_map(|source| &source.facts.functions);
        let longest = functions.clone().max_by_key(|function| function.lines);
        let longest = longest.map(|function| format!("{} {}", function.name, function.lines)).unwrap_or_default();
        let file = sources.iter().max_by_key(|source| source.facts.code_lines);
        let file = file.map(|file| format!("{} {}", file.path, file.facts.code_lines)).unwrap_or_default();
        let structs = production.iter().flat_map(|source| &source.facts.structs);
        let most = structs.max_by_key(|structure| structure.fields.len());
        let most = most.map(|most| format!("{} {}", most.name, most.fields.len())).unwrap_or_default();
        let own = circles.iter().filter(|circle| circle.package == package);
        let sizes: Vec<String> = own.map(|circle| circle.files.len().to_string()).collect();
        let count = functions.count();
        let (files, tests) = (sources.len(), sources.len() - production.len());
        let of_tests = lines - of_production;
        let circles = if sizes.is_empty() { "0".to_owned() } else { format!("{}: {}", sizes.len(), sizes.join(", ")) };
        writeln!(
            text,
            "| {package} | {files} | {tests} | {lines} | {of_tests} | {count} | {longest} | {file} | {most} | {circles} |"
        )?;
    }
    Ok(())
}

fn visibilities(text: &mut String, workspace: &Workspace) -> fmt::Result {
    writeln!(text, "\nFunctions by visibility, tests left out\n")?;
    writeln!(
        text,
        "| crate | pub | pub(crate) | pub(super) | private | of traits |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (package, sources) in by_package(workspace) {
        let production = sources.iter().filter(|source| source.is_production());
        let functions = production.flat_map(|source| &source.facts.functions).filter(|function| !function.in_tests);
        let count = |visibility| functions.clone().filter(|function| function.visibility == visibility).count();
        let [all, of_crate, of_super, private, of_traits] =
            [Visibility::Public, Visibility::Crate, Visibility::Super, Visibility::Private, Visibility::Trait]
                .map(count);
        writeln!(text, "| {package} | {all} | {of_crate} | {of_super} | {private} | {of_traits} |")?;
    }
    Ok(())
}

/// Offenders of a rule, the largest first; those of the program before those of tests, benches and examples.
fn list(text: &mut String, workspace: &Workspace, offenders: &[Offender], rule: &str, title: &str) -> fmt::Result {
    let is_of_program = |offender: &Offender| {
        let mut sources = workspace.production();
        let source = sources
            .find(|source| offender.name.starts_with(&format!("{}::", source.path)) || offender.name == source.path);
        source.is_some_and(|source| {
            let name = offender.name[source.path.len()..].trim_start_matches("::");
            let mut functions = source.facts.functions.iter().filter(|function| function.in_tests);
            name != "tests" && (rule != "function" || !functions.any(|function| function.name == name))
        })
    };
    for (of_program, what) in [(true, "program"), (false, "tests, benches, examples")] {
        let rows = offenders.iter().filter(|offender| offender.rule == rule && is_of_program(offender) == of_program);
        let mut rows: Vec<&Offender> = rows.collect();
        rows.sort_by_key(|offender| std::cmp::Reverse(offender.count));
        writeln!(text, "\n{title}, {what}: {}\n", rows.len())?;
        rows.iter().try_for_each(|offender| writeln!(text, "{:5} {}", offender.count, offender.name))?;
    }
    Ok(())
}

/// Documents of customers are as wide as the customer's word for them; they are shown here and limited nowhere.
fn documents(text: &mut String, workspace: &Workspace) -> fmt::Result {
    writeln!(text, "\nDocuments of customers over {FIELDS_MAX} fields\n")?;
    for source in &workspace.sources {
        let structs = source.facts.structs.iter().filter(|structure| structure.fields.len() > FIELDS_MAX);
        for structure in structs.filter(|structure| is_document(AREAS, source, structure)) {
            writeln!(text, "{:5} {}::{}", structure.fields.len(), source.path, structure.name)?;
        }
    }
    Ok(())
}

/// Types whose methods stand in several files: their files use each other without naming each other.
fn scattered_methods(text: &mut String, workspace: &Workspace) -> fmt::Result {
    let mut types: BTreeMap<(usize, String), BTreeSet<usize>> = BTreeMap::new();
    for (at, source) in workspace.sources.iter().enumerate().filter(|(_, source)| source.is_production()) {
        for owner in source.facts.impls.iter().filter(|owner| !owner.in_tests) {
            let node = source.nodes[owner.module];
            let found = node.and_then(|node| workspace.definition(node, &owner.path));
            if let Some((file, name)) = found {
                types.entry((file, name)).or_default().insert(at);
            }
        }
    }
    types.retain(|(file, _), files| files.iter().any(|at| at != file));
    writeln!(text, "\nTypes with methods outside of their file: {}\n", types.len())?;
    let mut rows: Vec<_> = types.into_iter().collect();
    rows.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    rows.iter().try_for_each(|((file, name), files)| {
        writeln!(text, "{:5} files {}::{name}", files.len(), workspace.sources[*file].path)
    })
}

fn all_circles(text: &mut String, workspace: &Workspace) -> fmt::Result {
    let circles = circles(workspace);
    let files: usize = circles.iter().map(|circle| circle.files.len()).sum();
    writeln!(text, "\nCircles between files: {} with {files} files", circles.len())?;
    for circle in &circles {
        writeln!(text, "\n{}: {} files", circle.package, circle.files.len())?;
        for edge in &circle.edges {
            let items = edge.items.join(", ");
            writeln!(text, "    {} -> {}: {items}", edge.from, edge.to)?;
        }
    }
    Ok(())
}
