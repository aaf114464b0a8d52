//! Web pages as answers: a short one says in words what was done; others are nothing that a tool has said.

/// Bytes of a page that is looked at.
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// Characters of text that a short page has.
const TEXT_CHARS_MAX: usize = 1_000;
/// Parts that only pages for browsers have.
const FOR_BROWSERS: &[&str] =
    &["<form", "<input", "<script", "<iframe", "<frameset", "<meta http-equiv=\"refresh", "<meta http-equiv=refresh"];
/// Words of pages that say that something failed, or that somebody has to sign in.
const FAILED: &[&str] = &[
    "error",
    "log in",
    "log-in",
    "login",
    "sign in",
    "sign-in",
    "password",
    "forbidden",
    "unauthorized",
    "access denied",
    "permission denied",
    "not allowed",
    "page not found",
    "404 not found",
    "unavailable",
    "bad gateway",
    "bad request",
    "timed out",
    "timeout",
    "exception",
    "traceback",
    "maintenance",
    "captcha",
    "just a moment",
    "redirecting",
    "moved permanently",
    "too many requests",
];
/// Elements whose text is not shown.
const UNSEEN: &[&str] = &["head", "style", "title", "noscript", "template"];
/// Elements that are no end of a word.
const INLINE: &[&str] = &["a", "b", "i", "u", "em", "strong", "span", "small", "code", "sub", "sup", "font", "mark"];

/// The text of a page; `None` for one that is long, empty, made for a browser, or about a failure.
pub(super) fn page_text(page: &str) -> Option<String> {
    if page.len() > PAGE_BYTES_MAX {
        return None;
    }
    let lower = page.to_ascii_lowercase();
    if FOR_BROWSERS.iter().any(|part| lower.contains(part)) || FAILED.iter().any(|words| lower.contains(words)) {
        return None;
    }
    let text = shown_text(page);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX).then_some(text)
}

/// What a browser would show, with a blank for every element that is no part of a line.
fn shown_text(page: &str) -> String {
    let (mut text, mut rest) = (String::new(), page);
    let mut unseen: Option<String> = None;
    while let Some((before, tag)) = rest.split_once('<') {
        if unseen.is_none() {
            text.push_str(&unescaped(before));
        }
        if let Some(comment) = tag.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        rest = after;
        let is_end = tag.starts_with('/');
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        match &unseen {
            Some(open) if is_end && *open == name => unseen = None,
            Some(open) if open == "head" && name == "body" => unseen = None,
            Some(_) => {}
            None if !is_end && UNSEEN.contains(&name.as_str()) => unseen = Some(name),
            None if !INLINE.contains(&name.as_str()) => text.push(' '),
            None => {}
        }
    }
    if unseen.is_none() {
        text.push_str(&unescaped(rest));
    }
    text
}

/// Text with its references (`&amp;`, `&#233;`) written out.
fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after.split_once(';').and_then(|(name, after)| Some((referenced(name)?, after)));
        match known {
            Some((c, after)) => {
                plain.push(c);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn referenced(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "euro" => '€',
        "pound" => '£',
        "eacute" => 'é',
        "egrave" => 'è',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "szlig" => 'ß',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_page_is_its_text() {
        for (page, wanted) in [
            ("<html><body>shipped</body></html>", "shipped"),
            (
                "<!DOCTYPE html><html><head><title>Orders</title><style>p{}</style></head><body><h1>Order 12</h1><p>On its <b>way</b>.</p></body></html>",
                "Order 12 On its way.",
            ),
            (
                "<html><head><title>x</title><body>Gr&ouml;&szlig;e &amp; Preis: 5&nbsp;&euro; &#233;&#xE9; &unknown;",
                "Größe & Preis: 5 € éé &unknown;",
            ),
            ("<html><!-- <p>no</p> --><ul><li>one<li>two</ul>", "one two"),
            ("<html>ok</html>", "ok"),
        ] {
            assert_eq!(page_text(page).as_deref(), Some(wanted), "{page}");
        }
    }

    #[test]
    fn pages_for_people_and_pages_about_failures_are_no_results() {
        let long = format!("<html><body>{}</body></html>", "word ".repeat(300));
        for page in [
            "<html></html>",
            "<html><head><title>Done</title></head><body> <br> </body></html>",
            "<h1>Log in</h1>",
            "<html><head><title>Internal Server Error</title></head><body>Oops</body></html>",
            "<html><body><h1>503 Service Unavailable</h1></body></html>",
            "<html><body>Welcome<form action=/x></form></body></html>",
            "<html><script src=app.js></script><body>Loading</body></html>",
            &long,
        ] {
            assert_eq!(page_text(page), None, "{page}");
        }
    }

    #[test]
    fn broken_pages_are_read_as_far_as_they_go() {
        for page in
            ["<", "<html", "<html><body>a < b & c &#; &#x110000; &#1;", "<!--", "<head>", "</", "&", "<html>é<é>"]
        {
            let _ = page_text(page);
        }
        assert_eq!(page_text("<html><body>a &lt; b &amp").as_deref(), Some("a < b &amp"));
    }
}
