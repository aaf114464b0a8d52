//! The frames of calls in chat templates: how they begin and end. What stands between is read in every form
//! (`parse`), so a template that is not known yet is a line here.

/// Beginnings and ends in small letters; they are found in any case, and tags with a namespace too (`<minimax:tool_call>`).
/// Without an end, the rest of the answer belongs to it. One that begins with a letter stands at the beginning of a line.
pub(super) const FRAMES: [(&str, &str); 34] = [
    ("<tool_call>", "</tool_call>"),
    ("<tool_calls>", "</tool_calls>"),
    ("<toolcall>", "</toolcall>"),
    ("<tool_use>", "</tool_use>"),
    ("<use_mcp_tool>", "</use_mcp_tool>"),
    ("<tool_code>", "</tool_code>"),
    ("<function_calls>", "</function_calls>"),
    ("<function_call>", "</function_call>"),
    ("<start_function_call>", "<end_function_call>"),
    ("<function=", "</function>"),
    ("<invoke ", "</invoke>"),
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ("<|tool_call_begin|>", "<|tool_call_end|>"),
    ("<|tool_call_start|>", "<|tool_call_end|>"),
    ("<|tool_call|>", ""),
    ("<|tool_call>", "<tool_call|>"),
    ("<|tool_calls|>", ""),
    ("<|tools_prefix|>", "<|tools_suffix|>"),
    ("<|start_action|>", "<|end_action|>"),
    ("<|action_start|>", "<|action_end|>"),
    ("<|python_tag|>", "<|eom_id|>"),
    ("<|python_start|>", "<|python_end|>"),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
    ("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>"),
    ("<｜tool_call_begin｜>", "<｜tool_call_end｜>"),
    ("[tool_calls]", ""),
    ("[tool_call]", "[/tool_call]"),
    ("✿function✿", "✿result✿"),
    ("functools[", ""),
    ("```tool_code", "```"),
    ("```tool_call", "```"),
    ("```tool_use", "```"),
    (FENCE, "```"),
];
/// Where the marks that say nothing else begin; what is between them may be no call.
pub(super) const FENCE: &str = "```json";
/// Bytes of the namespace of a tag.
const NAMESPACE_BYTES_MAX: usize = 24;

/// What begins here.
pub(super) enum Beginning {
    No,
    /// More is needed.
    Unknown,
    /// A frame: its place in the table, and the bytes of its beginning.
    Frame(usize, usize),
}

/// Without regard to case.
pub(super) fn begins_with(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// The frame that begins here.
pub(super) fn frame_at(text: &str, is_line_start: bool) -> Beginning {
    let own = |open: &str| is_line_start || !open.starts_with(char::is_alphabetic);
    let found = |text: &str| FRAMES.iter().position(|(open, _)| own(open) && begins_with(text, open));
    if let Some(place) = found(text) {
        return Beginning::Frame(place, FRAMES[place].0.len());
    }
    let may_begin = |text: &str| FRAMES.iter().any(|(open, _)| own(open) && begins_with(open, text));
    match text.strip_prefix('<').map(namespace) {
        Some(Namespace::Whole(length)) => {
            let plain = format!("<{}", text.get(1 + length..).unwrap_or_default());
            match found(&plain) {
                Some(place) => Beginning::Frame(place, FRAMES[place].0.len() + length),
                None if may_begin(&plain) => Beginning::Unknown,
                None => Beginning::No,
            }
        }
        Some(Namespace::Unknown) => Beginning::Unknown,
        _ if may_begin(text) => Beginning::Unknown,
        _ => Beginning::No,
    }
}

enum Namespace {
    No,
    Unknown,
    /// So many bytes with the sign that ends it.
    Whole(usize),
}

/// `minimax:`, or `｜DSML｜` before the name of a tag.
fn namespace(inner: &str) -> Namespace {
    let (name, end) = match inner.strip_prefix('｜') {
        Some(name) => (name, '｜'),
        None => (inner, ':'),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let length = name.find(|c| !is_name(c)).unwrap_or(name.len());
    let behind = name.get(length..).unwrap_or_default();
    let start = inner.len() - name.len();
    match behind.strip_prefix(end) {
        _ if length > NAMESPACE_BYTES_MAX => Namespace::No,
        None if behind.is_empty() => Namespace::Unknown,
        Some("") if length > 0 => Namespace::Unknown,
        Some(tag) if length > 0 && tag.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Namespace::Whole(start + length + end.len_utf8())
        }
        _ => Namespace::No,
    }
}

/// Behind the end of a frame.
pub(super) fn behind_end(text: &str, end: &str) -> Option<usize> {
    text.char_indices().find_map(|(at, _)| {
        let rest = text.get(at..)?;
        if begins_with(rest, end) {
            return Some(at + end.len());
        }
        let (inner, name) = (rest.strip_prefix("</")?, end.strip_prefix("</")?);
        let Namespace::Whole(length) = namespace(inner) else { return None };
        begins_with(inner.get(length..)?, name).then_some(at + end.len() + length)
    })
}

/// Tags without their namespaces.
pub(super) fn without_namespaces(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        plain.push_str(before);
        let head = if tag.starts_with("</") { 2 } else { 1 };
        plain.push_str(tag.get(..head).unwrap_or_default());
        let inner = tag.get(head..).unwrap_or_default();
        rest = match namespace(inner) {
            Namespace::Whole(length) => inner.get(length..).unwrap_or_default(),
            Namespace::No | Namespace::Unknown => inner,
        };
    }
    plain + rest
}
