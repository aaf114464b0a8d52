//! Placeholders that a model writes as it has read them somewhere: `{{customer_name}}`, `{name}`, `${name}`, `{% … %}`,
//! `[Customer Name]`. A known variable is said; of another one nothing is.

use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::template::{self, TemplateValues as _};

/// Bytes of a placeholder; what is longer is none.
const INNER_BYTES_MAX: usize = 80;

/// What blanks in square brackets ask for, with their first letter large: the last of at most four words.
const BLANKS: [&str; 18] = [
    "name", "number", "date", "time", "address", "email", "company", "amount", "day", "product", "title", "naam",
    "datum", "nom", "nombre", "nome", "uhrzeit", "nummer",
];
const BLANK_WORDS_MAX: usize = 4;

/// A placeholder at the beginning of a text.
struct Placeholder<'a> {
    length: usize,
    inner: &'a str,
}

/// Whether a text is worth a closer look.
pub fn may_have(text: &str) -> bool {
    text.contains(['{', '['])
}

/// The text with the values of known variables, and without the others and the gaps that they leave. A placeholder that stands
/// in a value is none of ours: the model has read it there, and who fills in a form must not have other variables said.
pub fn resolve<'a>(text: &'a str, variables: &CallVariables) -> Cow<'a, str> {
    if !may_have(text) {
        return Cow::Borrowed(text);
    }
    let of_values = names_in_values(variables);
    let (mut said, mut at, mut is_gap) = (String::with_capacity(text.len()), 0, false);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        if let Some(found) = placeholder(rest).or_else(|| blank(rest)) {
            at += found.length;
            let name = found.inner.to_lowercase().replace(' ', "_");
            let known = || value(found.inner, variables).or_else(|| value(&name, variables));
            match Some(()).filter(|()| !of_values.contains(&normalized(found.inner))).and_then(|()| known()) {
                Some(value) => said.push_str(&value),
                None => is_gap = true,
            }
            continue;
        }
        if is_gap && (said.is_empty() || said.ends_with(char::is_whitespace)) {
            // Before a mark, a gap takes the blank and the comma before it as well.
            if said.is_empty() && matches!(c, ',' | ';') || c.is_whitespace() {
                at += c.len_utf8();
                continue;
            }
            if matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | ')') {
                said.truncate(said.trim_end_matches(|c: char| c.is_whitespace() || c == ',').len());
            }
        }
        is_gap = false;
        said.push(c);
        at += c.len_utf8();
    }
    if is_gap {
        said.truncate(said.trim_end().len());
    }
    Cow::Owned(said)
}

/// The name that a placeholder means, without a default.
fn normalized(inner: &str) -> String {
    let name = inner.split_once('|').map_or(inner, |(name, _)| name);
    name.trim().to_lowercase().replace(' ', "_")
}

/// Names of all placeholders that stand in values.
fn names_in_values(variables: &CallVariables) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    variables.0.values().for_each(|value| add_names(value, &mut names));
    names
}

/// [`trunkline_json`] bounds the depth of what customers send.
fn add_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => add_names_of_text(text, names),
        Value::Array(items) => items.iter().for_each(|item| add_names(item, names)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            add_names_of_text(name, names);
            add_names(value, names);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add_names_of_text(text: &str, names: &mut BTreeSet<String>) {
    if !may_have(text) {
        return;
    }
    // As it stands in a text: without the signs that are left out there.
    let text = template::written_value(text);
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let found = placeholder(rest).or_else(|| blank(rest));
        names.extend(found.as_ref().map(|found| normalized(found.inner)));
        // A brace within another one may begin a placeholder too.
        let braces = rest.len() - rest.trim_start_matches('{').len();
        at += braces.max(rest.chars().next().map_or(1, char::len_utf8));
    }
}

/// `name`, or `name|default`.
fn value(inner: &str, variables: &CallVariables) -> Option<String> {
    let (name, default) = inner.split_once('|').map_or((inner, None), |(name, default)| (name, Some(default)));
    let known = variables.value(name.trim()).filter(|value| !value.trim().is_empty());
    known.or_else(|| default.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn placeholder(text: &str) -> Option<Placeholder<'_>> {
    let open = text.strip_prefix('$').unwrap_or(text);
    let body = open.trim_start_matches('{');
    if body.len() == open.len() {
        return None;
    }
    let is_double = open.starts_with("{{") || open.starts_with("{%");
    let Some(end) = body.find('}').filter(|end| *end <= INNER_BYTES_MAX) else {
        // Its end was cut off.
        let end = body.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '|'))).unwrap_or(body.len());
        return is_double.then(|| Placeholder {
            length: text.len() - body.len() + end,
            inner: body.get(..end).unwrap_or_default(),
        });
    };
    let (inner, behind) = body.split_at(end);
    let is_name = inner.trim().chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '|' | ' ' | '-'))
        && inner.chars().any(char::is_alphabetic);
    let length = text.len() - behind.trim_start_matches('}').len();
    (is_double || is_name).then_some(Placeholder { length, inner: inner.trim_matches(['%', ' ']) })
}

