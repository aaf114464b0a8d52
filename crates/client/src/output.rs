//! What commands print: tables for people, one JSON document for programs.

use crate::error::ClientError;
use crate::text::clean;
use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;
use std::io::{ErrorKind, Write as _};

/// Characters of a cell; the rest is an ellipsis.
const CELL_CHARS_MAX: usize = 60;

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Prints text with a line end. A reader that has gone away ends the program, as of any other tool in a pipe.
pub(crate) fn print(text: &str) -> Result<(), ClientError> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(ClientError::Local(format!("standard output: {error}"))),
    }
}

/// Prints a JSON document.
pub(crate) fn print_json(value: &Value) -> Result<(), ClientError> {
    print(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Lays rows out in columns, two blanks between them.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| shortened(&clean(cell))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

/// A value in a table.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(cell).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_and_control_characters_are_not_obeyed() {
        let rows = vec![vec!["Support".into(), "yes".into()], vec!["\u{1b}[2Jgone\nnext".into(), "no".into()]];
        let text = table(&["NAME", "ENABLED"], &rows);
        assert_eq!(text, "NAME           ENABLED\nSupport        yes\n�[2Jgone next  no");
    }

    #[test]
    fn long_cells_are_cut_and_values_are_words() {
        assert_eq!(shortened(&"x".repeat(100)).chars().count(), CELL_CHARS_MAX);
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!(true)), "yes");
        assert_eq!(cell(&json!(["PCMA", "PCMU"])), "PCMA,PCMU");
        assert_eq!(cell(&json!(3)), "3");
    }
}
