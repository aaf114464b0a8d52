//! Where a value stands in a JSON answer: a JSON pointer (RFC 6901) or a dotted path.

use serde_json::Value;

/// Characters of a path.
const CHARS_MAX: usize = 200;
/// Steps of a path.
const STEPS_MAX: usize = 16;

/// The steps from the answer to a value: names of members and places in lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<String>);

impl JsonPath {
    /// Reads `/data/items/0`, `data.items[0]` or `$.data.items[0]`; `$` is the whole answer. The error follows the name
    /// of the field.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.chars().count() > CHARS_MAX || text.chars().any(char::is_control) {
            return Err("must be a path of 1 to 200 characters");
        }
        let steps = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescaped).collect::<Option<Vec<_>>>(),
            None => dotted(text),
        };
        let steps =
            steps.ok_or("must be a JSON pointer such as /data/status, or a path such as data.items[0].status")?;
        if steps.len() > STEPS_MAX { Err("must have at most 16 steps") } else { Ok(Self(steps)) }
    }

    /// The value at this place; null counts as none.
    pub fn find<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        let found = self.0.iter().try_fold(answer, |value, step| match value {
            Value::Object(object) => object.get(step),
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        })?;
        Some(found).filter(|value| !value.is_null())
    }
}

/// A step of a JSON pointer; `None` if a `~` in it escapes nothing.
fn unescaped(step: &str) -> Option<String> {
    let bad = step.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    (!bad).then(|| step.replace("~1", "/").replace("~0", "~"))
}

fn dotted(text: &str) -> Option<Vec<String>> {
    let rest = match text.strip_prefix('$') {
        Some("") => return Some(Vec::new()),
        Some(rest) => rest.strip_prefix('.').or(rest.starts_with('[').then_some(rest))?,
        None => text,
    };
    let mut steps = Vec::new();
    for (place, part) in rest.split('.').enumerate() {
        let mut pieces = part.split('[');
        let name = pieces.next().unwrap_or_default();
        let has_places = part.contains('[');
        if name.contains(']') || name.is_empty() && !(place == 0 && has_places) {
            return None;
        }
        if !name.is_empty() {
            steps.push(name.to_owned());
        }
        for piece in pieces {
            let digits = piece.strip_suffix(']')?;
            if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            steps.push(digits.to_owned());
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_and_dotted_paths_lead_to_values() {
        let answer = json!({"data": {"items": [{"id": 7}, {"a/b": "slash", "": 1}], "none": null}, "0": "zero"});
        for (path, wanted) in [
            ("/data/items/0/id", Some(json!(7))),
            ("data.items[0].id", Some(json!(7))),
            ("data.items.0.id", Some(json!(7))),
            ("$.data.items[0].id", Some(json!(7))),
            ("$", Some(answer.clone())),
            ("/data/items/1/a~1b", Some(json!("slash"))),
            ("/0", Some(json!("zero"))),
            ("data.none", None),
            ("data.items[9]", None),
            ("data.items.x", None),
            ("0.x", None),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&answer), wanted.as_ref(), "{path}");
        }
        assert_eq!(JsonPath::parse("[1]").unwrap().find(&json!([1, 2])), Some(&json!(2)));
        assert_eq!(JsonPath::parse("$[1]").unwrap().find(&json!([1, 2])), Some(&json!(2)));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let (long, deep) = ("a".repeat(201), "/a".repeat(17));
        for wrong in
            ["", "a..b", ".a", "a.", "a[", "a[]", "a[*]", "a[-1]", "a]b", "$a", "/a~2", "/a~", "a\nb", &long, &deep]
        {
            assert!(JsonPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
