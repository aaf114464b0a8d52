//! Takes out what is written for the eye: Markdown, HTML, SSML, emoji, stage directions. Headings, list items and rows
//! of tables get an end.

use super::emphasis::star_keys;
use super::ssml::{Bracket, Tag, bracket, entity};
use std::ops::Range;

/// A stage direction, and the address of a link, are at most so long, in octets; longer ones are text.
const DIRECTION_BYTES_MAX: usize = 42;
const LINK_BYTES_MAX: usize = 2_000;

/// The longest pause in a text: ElevenLabs takes three seconds.
const PAUSE_MS_MAX: u32 = 3_000;

/// How a part of the text is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Spelled,
    Phone,
    /// As another text.
    Alias(String),
    /// With these sounds where a voice takes them, else as another text.
    Sounds {
        ipa: String,
        said: String,
    },
}

/// A text without markup, white space single.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PlainText {
    pub(super) text: String,
    /// Parts that the markup says how to say, in order.
    pub(super) manners: Vec<(Range<usize>, Manner)>,
    /// Pauses: where, and their milliseconds.
    pub(super) pauses: Vec<(usize, u32)>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Plain,
    /// Needs an end of its own.
    Item,
    TableRow,
}

/// The text without markup; stage directions such as `[laughs]` stay if `with_directions`.
pub(super) fn plain_text(text: &str, with_directions: bool) -> PlainText {
    let linked = without_links(text);
    let directed = if with_directions { linked } else { without_tags(&linked) };
    let mut out = Builder::default();
    let mut fenced = false;
    for line in directed.lines() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") && line.len() <= 12 {
            fenced = !fenced;
            continue;
        }
        let (kind, content) = if fenced { (Line::Item, line) } else { line_kind(line) };
        if kind == Line::TableRow {
            let cells: Vec<&str> = content.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
            for (index, cell) in cells.iter().enumerate() {
                out.inline(cell);
                if index + 1 < cells.len() {
                    out.comma();
                }
            }
        } else {
            out.inline(content);
        }
        if kind != Line::Plain {
            out.end_sentence();
        }
        out.blank();
    }
    out.finish()
}

/// What a line is, and its text.
fn line_kind(line: &str) -> (Line, &str) {
    let quoted = line.trim_start_matches('>').trim_start();
    // "> 5" compares; a quotation has words.
    let line = if line.starts_with('>') && quoted.starts_with(|c: char| !c.is_ascii_digit()) { quoted } else { line };
    let is_rule = line.chars().filter(|c| !c.is_whitespace()).count() >= 2
        && line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | '|' | ':' | '+' | ' '));
    if is_rule {
        return (Line::Plain, "");
    }
    let hashes = line.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&hashes) && line[hashes..].starts_with(' ') {
        return (Line::Item, line[hashes..].trim().trim_end_matches('#').trim_end());
    }
    for bullet in ["- [ ] ", "- [x] ", "- ", "* ", "+ ", "• ", "– ", "▪ ", "◦ ", "· "] {
        if let Some(item) = line.strip_prefix(bullet) {
            return (Line::Item, item.trim());
        }
    }
    match line.starts_with('|') && line.len() > 1 {
        true => (Line::TableRow, line),
        false => (Line::Plain, line),
    }
}

/// Pictures in text.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c),
        0x1F000..=0x1FAFF | 0x2600..=0x2669 | 0x2670..=0x27BF | 0x2B00..=0x2BFF | 0xFE00..=0xFE0F | 0x200D | 0x20E3 | 0xE0020..=0xE007F)
}

/// The plain text as it grows.
#[derive(Debug, Default)]
struct Builder {
    out: PlainText,
    /// Where an element that is said in a manner of its own has begun.
    open: Option<(usize, String, Manner)>,
    /// A blank is due before the next character.
    blank: bool,
    /// An emoji was left out since the last character.
    after_emoji: bool,
}

