//! URLs with variables, `{{name}}`, and with parameters, `{name}`, which the arguments of a tool fill in.

use super::parse::{self, Part, TemplateError};

/// A piece of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlPart<'a> {
    /// As it is.
    Text(&'a str),
    /// `{{name}}` or `{{name|default}}`: a value of the call.
    Variable {
        /// The name of the value.
        name: &'a str,
        /// What stands there without a value.
        default: Option<&'a str>,
    },
    /// `{name}`: an argument.
    Parameter(&'a str),
}

/// Whether the host of a URL is complete in what stands before a variable.
pub(super) fn has_host(start: &str) -> bool {
    start
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['/', '?', '#']) && !rest.starts_with(['/', '?', '#']))
}

/// The names of the variables in a text.
pub fn names(text: &str) -> Result<Vec<&str>, TemplateError> {
    let mut names = Vec::new();
    for part in parse::parts(text)? {
        if let Part::Variable { name, .. } = part {
            names.push(name);
        }
    }
    Ok(names)
}

/// The pieces of a URL. Neither a variable nor a parameter may stand in its scheme or host.
pub fn url_parts(url: &str) -> Result<Vec<UrlPart<'_>>, TemplateError> {
    let mut parts = Vec::new();
    for part in parse::parts(url)? {
        match part {
            Part::Text(text) => split(url, text, &mut parts)?,
            Part::Variable { name, default, .. } => parts.push(UrlPart::Variable { name, default }),
        }
    }
    let start = match parts.iter().find(|part| !matches!(part, UrlPart::Text(_))) {
        Some(UrlPart::Parameter(_) | UrlPart::Variable { .. }) => match parts.first() {
            Some(UrlPart::Text(text)) => Some(*text),
            _ => Some(""),
        },
        _ => None,
    };
    if start.is_some_and(|start| !has_host(start)) {
        let reason = "a variable or parameter must not stand in the scheme or the host of a URL";
        return Err(TemplateError::new(url, 0, reason));
    }
    Ok(parts)
}

fn split<'a>(url: &str, text: &'a str, parts: &mut Vec<UrlPart<'a>>) -> Result<(), TemplateError> {
    let alone = || TemplateError::new(url, 0, "a brace stands alone: a parameter is written {name}");
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(alone)?;
        if before.contains('}') || !is_parameter(name) {
            return Err(alone());
        }
        parts.push(UrlPart::Text(before));
        parts.push(UrlPart::Parameter(name));
        rest = after;
    }
    if rest.contains('}') {
        return Err(alone());
    }
    parts.push(UrlPart::Text(rest));
    parts.retain(|part| *part != UrlPart::Text(""));
    Ok(())
}

fn is_parameter(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// A value as a part of a path or a query takes it: everything but unreserved characters is percent-encoded.
pub fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |encoded, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded + &char::from(byte).to_string(),
        byte => encoded + &format!("%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_parameters_are_told_apart() {
        let parts = url_parts("https://a.example/{{shop|main}}/orders/{id}?v=1").unwrap();
        assert_eq!(
            parts,
            [
                UrlPart::Text("https://a.example/"),
                UrlPart::Variable { name: "shop", default: Some("main") },
                UrlPart::Text("/orders/"),
                UrlPart::Parameter("id"),
                UrlPart::Text("?v=1"),
            ]
        );
    }

    #[test]
    fn nothing_stands_in_the_host_and_no_brace_alone() {
        for wrong in [
            "https://{host}/a",
            "https://{{host}}/a",
            "https://a.example{id}/",
            "https://user:{id}@a.example/",
            "https://a.example:{port}/",
            "{url}",
            "{scheme}://a.example/",
            "https://a.example/{",
            "https://a.example/}",
            "https://a.example/{}",
            "https://a.example/{a b}",
            "https://a.example/{{a",
            "https://a.example/{% if a %}",
        ] {
            assert!(url_parts(wrong).is_err(), "{wrong}");
        }
        for right in ["https://a.example/{id}", "https://a.example?q={q}", "https://a.example#{q}", "https://a.example"]
        {
            assert!(url_parts(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn values_are_percent_encoded() {
        assert_eq!(percent_encoded("a/../b?c=d&e#f\r\n é"), "a%2F..%2Fb%3Fc%3Dd%26e%23f%0D%0A%20%C3%A9");
    }
}
