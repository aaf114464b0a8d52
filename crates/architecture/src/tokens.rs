//! Paths and calls in a file's tokens, macros included: `select!` and `format!` hide nothing.

use crate::facts::Call;
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use std::ops::Range;

/// A path as written.
#[derive(Debug)]
pub(crate) struct Found {
    pub segments: Vec<String>,
    pub line: usize,
    pub byte: usize,
    pub call: Option<Call>,
}

/// Paths of a stream, and the ranges of expressions and fields below `#[cfg(test)]`.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub paths: Vec<Found>,
    pub tests: Vec<Range<usize>>,
}

impl Scan {
    pub(crate) fn stream(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            at = match tree {
                TokenTree::Punct(punct) if punct.as_char() == '\'' => at + 2,
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(&trees, at),
                TokenTree::Ident(ident) => self.ident(&trees, at, ident),
                TokenTree::Group(group) => {
                    self.stream(group.stream());
                    at + 1
                }
                _ => at + 1,
            };
        }
    }

    fn attribute(&mut self, trees: &[TokenTree], at: usize) -> usize {
        let at_group = if is_punct(trees.get(at + 1), '!') { at + 2 } else { at + 1 };
        let Some(TokenTree::Group(group)) = trees.get(at_group) else { return at + 1 };
        let text = group.stream().to_string();
        if text.starts_with("doc =") {
            return at_group + 1;
        }
        if is_test_cfg(&text) {
            let rest = &trees[at_group + 1..];
            let end = rest.iter().find(|tree| {
                matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                    || is_punct(Some(tree), ';')
                    || is_punct(Some(tree), ',')
            });
            let end = end.or(rest.last()).map_or(0, |tree| tree.span().byte_range().end);
            self.tests.push(trees[at].span().byte_range().start..end);
        }
        self.stream(group.stream());
        at_group + 1
    }

    fn ident(&mut self, trees: &[TokenTree], at: usize, ident: &Ident) -> usize {
        let name = plain(ident);
        let declares = matches!(name.as_str(), "fn" | "mod" | "struct" | "enum" | "trait" | "union" | "type");
        match name.as_str() {
            // The syntax tree knows imports better. `use<'a>` captures a lifetime.
            "use" if !is_punct(trees.get(at + 1), '<') => {
                let end = trees[at..].iter().position(|tree| is_punct(Some(tree), ';'));
                return end.map_or(at + 1, |end| at + end);
            }
            _ if declares && matches!(trees.get(at + 1), Some(TokenTree::Ident(_))) => return at + 2,
            _ => {}
        }
        let is_method = at > 0 && is_punct(trees.get(at - 1), '.');
        let mut segments = vec![name];
        let mut end = at + 1;
        while let (true, Some(TokenTree::Ident(next))) = (is_path_separator(trees, end), trees.get(end + 2)) {
            segments.push(plain(next));
            end += 3;
        }
        let call = arguments(trees, end).map(|group| call_of(group, is_method));
        let span = ident.span();
        self.paths.push(Found { segments, line: span.start().line, byte: span.byte_range().start, call });
        end
    }
}

/// `test`, and `all(test, …)`: what no other build has.
pub(crate) fn is_test_cfg(attribute: &str) -> bool {
    let text: String = attribute.split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

fn plain(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

fn is_punct(tree: Option<&TokenTree>, character: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_path_separator(trees: &[TokenTree], at: usize) -> bool {
    is_punct(trees.get(at), ':') && is_punct(trees.get(at + 1), ':')
}

/// The arguments behind a path, with or without a turbofish between them.
fn arguments(trees: &[TokenTree], mut at: usize) -> Option<&Group> {
    if is_path_separator(trees, at) && is_punct(trees.get(at + 2), '<') {
        let mut depth = 0_i32;
        at += 2;
        loop {
            match trees.get(at)? {
                TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
                TokenTree::Punct(punct) if punct.as_char() == '>' && !is_punct(trees.get(at - 1), '-') => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
    }
    match trees.get(at)? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => Some(group),
        _ => None,
    }
}

fn call_of(group: &Group, is_method: bool) -> Call {
    let first_argument = group.stream().into_iter().next().map(|tree| tree.to_string());
    Call { is_method, first_argument, is_contained: mentions(group.stream(), "contain") }
}

fn mentions(stream: TokenStream, name: &str) -> bool {
    stream.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}
