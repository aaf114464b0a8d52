//! Lines with code: lines that hold a token, neither comments nor blank lines.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

/// For each line of a file, whether it holds code. Index 0 is line 1.
#[derive(Debug)]
pub(crate) struct CodeLines(Vec<bool>);

impl CodeLines {
    pub(crate) fn new(text: &str, tokens: TokenStream) -> Self {
        let mut lines = Self(vec![false; text.lines().count()]);
        lines.mark_stream(text, tokens);
        // Blank lines of a text over several lines.
        for (at, line) in text.lines().enumerate() {
            lines.0[at] &= !line.trim().is_empty();
        }
        lines
    }

    /// Lines with code from one line to another, both included.
    pub(crate) fn between(&self, start: usize, end: usize) -> usize {
        let end = end.min(self.0.len());
        self.0[(start - 1).min(end)..end].iter().filter(|is_code| **is_code).count()
    }

    pub(crate) fn total(&self) -> usize {
        self.between(1, self.0.len())
    }

    fn mark(&mut self, span: Span) {
        for line in span.start().line..=span.end().line {
            if let Some(is_code) = self.0.get_mut(line - 1) {
                *is_code = true;
            }
        }
    }

    fn mark_stream(&mut self, text: &str, tokens: TokenStream) {
        let mut trees = tokens.into_iter().peekable();
        while let Some(tree) = trees.next() {
            match tree {
                // A comment of documentation is `#[doc = "…"]` to the parser.
                TokenTree::Punct(punct) if punct.as_char() == '#' && is_comment(text, punct.span()) => {
                    trees.next_if(|next| matches!(next, TokenTree::Punct(bang) if bang.as_char() == '!'));
                    trees.next();
                }
                TokenTree::Group(group) => {
                    if group.delimiter() != Delimiter::None {
                        self.mark(group.span_open());
                        self.mark(group.span_close());
                    }
                    self.mark_stream(text, group.stream());
                }
                other => self.mark(other.span()),
            }
        }
    }
}

/// Whether an attribute is written as a comment.
pub(crate) fn is_comment(text: &str, span: Span) -> bool {
    text.as_bytes().get(span.byte_range().start) == Some(&b'/')
}
