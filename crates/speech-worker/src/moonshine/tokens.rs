//! The vocabulary of the model, and how its tokens become text.

/// What a token writes for a blank.
const BLANK: &str = "\u{2581}";

/// Parts of words by token.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Vec<u8>>);

impl Tokens {
    /// Reads the file of the vocabulary: for each token its length, in one byte or, from 128 on, in two, and its bytes.
    /// `None` if it is damaged.
    pub(super) fn read(mut file: &[u8]) -> Option<Self> {
        let mut tokens = Vec::new();
        while let Some((first, rest)) = file.split_first() {
            file = rest;
            let mut length = usize::from(*first);
            if length >= 128 {
                let (second, rest) = file.split_first()?;
                file = rest;
                length = usize::from(*second) * 128 + length - 128;
            }
            let (token, rest) = file.split_at_checked(length)?;
            file = rest;
            tokens.push(token.to_vec());
        }
        (!tokens.is_empty()).then_some(Self(tokens))
    }

    /// The text of tokens. Marks such as `<s>` are none, and bytes are joined to characters.
    pub(super) fn text(&self, tokens: &[i64]) -> String {
        let mut bytes = Vec::new();
        for token in tokens {
            let part = usize::try_from(*token).ok().and_then(|token| self.0.get(token));
            let Some(part) = part else { continue };
            if part.starts_with(b"<") && part.ends_with(b">") && part.len() > 2 {
                continue;
            }
            bytes.extend_from_slice(part);
        }
        let text = String::from_utf8_lossy(&bytes).replace(BLANK, " ");
        let printable = text.chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER);
        printable.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tokens: &[&[u8]]) -> Vec<u8> {
        tokens.iter().flat_map(|token| std::iter::once(token.len() as u8).chain(token.iter().copied())).collect()
    }

    #[test]
    fn tokens_become_words() {
        let bytes =
            file(&[b"<unk>", b"<s>", b"</s>", "▁Hello".as_bytes(), b",", "▁wor".as_bytes(), b"ld", &[0xC3], &[0xA9]]);
        let tokens = Tokens::read(&bytes).unwrap();
        assert_eq!(tokens.text(&[1, 3, 4, 5, 6, 2]), "Hello, world");
        assert_eq!(tokens.text(&[3, 7, 8]), "Helloé", "a character of two tokens");
        assert_eq!(tokens.text(&[3, 7]), "Hello", "half a character");
        assert_eq!(tokens.text(&[-1, 99]), "");
        let long = [vec![128 + 2, 1], vec![b'x'; 130]].concat();
        assert_eq!(Tokens::read(&long).unwrap().text(&[0]).len(), 130);
    }

    #[test]
    fn a_damaged_vocabulary_is_refused() {
        let bytes = file(&[b"one", b"two"]);
        assert!(Tokens::read(&bytes[..bytes.len() - 1]).is_none());
        assert!(Tokens::read(&[]).is_none() && Tokens::read(&[200]).is_none());
    }
}
