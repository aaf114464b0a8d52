//! Variables of a prompt that change during the call: they stay open when the call begins, and are filled in each time
//! the prompt is used. Marks that no text can hold stand for their braces, so that what was filled in before is not
//! read again.

use super::values::{CLOSE, DEFAULT, FILLED_BYTES_MAX, OPEN, TemplateUse, TemplateValues, close_gap, written};

/// An open variable.
pub(super) fn open(name: &str, default: Option<&str>) -> String {
    match default {
        Some(default) => format!("{OPEN}{name}{DEFAULT}{}{CLOSE}", written(default, TemplateUse::Prompt)),
        None => format!("{OPEN}{name}{CLOSE}"),
    }
}

/// Fills in the variables of a prompt that were left open when the call began.
pub fn settle(text: &str, values: &dyn TemplateValues) -> String {
    let mut pieces = text.split(OPEN);
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((variable, rest)) = piece.split_once(CLOSE) else {
            filled.push_str(piece);
            continue;
        };
        let (name, default) = variable.split_once(DEFAULT).map_or((variable, None), |(name, text)| (name, Some(text)));
        let value = values.value(name).filter(|value| !value.trim().is_empty());
        let rest = match value.as_deref().or(default) {
            Some(value) => {
                filled.push_str(&written(value, TemplateUse::Prompt));
                rest
            }
            None => close_gap(&mut filled, rest),
        };
        filled.push_str(rest);
        if filled.len() > FILLED_BYTES_MAX {
            filled.truncate(filled.floor_char_boundary(FILLED_BYTES_MAX));
            break;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::super::{TemplateReport, fill};
    use super::*;

    struct Values(Vec<(&'static str, &'static str)>);

    impl TemplateValues for Values {
        fn value(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        }

        fn changes(&self, name: &str) -> bool {
            name.starts_with("order")
        }
    }

    #[test]
    fn what_changes_stays_open_until_the_prompt_is_used() {
        let mut report = TemplateReport::default();
        let values = Values(vec![("who", "{{order}} \u{F8F0}order\u{F8F2}"), ("order_before", "7")]);
        let text = "Help {{who}}. Order {{order|none yet}}, before {{order_before}}, {{order_state}}.";
        let open = fill(text, TemplateUse::Prompt, &values, &mut report);
        assert!(report.is_empty(), "what comes later is not missing: {report:?}");
        assert_eq!(settle(&open, &Values(vec![])), "Help {{order}} order. Order none yet, before 7.");
        let later = Values(vec![("order", "12"), ("order_before", "8"), ("order_state", "sent {{who}}")]);
        assert_eq!(settle(&open, &later), "Help {{order}} order. Order 12, before 8, sent {{who}}.");
        assert_eq!(fill("{{order|x}}", TemplateUse::Text, &values, &mut report), "x", "words are said at once");
    }
}