impl Builder {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.blank();
            return;
        }
        // No blank where an emoji stood before a mark.
        let closes = self.after_emoji && matches!(c, '.' | ',' | '!' | '?' | ';' | ':' | ')' | '…');
        if self.blank && !closes && !self.out.text.is_empty() {
            self.out.text.push(' ');
        }
        (self.blank, self.after_emoji) = (false, false);
        self.out.text.push(c);
    }

    fn blank(&mut self) {
        self.blank = true;
    }

    fn comma(&mut self) {
        let ends = self
            .out
            .text
            .chars()
            .next_back()
            .is_none_or(|last| !last.is_alphanumeric() && !matches!(last, ')' | '%' | '€' | '$'));
        if !ends {
            self.out.text.push(',');
        }
        self.blank();
    }

    fn end_sentence(&mut self) {
        let trimmed = self.out.text.trim_end_matches(['"', '”', '»', ')', '\'']);
        let last = trimmed.chars().next_back();
        if last.is_some_and(|last| {
            !matches!(
                last,
                '.' | '!' | '?' | '…' | ':' | ';' | ',' | '。' | '！' | '？' | '।' | '؟' | '．' | '｡' | '、'
            )
        }) {
            let cjk = last.is_some_and(|last| matches!(u32::from(last), 0x3040..=0x30FF | 0x3400..=0x9FFF));
            self.out.text.push(if cjk { '。' } else { '.' });
        }
    }

    /// A line, or a cell of a table.
    fn inline(&mut self, line: &str) {
        let keys = star_keys(line);
        let mut rest = line;
        let mut before: Option<char> = None;
        while let Some(c) = rest.chars().next() {
            if let Some(sign) = escaped(rest) {
                self.push(sign);
                (rest, before) = (&rest[2..], Some(sign));
                continue;
            }
            if c == '<'
                && let Some((found, length)) = bracket(rest)
            {
                match found {
                    Bracket::Comment => {}
                    Bracket::Address(address) => address.chars().for_each(|c| self.push(c)),
                    Bracket::Tag(tag) => self.tag(&tag, &rest[length..]),
                }
                rest = &rest[length..];
                continue;
            }
            if c == '&'
                && let Some((c, length)) = entity(rest)
            {
                self.push(c);
                (rest, before) = (&rest[length..], Some(c));
                continue;
            }
            if matches!(c, '*' | '_' | '`' | '~') {
                let run = rest.len() - rest.trim_start_matches(c).len();
                let is_key = keys.binary_search(&(line.len() - rest.len())).is_ok();
                if is_key || !is_marker(c, run / c.len_utf8(), before, rest[run..].chars().next()) {
                    (0..run).for_each(|_| self.push(c));
                }
                (rest, before) = (&rest[run..], Some(c));
                continue;
            }
            match is_emoji(c) {
                true => self.after_emoji = true,
                false => self.push(c),
            }
            (rest, before) = (&rest[c.len_utf8()..], Some(c));
        }
    }

    fn tag(&mut self, tag: &Tag<'_>, behind: &str) {
        if tag.parts_words() {
            let says = self.out.text.chars().next_back().is_some_and(|last| last.is_alphanumeric());
            let goes_on = behind.trim_start().starts_with(|c: char| c.is_alphanumeric());
            if tag.is("break") && !tag.is_closing && is_heard(tag) {
                if says && goes_on {
                    self.out.text.push(',');
                }
                self.out.pauses.push((self.out.text.len(), pause_ms(tag)));
            }
            self.blank();
        }
        if tag.is_closing {
            let closes = self.open.take_if(|(_, name, _)| tag.is(name));
            if let Some((start, _, manner)) = closes {
                let skipped = self.out.text.get(start..).map_or(0, |inner| inner.len() - inner.trim_start().len());
                self.out.manners.push((start + skipped..self.out.text.len(), manner));
                self.out.manners.retain(|(range, _)| range.start < range.end);
            }
        } else if !tag.is_empty
            && self.open.is_none()
            && let Some(manner) = manner(tag)
        {
            self.open = Some((self.out.text.len(), tag.name.to_owned(), manner));
        }
    }

    fn finish(mut self) -> PlainText {
        if let Some((start, _, manner)) = self.open.take()
            && start < self.out.text.len()
        {
            let skipped = self.out.text.get(start..).map_or(0, |inner| inner.len() - inner.trim_start().len());
            self.out.manners.push((start + skipped..self.out.text.len(), manner));
        }
        self.out
    }
}

/// A pause of less than a fifth of a second is none.
fn is_heard(tag: &Tag<'_>) -> bool {
    let strength = tag.attribute("strength");
    let time = tag.attribute("time").unwrap_or("1s");
    let short = time.strip_suffix("ms").and_then(|ms| ms.trim().parse::<u32>().ok()).is_some_and(|ms| ms < 200);
    !short && !time.starts_with("0s") && strength != Some("none")
}

