//! Takes out of a recording what names a key, an account or a request, and its audio.

use super::recording::{Received, Recording};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Stands where a key or a part of one stood.
const KEY: &str = "<key>";
/// Stands where something else was.
const REMOVED: &str = "<removed>";
/// Base64 of at least so many octets is audio, or something else that nobody needs.
const BASE64_BYTES_MIN: usize = 48;
/// Parts of a key of so many characters give it away.
const KEY_PART_CHARS: usize = 6;
/// Fields of our own: what they hold says which of our requests a message belongs to.
const OURS: [&str; 2] = ["context_id", "contextId"];
/// Fields whose values go, in small letters without marks.
const NAMES: [&str; 21] = [
    "organization",
    "organizationid",
    "org",
    "orgid",
    "project",
    "projectid",
    "user",
    "userid",
    "account",
    "accountid",
    "workspace",
    "workspaceid",
    "email",
    "requestid",
    "xrequestid",
    "systemfingerprint",
    "obfuscation",
    "signature",
    "transactionkey",
    "sha256",
    "traceid",
];
/// Fields with times.
const TIMES: [&str; 8] =
    ["created", "createdat", "timestamp", "expiresat", "updatedat", "completedat", "startedat", "receivedat"];
/// Beginnings of words that name an account or a request.
const ID_STARTS: [&str; 10] =
    ["org-", "org_", "proj_", "proj-", "req_", "req-", "user-", "user_", "acct_", "workspace_"];

/// Cleans one recording: the same id becomes the same name everywhere in it.
pub(super) struct Sanitizer<'a> {
    key: &'a str,
    ids: HashMap<String, String>,
}

impl<'a> Sanitizer<'a> {
    pub(super) fn new(key: &'a str) -> Self {
        Self { key, ids: HashMap::new() }
    }

    /// The recording without any of it.
    pub(super) fn recording(&mut self, mut recording: Recording) -> Recording {
        self.value(&mut recording.request);
        for one in &mut recording.exchange {
            match &mut one.what {
                Received::Event(text) | Received::Frame(text) | Received::Body(text) => *text = self.message(text),
                Received::Closed(text) | Received::Refused { message: text, .. } => *text = self.words(text),
                Received::Status(_) | Received::AudioBytes(_) => {}
            }
        }
        recording
    }

    /// A message of a vendor; most are JSON.
    fn message(&mut self, text: &str) -> String {
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                self.value(&mut value);
                value.to_string()
            }
            Err(_) => self.words(text),
        }
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => self.fields(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn fields(&mut self, fields: &mut Map<String, Value>) {
        for (name, value) in fields {
            let bare = name.to_lowercase().replace(['_', '-'], "");
            match value {
                _ if OURS.contains(&name.as_str()) || value.is_null() => {}
                _ if TIMES.contains(&bare.as_str()) => {
                    *value = if value.is_number() { json!(0) } else { json!("1970-01-01T00:00:00Z") };
                }
                Value::String(text) if NAMES.contains(&bare.as_str()) && !text.is_empty() => *value = json!(REMOVED),
                Value::String(text) if is_id_name(name) && !text.is_empty() => *text = self.id(text),
                _ => self.value(value),
            }
        }
    }

    /// Our name for an id of theirs. Its first letters say what it is of.
    fn id(&mut self, id: &str) -> String {
        let next = self.ids.len() + 1;
        // Nine letters and digits: Mistral takes no others.
        self.ids.entry(id.to_owned()).or_insert_with(|| format!("id{next:07}")).clone()
    }

    /// A text: audio is replaced by its length, anything else is cleaned word by word.
    fn text(&self, text: &str) -> String {
        match audio_bytes(text) {
            Some(bytes) => placeholder(bytes),
            None => self.words(text),
        }
    }

    fn words(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in forms(self.key) {
            text = text.replace(&form, KEY);
        }
        let is_mark = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '*' | '.' | '<' | '>'));
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.find(is_mark).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            out.push_str(self.word(word));
            let mark = behind.chars().next().map_or(0, char::len_utf8);
            out.push_str(&behind[..mark]);
            rest = &behind[mark..];
        }
        out
    }

    /// Vendors show the first and the last characters of a wrong key.
    fn word<'b>(&self, word: &'b str) -> &'b str {
        let starts = |part: Option<&str>| part.is_some_and(|part| word.contains(part));
        let begins = self.key.get(..KEY_PART_CHARS);
        let ends = self.key.len().checked_sub(KEY_PART_CHARS).and_then(|from| self.key.get(from..));
        if starts(begins) || starts(ends) || word.contains("***") {
            return KEY;
        }
        let small = word.to_lowercase();
        if ID_STARTS.iter().any(|start| small.starts_with(start) && small.len() > start.len() + 3) || is_uuid(word) {
            return REMOVED;
        }
        word
    }
}

/// `id`, `request_id`, `voiceId`.
fn is_id_name(name: &str) -> bool {
    name == "id" || name.ends_with("_id") || name.ends_with("Id")
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && !word.contains(|c: char| !c.is_ascii_hexdigit() && c != '-')
}

/// The ways in which a key can stand in a text.
fn forms(key: &str) -> Vec<String> {
    let encoded = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let mut forms = vec![key.to_owned(), encoded];
    for text in [key.to_owned(), format!(":{key}"), format!("{key}:"), format!("api:{key}")] {
        forms.extend([
            STANDARD.encode(&text),
            STANDARD_NO_PAD.encode(&text),
            URL_SAFE.encode(&text),
            URL_SAFE_NO_PAD.encode(&text),
        ]);
    }
    forms.retain(|form| !form.is_empty());
    forms
}

/// Whether a key, or its first or last characters, can be read in a text.
pub(super) fn shows_key(text: &str, key: &str) -> bool {
    let part = |range: Option<&str>| range.is_some_and(|part| text.contains(part));
    let last = key.len().checked_sub(2 * KEY_PART_CHARS).and_then(|from| key.get(from..));
    forms(key).iter().any(|form| text.contains(form)) || part(key.get(..2 * KEY_PART_CHARS)) || part(last)
}

/// Octets of a text that is audio in base64.
fn audio_bytes(text: &str) -> Option<usize> {
    let is_base64 = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    let bytes = STANDARD.decode(text).ok().filter(|_| is_base64)?;
    (bytes.len() >= BASE64_BYTES_MIN).then_some(bytes.len())
}

fn placeholder(bytes: usize) -> String {
    format!("<{bytes} bytes>")
}

/// A message with silence in place of the audio that was taken out.
pub(super) fn with_silence(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\"<") {
        let (before, from) = rest.split_at(at + 1);
        out.push_str(before);
        let bytes = from
            .strip_prefix('<')
            .and_then(|from| from.split_once(" bytes>\""))
            .map(|(count, _)| count.parse::<usize>());
        match bytes {
            Some(Ok(count)) if count <= 1 << 20 => {
                out.push_str(&STANDARD.encode(vec![0xFF; count]));
                rest = &from[placeholder(count).len()..];
            }
            _ => rest = from,
        }
    }
    out.push_str(rest);
    out
}
