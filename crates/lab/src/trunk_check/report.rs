//! The report of a check, for a terminal and as a document.

use super::findings::{Finding, Verdict, judge};
use super::observation::TrunkObservations;
use serde::Serialize;
use std::fmt;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Name of the trunk.
    pub trunk: String,
    /// Whom it called.
    pub to: String,
    /// How many findings are problems.
    pub problems: usize,
    /// In the order of a call.
    pub findings: Vec<Finding>,
}

/// Width of a line, and where its text begins.
const WIDTH: usize = 110;
const INDENT: usize = 26;

impl CheckReport {
    pub(super) fn new(trunk: &str, to: &str, seen: &TrunkObservations) -> Self {
        let findings = judge(seen);
        let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
        Self { trunk: trunk.to_owned(), to: to.to_owned(), problems, findings }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Note => "note",
                Verdict::Problem => "problem",
                Verdict::NotTried => "not tried",
            };
            write!(f, "{verdict:10}{:16}", finding.check)?;
            wrap(f, &finding.seen, "")?;
            if let Some(advice) = &finding.advice {
                write!(f, "{:INDENT$}", "")?;
                wrap(f, advice, "-> ")?;
            }
        }
        match self.problems {
            0 => writeln!(f, "\nNo problem was found."),
            1 => writeln!(f, "\n1 problem was found."),
            count => writeln!(f, "\n{count} problems were found."),
        }
    }
}

/// Writes a text whose first line begins at the indentation.
fn wrap(f: &mut fmt::Formatter<'_>, text: &str, mark: &str) -> fmt::Result {
    f.write_str(mark)?;
    let mut used = INDENT + mark.len();
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && used + 1 + length > WIDTH {
            write!(f, "\n{:1$}", "", INDENT + mark.len())?;
            used = INDENT + mark.len();
        } else if index > 0 {
            f.write_str(" ")?;
            used += 1;
        }
        f.write_str(word)?;
        used += length;
    }
    f.write_str("\n")
}