/// How long a pause is, as far as vendors take it.
fn pause_ms(tag: &Tag<'_>) -> u32 {
    let by_strength = match tag.attribute("strength") {
        Some("x-weak" | "weak") => 250,
        Some("strong") => 800,
        Some("x-strong") => 1_200,
        _ => 500,
    };
    let Some(time) = tag.attribute("time").map(str::trim) else { return by_strength };
    let ms = match time.strip_suffix("ms") {
        Some(ms) => ms.trim().parse::<f64>().ok(),
        None => time.strip_suffix('s').and_then(|s| s.trim().parse::<f64>().ok()).map(|s| s * 1_000.0),
    };
    ms.filter(|ms| ms.is_finite() && *ms > 0.0).map_or(by_strength, |ms| ms.min(f64::from(PAUSE_MS_MAX)) as u32)
}

fn manner(tag: &Tag<'_>) -> Option<Manner> {
    if tag.is("spell") {
        return Some(Manner::Spelled);
    }
    if tag.is("sub") {
        return tag.attribute("alias").map(|alias| Manner::Alias(alias.to_owned()));
    }
    if !tag.is("say-as") {
        return None;
    }
    match tag.attribute("interpret-as")? {
        "characters" | "character" | "spell-out" | "verbatim" | "letters" | "digits" => Some(Manner::Spelled),
        "telephone" | "phone" => Some(Manner::Phone),
        _ => None,
    }
}

/// The sign of `\*` and `\#`, which are no markup.
fn escaped(rest: &str) -> Option<char> {
    rest.strip_prefix('\\').and_then(|rest| rest.chars().next()).filter(|sign| matches!(sign, '*' | '#'))
}

/// Whether signs are Markdown: they stand next to a word, on one of its sides.
fn is_marker(c: char, run: usize, before: Option<char>, after: Option<char>) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    match c {
        '`' => true,
        '~' => run == 2 && (word(before) || word(after)),
        // `snake_case` is a name, `_word_` is emphasis.
        '_' => (word(before) || word(after)) && !(inside(before) && inside(after)),
        _ => {
            // "5*3" multiplies.
            let number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            (word(before) || word(after))
                && !(run == 1 && number(before) && number(after))
                && !(run == 1
                    && matches!(before, Some('"' | '\'' | '“' | '(' | '„' | '«'))
                    && matches!(after, Some('"' | '\'' | '”' | ')' | '“' | '»')))
                && !(run == 1 && !word(before) && matches!(after, Some('.' | ',' | '!' | '?' | ';' | ')')))
        }
    }
}

/// `[text](address)` is its text.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        // A bracket in between belongs to something else.
        let next = rest[open + 1..].find(['[', ']']).map(|at| open + 1 + at);
        let link = next.filter(|at| rest[*at..].starts_with("](")).and_then(|middle| {
            let address = rest[middle..].bytes().take(LINK_BYTES_MAX);
            let close = { address }.position(|b| matches!(b, b')' | b'\n')).map(|at| middle + at)?;
            rest[close..].starts_with(')').then_some((middle, close))
        });
        let Some((middle, close)) = link else {
            out.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        let before = rest[..open].strip_suffix('!').unwrap_or(&rest[..open]);
        out.push_str(before);
        out.push_str(&rest[open + 1..middle]);
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out
}

/// Whether what stands in brackets is the name of a sound, or of none.
fn is_direction(inside: &str) -> bool {
    !inside.is_empty()
        && inside.len() <= 40
        && inside.chars().all(|c| c.is_ascii_lowercase() || matches!(c, ' ' | '\'' | '-'))
        && inside.chars().any(|c| c.is_ascii_lowercase())
        && inside != "x"
}

/// "(silence)" and nothing else: a text that has only a direction in it.
fn is_direction_alone(text: &str) -> bool {
    let inside = text.trim().trim_end_matches(['.', '…']).strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    inside.is_some_and(|inside| is_direction(inside.to_lowercase().trim_end_matches('.')))
}

/// Removes audio tags (`[laughs]`, `[speaking softly]`).
pub fn without_tags(text: &str) -> String {
    if is_direction_alone(text) {
        return String::new();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let close = rest[open..].bytes().take(DIRECTION_BYTES_MAX).position(|b| b == b']').map(|at| open + at);
        let inside = close.map_or("", |close| &rest[open + 1..close]);
        let close = close.unwrap_or(open);
        if is_direction(inside) {
            out.push_str(rest[..open].trim_end());
            if !out.is_empty() && !rest[close + 1..].trim_start().is_empty() {
                out.push(' ');
            }
            rest = rest[close + 1..].trim_start();
        } else {
            out.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
        }
    }
    out.push_str(rest);
    out
}