/// `[Customer Name]`; no link, no number, and no tag for a voice.
fn blank(text: &str) -> Option<Placeholder<'_>> {
    let (inner, behind) = text.strip_prefix('[')?.split_once(']')?;
    let is_word = |word: &str| word.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '_' | '-'));
    let words: Vec<&str> = inner.split([' ', '_']).collect();
    let is_name = (1..=BLANK_WORDS_MAX).contains(&words.len())
        && inner.starts_with(char::is_uppercase)
        && words.iter().all(|word| is_word(word))
        && words.last().is_some_and(|word| BLANKS.contains(&word.to_lowercase().as_str()));
    (is_name && !behind.starts_with('(')).then_some(Placeholder { length: inner.len() + 2, inner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_said_and_others_leave_no_gap() {
        let set = serde_json::json!({"customer_name": "Ann", "order": {"id": 7}, "empty": ""});
        let variables = CallVariables(set.as_object().unwrap().clone());
        for (text, wanted) in [
            ("Dear {{customer_name}}, it is here.", "Dear Ann, it is here."),
            ("Dear {{ customer_name }}, order {{order.id}} is here.", "Dear Ann, order 7 is here."),
            ("Dear {{unknown}}, it is here.", "Dear, it is here."),
            ("Dear {{unknown|friend}}, it is here.", "Dear friend, it is here."),
            ("Dear {{customer name}}, it is here.", "Dear Ann, it is here."),
            ("{{unknown}}, hello.", "hello."),
            ("Bye, {{unknown}}.", "Bye."),
            ("{{unknown}} Hello.", "Hello."),
            ("Hello {{unknown}}.", "Hello."),
            ("Hello {{unknown}} and welcome.", "Hello and welcome."),
            ("Hello {{unknown}}", "Hello"),
            ("Hello {{empty}}.", "Hello."),
            ("Hello {customer_name}, {other} and ${other}.", "Hello Ann, and."),
            ("Hello {{{customer_name}}}.", "Hello Ann."),
            ("{% if a == 1 %}Hello.{% endif %}", "Hello."),
            ("Hello {{customer_name", "Hello Ann"),
            ("Hello {{unknown", "Hello"),
            ("It is { 7 }.", "It is { 7 }."),
            ("Dear [Customer Name], it is here.", "Dear Ann, it is here."),
            ("Dear [Name], it is here.", "Dear, it is here."),
            ("Bye, [Your Company's Name].", "Bye."),
            ("Beste [Naam], tot ziens.", "Beste, tot ziens."),
            (
                "See [Name](https://a.example), [name], [1] and [whispers].",
                "See [Name](https://a.example), [name], [1] and [whispers].",
            ),
            ("It is [Open Now].", "It is [Open Now]."),
            ("Hello there.", "Hello there."),
        ] {
            assert_eq!(resolve(text, &variables), wanted, "{text}");
        }
    }

    /// The model repeats a value in which somebody has written a variable, in any form that is known.
    #[test]
    fn a_value_is_not_read_for_further_variables() {
        for written in [
            "Ann {{call_id}}",
            "Ann {{ call_id }}",
            "Ann {call_id}",
            "Ann ${call_id}",
            "Ann {{{call_id}}}",
            "Ann {{call_id|x}}",
            "Ann {{call_id",
            "{ {{ Ann {{call_id}}",
            "Ann {{Call ID}}",
            "{\u{1}{call_id}}",
            "Ann {% call_id %}",
        ] {
            for value in
                [serde_json::json!(written), serde_json::json!([{"x": written}]), serde_json::json!({written: 1})]
            {
                let set = serde_json::json!({"customer_name": value, "call_id": "01a2", "shop": "Acme"});
                let variables = CallVariables(set.as_object().unwrap().clone());
                let said = resolve(&format!("Hello {}, from {{{{shop}}}}.", written.replace('\u{1}', "")), &variables)
                    .into_owned();
                assert!(!said.contains("01a2"), "{written}: {said}");
                // One without an end takes what follows with it.
                assert!(said.ends_with("from Acme.") || !written.ends_with('}'), "{written}: {said}");
                assert!(!resolve("It is {{customer_name}}.", &variables).contains("01a2"), "{written}");
            }
        }
    }
}
