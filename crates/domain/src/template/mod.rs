//! Variables in texts: `{{customer.name}}`, or with a default `{{customer.name|there}}`.
//!
//! A text is read once; what is filled in is never read again, so a value cannot bring in variables of its own.

mod deferred;
mod parse;
mod url_template;
mod values;

pub use deferred::settle;
#[cfg(test)]
pub(crate) use parse::CALL_NAMES;
use parse::Part;
pub use parse::TemplateError;
use std::collections::BTreeSet;
use url_template::has_host;
pub use url_template::{UrlPart, names, percent_encoded, url_parts};
use values::{FILLED_BYTES_MAX, close_gap, quoted_braces, written};
pub use values::{TemplateUse, TemplateValues};

/// Variables and faults that are kept for the report.
const REPORTED_MAX: usize = 50;

/// Names that stay in a text until a tool is called: what the caller has entered by then.
pub const COLLECTED: &str = "collected.";

/// Names that stay in a text until it is said: slots of a flow, which the caller fills.
pub const SLOTS: &str = "slots.";

/// What happened while texts were filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateReport {
    /// Variables without a value and without a default, in the order of their names; they were left out.
    pub missing: BTreeSet<String>,
    /// Texts that were saved before templates were checked, and stay as they were written.
    pub faults: Vec<String>,
}

impl TemplateReport {
    /// Whether every variable had a value.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.faults.is_empty()
    }
}

/// Checks a text when it is saved. The error says where the fault is, and why it is one.
pub fn check(text: &str, usage: TemplateUse) -> Result<(), TemplateError> {
    let parts = parse::parts(text)?;
    if usage == TemplateUse::Url
        && let Some(Part::Variable { at, .. }) = parts.iter().find(|part| matches!(part, Part::Variable { .. }))
        && !has_host(text.get(..*at).unwrap_or_default())
    {
        return Err(TemplateError::new(text, *at, "a variable must not stand in the scheme or the host of a URL"));
    }
    let secret = parts.iter().find_map(|part| match part {
        Part::Variable { at, name, .. } if name.starts_with("secrets.") => Some(*at),
        _ => None,
    });
    // Of a URL the tool's own rules say it.
    match secret.filter(|_| usage.is_words()) {
        Some(at) => Err(TemplateError::new(text, at, "secrets may stand in headers and auth of a tool only")),
        None => Ok(()),
    }
}

/// The rule of a field with such a text.
pub(crate) fn rule<C>(usage: TemplateUse) -> impl FnOnce(&str, &C) -> garde::Result {
    move |text, _| check(text, usage).map_err(|error| garde::Error::new(format!("is not a valid template: {error}")))
}

/// Checks a text that the agent says: what the caller has entered may be secret, and is for tools alone.
pub fn check_said(text: &str) -> Result<(), TemplateError> {
    check(text, TemplateUse::Text)?;
    let collected = parse::parts(text)?.iter().find_map(|part| match part {
        Part::Variable { at, name, .. } if name.starts_with(COLLECTED) => Some(*at),
        _ => None,
    });
    match collected {
        Some(at) => {
            Err(TemplateError::new(text, at, "what callers enter may stand in the url and the arguments of tools only"))
        }
        None => Ok(()),
    }
}

/// The rule of a field that the agent says.
pub(crate) fn said<C>() -> impl FnOnce(&str, &C) -> garde::Result {
    |text, _| check_said(text).map_err(|error| garde::Error::new(format!("is not a valid template: {error}")))
}

/// A value as it stands in words.
pub fn written_value(value: &str) -> String {
    written(value, TemplateUse::Text)
}

fn report_missing(report: &mut TemplateReport, name: &str) {
    if report.missing.len() < REPORTED_MAX {
        report.missing.insert(name.to_owned());
    }
}

/// Fills in the variables of a text. A text that cannot be read stays as it is.
pub fn fill(text: &str, usage: TemplateUse, values: &dyn TemplateValues, report: &mut TemplateReport) -> String {
    if !text.contains("{{") && !text.contains("{%") {
        return text.to_owned();
    }
    let parts = match check(text, usage).and_then(|()| parse::parts(text)) {
        Ok(parts) => parts,
        Err(error) => {
            if report.faults.len() < REPORTED_MAX {
                report.faults.push(error.to_string());
            }
            return text.to_owned();
        }
    };
    let mut filled = String::with_capacity(text.len());
    let mut is_after_gap = false;
    for part in parts {
        match part {
            Part::Text(text) => {
                let text = if is_after_gap { close_gap(&mut filled, text) } else { text };
                match usage {
                    TemplateUse::FlowText => filled.push_str(&quoted_braces(text)),
                    _ => filled.push_str(text),
                }
                is_after_gap = false;
            }
            Part::Variable { name, default, .. } => {
                is_after_gap = !fill_variable(&mut filled, name, default, usage, values, report) && usage.is_words();
            }
        }
        if filled.len() > FILLED_BYTES_MAX {
            filled.truncate(filled.floor_char_boundary(FILLED_BYTES_MAX));
            break;
        }
    }
    if is_after_gap {
        close_gap(&mut filled, "");
    }
    filled
}

/// Writes what stands for a variable. False: nothing does.
fn fill_variable(
    filled: &mut String, name: &str, default: Option<&str>, usage: TemplateUse, values: &dyn TemplateValues,
    report: &mut TemplateReport,
) -> bool {
    let value = values.value(name);
    // Nothing was entered when the call begins: the tool that is called fills it in.
    if name.starts_with(COLLECTED) && value.is_none() {
        filled.extend(["{{", name, "}}"]);
        return true;
    }
    // The caller fills slots later: the text is read once more when it is said.
    if name.starts_with(SLOTS) && value.is_none() {
        filled.extend(["{{", name]);
        filled.extend(default.into_iter().flat_map(|default| ["|", default]));
        filled.push_str("}}");
        return true;
    }
    let value = value.filter(|value| default.is_none() || !value.trim().is_empty());
    let (is_set, value) = (value.is_some(), value.as_deref().or(default));
    let is_deferred = usage == TemplateUse::Prompt && (values.changes(name) || values.may_come(name));
    if !is_set && default.is_none() && !values.changes(name) {
        report_missing(report, name);
    }
    match value {
        value if is_deferred => filled.push_str(&deferred::open(name, value)),
        Some(value) => filled.push_str(&written(value, usage)),
        None => return false,
    }
    true
}

#[cfg(test)]
mod tests;
