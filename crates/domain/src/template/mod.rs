//! Variables in texts: `{{customer.name}}`, or with a default `{{customer.name|there}}`.
//!
//! A text is read once; what is filled in is never read again, so a value cannot bring in variables of its own.

mod parse;

#[cfg(test)]
pub(crate) use parse::CALL_NAMES;
use parse::Part;
pub use parse::TemplateError;
use std::collections::BTreeSet;

/// Characters of one value in a text.
const VALUE_CHARS_MAX: usize = 10_000;
/// Characters of one value in a URL or a header.
const SHORT_VALUE_CHARS_MAX: usize = 500;
/// Bytes of a text after its variables were filled in; what is beyond is cut.
const FILLED_BYTES_MAX: usize = 400_000;
/// Variables and faults that are kept for the report.
const REPORTED_MAX: usize = 50;

/// What a text is used for: how values are written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateUse {
    /// Prompts, and words that are said.
    Text,
    /// A URL: values are percent-encoded, and never become part of its host.
    Url,
    /// The value of an HTTP header: one line of visible ASCII.
    Header,
}

/// Where values come from. `None`: there is no such value.
pub trait TemplateValues {
    /// The value of a variable, as text.
    fn value(&self, name: &str) -> Option<String>;
}

/// Names that stay in a text until a tool is called: what the caller has entered by then.
pub const COLLECTED: &str = "collected.";

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
    Ok(())
}

/// The rule of a field with such a text.
pub(crate) fn rule<C>(usage: TemplateUse) -> impl FnOnce(&str, &C) -> garde::Result {
    move |text, _| check(text, usage).map_err(|error| garde::Error::new(format!("is not a valid template: {error}")))
}

/// Whether the host of a URL is complete in what stands before a variable.
fn has_host(start: &str) -> bool {
    start
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['/', '?', '#']) && !rest.starts_with(['/', '?', '#']))
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
                if is_after_gap {
                    close_gap(&mut filled, text);
                }
                filled.push_str(text);
                is_after_gap = false;
            }
            // Nothing was entered when the call begins: the tool that is called fills it in.
            Part::Variable { name, .. } if name.starts_with(COLLECTED) && values.value(name).is_none() => {
                filled.extend(["{{", name, "}}"]);
                is_after_gap = false;
            }
            Part::Variable { name, default, .. } => {
                let value = values.value(name).filter(|value| default.is_none() || !value.trim().is_empty());
                match value.as_deref().or(default) {
                    Some(value) => {
                        filled.push_str(&written(value, usage));
                        is_after_gap = false;
                    }
                    None => {
                        if report.missing.len() < REPORTED_MAX {
                            report.missing.insert(name.to_owned());
                        }
                        is_after_gap = usage == TemplateUse::Text;
                    }
                }
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

/// "Hi {{name}}, this is Acme." without a name is "Hi, this is Acme."
fn close_gap(filled: &mut String, next: &str) {
    let closes = next.chars().next().is_none_or(|c| c.is_whitespace() || ",.;:!?".contains(c));
    if closes && filled.ends_with(' ') {
        filled.pop();
    }
}

/// A value as its surroundings take it.
fn written(value: &str, usage: TemplateUse) -> String {
    match usage {
        TemplateUse::Text => {
            value.chars().filter(|c| !c.is_control() || "\n\t".contains(*c)).take(VALUE_CHARS_MAX).collect()
        }
        TemplateUse::Header => value.chars().filter(|c| (' '..='~').contains(c)).take(SHORT_VALUE_CHARS_MAX).collect(),
        // A segment of dots leads to another path, encoded or not.
        TemplateUse::Url if value.bytes().all(|byte| byte == b'.') => String::new(),
        TemplateUse::Url => {
            let value: String = value.chars().take(SHORT_VALUE_CHARS_MAX).collect();
            value.bytes().fold(String::new(), |encoded, byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    encoded + &char::from(byte).to_string()
                }
                byte => encoded + &format!("%{byte:02X}"),
            })
        }
    }
}

#[cfg(test)]
mod tests;
