//! Prints the counts of the workspace; with `known`, the list of what is beyond its limit.

use std::io::Write as _;
use std::path::Path;
use trunkline_architecture::Workspace;
use trunkline_architecture::rules::{Known, offenders};
use trunkline_architecture::table::table;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workspace = Workspace::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
    let text = match std::env::args().nth(1).as_deref() {
        None => table(&workspace)?,
        Some("known") => Known::print(&offenders(&workspace))?,
        Some(other) => return Err(format!("{other}: use known, or nothing for the table").into()),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
