//! What the doctor found, how bad it is, and what to do.

use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FindingLevel)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Calls can be made; something will not work, or not for long.
    Warning,
    /// Something that is configured does not work.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What was looked at, such as `trunks`.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found; it holds no secrets.
    pub found: String,
    /// What to do; none where nothing has to be done.
    pub advice: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), advice: None }
    }

    /// Something that will not work, or not for long.
    pub fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    /// Something that does not work.
    pub fn error(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Error, found: found.into(), advice: Some(advice.into()) }
    }
}

/// All findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of them.
    pub level: Level,
    /// In the order in which they were looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A report of these findings.
    pub fn of(findings: Vec<Finding>) -> Self {
        let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        Self { level, findings }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{:7}  {:12}  {}", finding.level.name(), finding.check, shown(&finding.found))?;
            if let Some(advice) = &finding.advice {
                writeln!(f, "{:7}  {:12}  -> {}", "", "", shown(advice))?;
            }
        }
        let count = |level: Level| self.findings.iter().filter(|finding| finding.level == level).count();
        write!(f, "{} errors, {} warnings", count(Level::Error), count(Level::Warning))
    }
}

/// Parts of it come from others: a terminal must not obey them.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_level_and_advice_follows_it() {
        let report = Report::of(vec![
            Finding::ok("ports", "free"),
            Finding::error("disk", "full\u{1b}[2J", "make room"),
            Finding::warning("clock", "late", "set it"),
        ]);
        assert_eq!(report.level, Level::Error);
        let text = report.to_string();
        assert!(text.contains("error    disk          full�[2J\n                       -> make room\n"), "{text}");
        assert!(text.ends_with("1 errors, 1 warnings"), "{text}");
        assert_eq!(Report::of(vec![]).level, Level::Ok);
    }
}
