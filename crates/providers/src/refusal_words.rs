//! What the words of a refusal are about. A parameter is named in one of the frames that servers use, whatever they say about
//! it; a word of a sentence that only looks like its name is none.

/// Nouns that stand beside the name of a parameter.
const NOUNS: [&str; 16] = [
    "parameter",
    "parameters",
    "param",
    "params",
    "argument",
    "arguments",
    "field",
    "fields",
    "property",
    "properties",
    "option",
    "options",
    "key",
    "keys",
    "input",
    "name",
];
/// What follows a parameter that is the subject of a sentence.
const VERBS: [&str; 15] = [
    "is",
    "are",
    "isn't",
    "aren't",
    "not",
    "cannot",
    "can't",
    "must",
    "may",
    "should",
    "does",
    "do",
    "requires",
    "unsupported",
    "unknown",
];
/// Names that mean the ability to call tools.
const TOOL_USE: [&str; 9] = [
    "tools",
    "tool use",
    "tool_use",
    "tool calling",
    "tool-calling",
    "tool calls",
    "function calling",
    "function calls",
    "functions",
];
/// What a server says of an ability that it has, and of one that it lacks.
const ABILITY: [&str; 10] =
    ["support", "enable", "availab", "allow", "permit", "implement", "capab", "accept", "compatib", "offer"];
const LACK: [&str; 9] =
    ["not ", "n't ", "no ", "cannot ", "unsupported", "unavailable", "disabled", "without ", "none "];
/// How servers say that an id has a wrong form.
const ID_FORM_WORDS: [&str; 9] =
    ["length", "alphanumeric", "pattern", "a-z", "{9}", "9 char", "nine char", "too long", "regex"];
/// How servers say that a role is unknown.
const ROLE_WORDS: [&str; 9] =
    ["support", "got", "unknown", "unexpected", "not allowed", "one of", "unrecognized", "not valid", "invalid role"];
/// How templates say that they know two roles alone.
pub(crate) const ONLY_TWO_ROLES: &str = "only user and assistant roles";

/// Whether a parameter is named in a frame: in quotation marks or brackets, as a path before a colon, beside a noun, as the
/// subject of a sentence, or as all that stands behind a colon. A name with an underscore is no word: it needs no frame.
/// All in small letters.
pub(crate) fn names(words: &str, name: &str) -> bool {
    let is_identifier = name.trim_matches('_').contains('_');
    tokens(words, name).any(|(before, after)| is_identifier || is_framed(before, after, true))
}

/// The same for the whole list of tools, and not for one of them by its place.
pub(crate) fn names_all_tools(words: &str) -> bool {
    tokens(words, "tools").any(|(before, after)| is_framed(before, after, false))
}

/// Where a name stands as a whole, in any way of writing: the texts before and behind it.
fn tokens<'a>(words: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let bare = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let wanted = bare(name);
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = words.get(from..)?;
            let start = from + rest.find(is_part)?;
            let token = words.get(start..)?;
            let end = start + token.find(|c| !is_part(c)).unwrap_or(token.len());
            from = end;
            if words.get(start..end).is_some_and(|token| bare(token) == wanted) {
                return Some((words.get(..start)?, words.get(end..)?));
            }
        }
    })
}

/// `inside`: a path below the name counts too.
fn is_framed(before: &str, after: &str, inside: bool) -> bool {
    let after = if inside { behind_path(after) } else { after };
    // "body.tools", "$.tools".
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let before = if before.ends_with('.') { before.trim_end_matches(is_path) } else { before };
    if is_quoted(before, after) {
        return true;
    }
    let head = before.trim_end();
    let is_start = head.is_empty() || head.ends_with(['.', ':', ';', '!', '?', '-', ',']);
    let last_word = last_word(head.trim_end_matches(':'));
    let next = after.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '\'')).next().unwrap_or_default();
    let is_object = head.ends_with(':') && after.trim_start_matches(' ').starts_with(['.', ',', ';', '\n', ')']);
    NOUNS.contains(&last_word)
        || NOUNS.contains(&next)
        || is_start && (after.starts_with(':') || VERBS.contains(&next))
        || is_object
        || head.ends_with(':') && after.trim().is_empty()
}

