//! The text of an answer, by its type and charset.

use super::page::page_text;
use crate::webhooks::tool_sender::ToolAnswer;
use serde_json::Value;
use trunkline_json::document::DocumentLimits;

/// What is read of an answer.
const ANSWER: DocumentLimits = DocumentLimits { bytes_max: 256 * 1024, depth_max: 64, values_max: 50_000 };
/// Characters of a type that an error repeats.
const TYPE_CHARS_MAX: usize = 60;
/// What the model learns of a web page.
pub(super) const PAGE: &str = "the answer is a web page (HTML)";
/// What Windows-1252 has from 0x80 to 0x9F; a blank stands where it has nothing.
const WINDOWS_1252: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

/// What an answer holds.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    /// Nothing, which is a result too.
    Empty,
    /// Words.
    Text(String),
    /// A JSON value.
    Json(Value),
}

/// Reads the body of an answer. Fails with the text for the model.
pub(super) fn content(answer: &ToolAnswer) -> Result<Content, String> {
    if matches!(answer.status, 204 | 205 | 304) || answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Content::Empty);
    }
    if let Some(coding) = answer.content_encoding.as_deref().filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(format!("the answer is compressed ({}), which was not asked for", shown(coding)));
    }
    let declared = answer.content_type.as_deref().unwrap_or_default();
    let (essence, charset) = media_type(declared);
    if is_file(&essence, &answer.body) {
        return Ok(Content::Text(file_text(&essence, &answer.body)));
    }
    let text = decoded(&answer.body, charset.as_deref())?;
    // Some servers call everything HTML.
    let may_be_json = text.trim_start().starts_with(['{', '[']);
    if begins_page(&text) || is_page(answer) && !may_be_json {
        return page_text(&text).map(Content::Text).ok_or_else(|| PAGE.to_owned());
    }
    let is_json = essence.ends_with("/json") || essence.ends_with("+json");
    // Line breaks inside of texts are a frequent mistake.
    let spaced = || text.replace(|c: char| c < ' ', " ");
    let read = ANSWER.parse(text.as_bytes()).or_else(|error| ANSWER.parse(spaced().as_bytes()).map_err(|_| error));
    match read {
        Ok(value) => return Ok(Content::Json(value)),
        Err(trunkline_json::document::DocumentError::Invalid(_)) if is_json => {
            return Err("the answer is not valid JSON".to_owned());
        }
        Err(trunkline_json::document::DocumentError::Invalid(_)) => {}
        Err(bound) => return Err(format!("the answer {bound}")),
    }
    let is_text = essence.is_empty() || essence.starts_with("text/") || essence.ends_with("xml");
    let is_form = essence == "application/x-www-form-urlencoded" || essence.ends_with("yaml");
    if (is_text || is_form) && !text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c)) {
        return Ok(Content::Text(text.trim().to_owned()));
    }
    match essence.as_str() {
        "" => Err("the answer is no text".to_owned()),
        essence => Err(format!("the answer is {}, which is no text", shown(essence))),
    }
}

/// Types whose content is no text, by what they begin with.
const FILE_TYPES: [&str; 12] = [
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/octet-stream",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/x-tar",
    "application/msword",
    "application/vnd.ms-",
    "application/vnd.openxmlformats",
];
/// How files of the most frequent types begin.
const FILE_STARTS: [(&[u8], &str); 7] = [
    (b"\x89PNG\r\n", "image/png"),
    (b"\xFF\xD8\xFF", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1F\x8B", "application/gzip"),
    (b"RIFF", "audio/wav"),
];

/// Whether a body is a file that nobody reads as text: by its type if it is no text, or by its content.
fn is_file(essence: &str, body: &[u8]) -> bool {
    let is_declared = FILE_TYPES.iter().any(|kind| essence.starts_with(kind)) && !essence.ends_with("xml");
    let is_text = || std::str::from_utf8(body).is_ok_and(|text| !text.contains('\0'));
    is_declared && !is_text() || FILE_STARTS.iter().any(|(start, _)| body.starts_with(start)) && !is_text()
}

/// What the model learns of a file.
fn file_text(essence: &str, body: &[u8]) -> String {
    let found = || FILE_STARTS.iter().find(|(start, _)| body.starts_with(start)).map_or("unknown", |(_, kind)| *kind);
    let declared = shown(essence);
    let kind = if declared.is_empty() { found() } else { &declared };
    format!("a file of type {kind}, {} bytes", body.len())
}

/// The body as text, whatever it is.
pub(super) fn any_text(answer: &ToolAnswer) -> String {
    let (_, charset) = media_type(answer.content_type.as_deref().unwrap_or_default());
    decoded(&answer.body, charset.as_deref()).unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into_owned())
}

/// A word of the server's choosing, as an error repeats it.
fn shown(word: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "/+-._".contains(*c);
    word.chars().filter(is_plain).take(TYPE_CHARS_MAX).collect()
}

fn media_type(text: &str) -> (String, Option<String>) {
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    (essence, charset)
}

/// Whether an answer calls itself a web page.
fn is_page(answer: &ToolAnswer) -> bool {
    let (essence, _) = media_type(answer.content_type.as_deref().unwrap_or_default());
    let has_body = !matches!(answer.status, 204 | 205) && !answer.body.is_empty();
    has_body && (essence.ends_with("/html") || essence.ends_with("/xhtml+xml"))
}

fn begins_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html")
        || start.starts_with("<html")
        || start.starts_with("<head")
        || start.starts_with("<body")
}

/// The body as text. Without a charset it is UTF-8, or else Western European, as old servers send it.
fn decoded(body: &[u8], charset: Option<&str>) -> Result<String, String> {
    let utf8 = || String::from_utf8(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).to_vec());
    match charset {
        None => Ok(utf8().unwrap_or_else(|_| western(body))),
        Some("utf-8" | "utf8") => {
            Ok(utf8().unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
        }
        Some("us-ascii" | "ascii" | "iso-8859-1" | "latin1" | "windows-1252" | "cp1252") => Ok(western(body)),
        Some("utf-16le") => Ok(wide(body, u16::from_le_bytes)),
        Some("utf-16" | "utf-16be") if !body.starts_with(&[0xFF, 0xFE]) => Ok(wide(body, u16::from_be_bytes)),
        Some("utf-16" | "utf-16be") => Ok(wide(body, u16::from_le_bytes)),
        Some(other) => Err(format!("the answer has the charset {}, which cannot be read", shown(other))),
    }
}

fn western(body: &[u8]) -> String {
    let high: Vec<char> = WINDOWS_1252.chars().collect();
    let char_of = |byte: &u8| match byte {
        0x80..=0x9F => high.get(usize::from(byte - 0x80)).copied().unwrap_or(' '),
        byte => char::from(*byte),
    };
    body.iter().map(char_of).collect()
}

fn wide(body: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let units = body.chunks_exact(2).filter_map(|pair| Some(unit([*pair.first()?, *pair.get(1)?])));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.trim_start_matches('\u{FEFF}').to_owned()
}