/// `'tools'`, `["tools"]`, `[tools]`; not the key of an object that the server repeats.
fn is_quoted(before: &str, after: &str) -> bool {
    let marks = [('\'', '\''), ('"', '"'), ('`', '`'), ('[', ']'), ('“', '”'), ('‘', '’'), ('<', '>')];
    let is_between = marks.iter().any(|(open, close)| before.ends_with(*open) && after.starts_with(*close));
    let behind = after.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, ':' | '{')).trim_start();
    let value = behind.strip_prefix(':').map(str::trim_start);
    let is_key = value.is_some_and(|value| value.starts_with(|c: char| "[{\"'-".contains(c) || c.is_ascii_digit()));
    is_between && !is_key
}

fn behind_path(text: &str) -> &str {
    if text.starts_with(['.', '[']) && text.get(1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()))
    {
        let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']')));
        return text.get(end.unwrap_or(text.len())..).unwrap_or_default();
    }
    text
}

fn last_word(text: &str) -> &str {
    text.trim_end().rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Whether a parameter is named, in any way of writing. A short name has to stand alone: "stopped" has two in it.
pub(crate) fn is_named(words: &str, name: &str) -> bool {
    let bare = name.replace('_', "");
    if bare.len() <= 5 {
        let mut parts = words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        return parts.any(|part| part == name || part == bare);
    }
    words.replace(['_', ' ', '-'], "").contains(&bare)
}

/// Whether a refusal says that no tools can be called at all: in one sentence the ability, and that it is lacking.
pub(crate) fn is_about_tool_use(words: &str) -> bool {
    let mut sentences = words.split(['.', ';', '\n', '!']).map(|sentence| format!("{sentence} "));
    words.contains("--enable-auto-tool-choice")
        || sentences.any(|sentence| {
            let says = |all: &[&str]| all.iter().any(|said| sentence.contains(said));
            let lacks = says(&LACK) && says(&ABILITY) || sentence.contains("unsupported");
            lacks && TOOL_USE.iter().any(|name| has_word(&sentence, name))
        })
}

/// Whether a name stands alone, and is not one of parallel calls.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + name.len()..).unwrap_or_default());
        !before.ends_with(is_part) && !after.starts_with(is_part) && !before.ends_with("parallel ")
    })
}

/// Whether a refusal comes from a chat template or a grammar, which name no parameter.
pub(crate) fn is_about_template(words: &str) -> bool {
    ["template", "jinja", "grammar"].iter().any(|name| has_word(words, name))
}

/// Whether a refusal is about the ids of tool calls.
pub(crate) fn is_about_ids(words: &str) -> bool {
    let plain = words.replace(['_', '-', ' '], "");
    let is_in_calls = || {
        let named = [".id", "'id'", "\"id\"", "`id`", " id ", " ids"];
        plain.contains("toolcall") && named.iter().any(|name| words.contains(name))
    };
    plain.contains("toolcallid") || plain.contains("functioncallid") || is_in_calls()
}

/// Whether it says that they have a wrong form.
pub(crate) fn is_about_id_form(words: &str) -> bool {
    is_about_ids(words) && ID_FORM_WORDS.iter().any(|said| words.contains(said))
}

/// Whether a refusal says that the results of tools need the names of their tools.
pub(crate) fn is_about_result_names(words: &str) -> bool {
    let is_about_results =
        ["function_response", "functionresponse", "'tool'", "`tool`", "\"tool\"", "tool message", "role tool"];
    let is_missing = ["empty", "missing", "required", "must"];
    let says = |all: &[&str]| all.iter().any(|said| words.contains(said));
    words.contains("name") && says(&is_about_results) && says(&is_missing)
}

/// Whether a refusal says that no message may be of a tool, and not where it has to stand.
pub(crate) fn is_about_tool_role(words: &str) -> bool {
    let is_about_place = words.contains("preced") || words.contains("preceed") || words.contains("follow");
    let is_named = words.contains("tool") && ROLE_WORDS.iter().any(|said| words.contains(said));
    words.contains("role") && !is_about_place && (is_named || words.contains(ONLY_TWO_ROLES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_named_in_the_frames_of_all_servers() {
        for name in ["tools", "seed", "stream", "temperature", "stop", "top_p", "chat_template_kwargs"] {
            for words in [
                format!("unsupported parameter: '{name}' is not supported with this model."),
                format!("unrecognized request argument supplied: {name}"),
                format!(
                    "[{{'type': 'extra_forbidden', 'loc': ('body', '{name}'), 'msg': 'extra inputs are not permitted', 'input': 1}}]"
                ),
                format!("{name}: extra fields not permitted"),
                format!(
                    "{{\"detail\":[{{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"{name}\"],\"msg\":\"extra\",\"input\":1}}]}}"
                ),
                format!("custom_openai does not support parameters: ['{name}'], for model=x."),
                format!("extraneous key [{name}] is not permitted, please reformat your input"),
                format!("unknown field: {name}"),
                format!("unknown field `{name}`, expected one of `messages`, `model` at line 1"),
                format!("property '{name}' is unsupported"),
                format!("no endpoints found that support the parameter {name}. to learn more, visit https://x.y"),
                format!("{name} is not implemented"),
                format!("unsupported param: {name}"),
                format!("json: unknown field \"{name}\""),
                format!("argument not supported on this model: {name}"),
                format!("body.{name}: extra inputs are not permitted"),
                format!("the {name} option cannot be used here"),
                format!("invalid request: {name} is no field of this api, {name} not allowed"),
            ] {
                assert!(names(&words, name), "{name}: {words}");
                assert!(name != "tools" || names_all_tools(&words), "{words}");
            }
        }
    }

    #[test]
    fn words_and_other_parameters_are_no_names() {
        for (name, words) in [
            ("stop", "the server has stopped: nonstop load"),
            ("stop", "please stop sending requests"),
            ("stream", "the stream of this answer broke off"),
            ("seed", "the model was trained from a seed that is lost"),
            ("tools", "attempted to call tool 'json' which was not in the list of tools we know"),
            ("tools", "an assistant message with 'tool_calls' must be followed by tool messages"),
            ("seed", "invalid body: {\"model\": \"m\", \"seed\": 7, \"messages\": []}"),
            ("user", "conversation roles must alternate user/assistant/user/assistant"),
        ] {
            assert!(!names(words, name), "{name}: {words}");
        }
        for words in ["tools[1].function.parameters: bad", "'tools[9].function' is bad", "tools.0.input_schema: bad"] {
            assert!(!names_all_tools(words), "{words}");
        }
    }

    #[test]
    fn tools_are_unknown_in_any_wording() {
        for words in [
            "registry.ollama.ai/library/gemma3:4b does not support tools",
            "no endpoints found that support tool use.",
            "function calling is not supported for this model",
            "tool calling is not enabled on this server",
            "deepseek-reasoner does not support function calling",
            "this deployment isn't capable of tool calls.",
            "functions are unsupported",
            "sorry: tools have been disabled, they are not available here",
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
        ] {
            assert!(is_about_tool_use(words), "{words}");
        }
        for words in [
            "tool call validation failed: attempted to call tool 'x' which was not in request.tools",
            "parallel tool calls are not supported",
            "messages with role 'tool' are not supported",
            "the service is not available. tools are loaded",
            "tool_choice 'none' is not supported",
        ] {
            assert!(!is_about_tool_use(words), "{words}");
        }
    }
}
