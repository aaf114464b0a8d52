//! The decoder's way from token to token, and when it is stopped: a model that hears noise writes the same words again
//! and again.

use trunkline_local_speech::limits::STT_RATE_HZ;

/// Begins and ends every text.
const BEGIN: i64 = 1;
const END: i64 = 2;
/// Tokens that a second of speech may have, as the model's authors bound it.
const TOKENS_PER_SECOND: f32 = 6.5;
/// Tokens that short audio may have beyond that.
const TOKENS_SPARE: usize = 4;
/// Longest part that is looked for again behind itself, in tokens.
const PERIOD_MAX: usize = 12;
/// How often a part of one token may follow itself ("no, no, no"), and a longer one.
const REPEATS_OF_ONE_MAX: usize = 5;
const REPEATS_MAX: usize = 3;

/// One text in the making.
#[derive(Debug)]
pub(super) struct Decoding {
    tokens: Vec<i64>,
    tokens_max: usize,
    steps: usize,
    /// Tokens that the certainty is of.
    certain: usize,
    /// Logarithms of the tokens' probabilities, added up. The end is none of them: it is certain after invented words too.
    log_probability: f32,
}

impl Decoding {
    /// For audio of this length at 16 kHz.
    pub(super) fn new(samples: usize) -> Self {
        let seconds = samples as f32 / STT_RATE_HZ as f32;
        let tokens_max = (seconds * TOKENS_PER_SECOND) as usize + TOKENS_SPARE;
        Self { tokens: Vec::with_capacity(tokens_max), tokens_max, steps: 0, certain: 0, log_probability: 0.0 }
    }

    /// What the next step begins with.
    pub(super) fn last(&self) -> i64 {
        self.tokens.last().copied().unwrap_or(BEGIN)
    }

    pub(super) fn is_first(&self) -> bool {
        self.steps == 0
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Takes the likeliest token. True if the text is over.
    pub(super) fn push(&mut self, logits: &[f32]) -> bool {
        self.steps += 1;
        let best = logits.iter().copied().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
        let Some((token, highest)) = best else { return true };
        let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        let token = token as i64;
        if token == END {
            return true;
        }
        self.log_probability -= sum.max(1.0).ln();
        self.certain += 1;
        self.tokens.push(token);
        if let Some(period) = self.repeated() {
            // Once is enough of what it repeats; without anything before it, it was no speech.
            let times = if period == 1 { 1 } else { REPEATS_MAX };
            let kept = self.tokens.len().saturating_sub(period * times);
            self.tokens.truncate(if period > 1 && kept < 2 * period { 0 } else { kept });
            return true;
        }
        self.tokens.len() >= self.tokens_max
    }

    pub(super) fn tokens(&self) -> &[i64] {
        &self.tokens
    }

    /// Geometric mean of the tokens' probabilities.
    pub(super) fn confidence(&self) -> f32 {
        if self.certain == 0 { 0.0 } else { (self.log_probability / self.certain as f32).exp() }
    }

    /// The length of the part that the text ends with too often.
    fn repeated(&self) -> Option<usize> {
        (1..=PERIOD_MAX).find(|period| {
            let needed = period * (repeats_max(*period) + 1);
            let Some(tail) = self.tokens.len().checked_sub(needed).and_then(|from| self.tokens.get(from..)) else {
                return false;
            };
            tail.iter().zip(tail.iter().skip(*period)).all(|(one, other)| one == other)
        })
    }
}

fn repeats_max(period: usize) -> usize {
    if period == 1 { REPEATS_OF_ONE_MAX } else { REPEATS_MAX }
}

/// Words that people say many times in a row.
const REPEATED_BY_PEOPLE: &str = "no yes zero oh one two three four five six seven eight nine";

/// Words that are one part said again and again are no speech.
pub(super) fn is_loop(text: &str) -> bool {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
        .collect();
    let is_sayable = |word: &String| {
        word.chars().count() <= 1
            || word.chars().all(char::is_numeric)
            || REPEATED_BY_PEOPLE.split_whitespace().any(|other| other == word)
    };
    (1..=words.len() / 4).any(|period| {
        let is_repeated = words.iter().zip(words.iter().skip(period)).all(|(one, other)| one == other);
        is_repeated && !words.iter().take(period).all(is_sayable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits in which one token is the likeliest.
    fn logits(token: usize) -> Vec<f32> {
        let mut logits = vec![0.0; 64];
        logits[token] = 20.0;
        logits
    }

    fn decode(samples: usize, tokens: impl IntoIterator<Item = usize>) -> Decoding {
        let mut decoding = Decoding::new(samples);
        for token in tokens {
            if decoding.push(&logits(token)) {
                break;
            }
        }
        decoding
    }

    #[test]
    fn a_text_ends_with_its_end_or_with_the_length_of_its_audio() {
        let decoding = decode(16_000, [10, 11, 2, 12]);
        assert_eq!((decoding.tokens(), decoding.steps()), (&[10, 11][..], 3));
        assert!(decoding.confidence() > 0.99);
        assert_eq!((decoding.last(), decoding.is_first()), (11, false));
        let endless = decode(16_000, (3..60).cycle());
        assert_eq!(endless.tokens().len(), 10, "6.5 a second, and four");
        let uncertain = {
            let mut decoding = Decoding::new(16_000);
            decoding.push(&[0.0; 64]);
            decoding
        };
        assert!(uncertain.confidence() < 0.02);
    }

    #[test]
    fn what_is_repeated_is_written_once() {
        let long = 160_000;
        assert_eq!(decode(long, [9].into_iter().chain([7; 40])).tokens(), [9, 7, 7, 7, 7, 7]);
        let words = [9, 10, 11];
        assert_eq!(decode(long, words.into_iter().chain([7, 8].into_iter().cycle())).tokens(), [9, 10, 11, 7, 8]);
        assert_eq!(
            decode(long, [9, 10, 11, 12, 13, 14].into_iter().cycle()).tokens(),
            [0_i64; 0],
            "nothing else was said"
        );
        assert_eq!(decode(long, [7, 7, 7, 7, 7, 2]).tokens(), [7; 5], "no, no, no, no, no");
        assert_eq!(decode(long, [7, 8, 7, 8, 7, 8, 2]).tokens(), [7, 8, 7, 8, 7, 8]);
    }

    #[test]
    fn a_text_that_is_only_a_loop_is_none() {
        for text in [
            "I'm sorry. I'm sorry. I'm sorry. I'm sorry.",
            "the the the the",
            "Thank you. thank you, thank you thank you",
        ] {
            assert!(is_loop(text), "{text}");
        }
        for text in
            ["", "no no no no no", "four four four four", "double four four four four five", "yes", "a b a b a b a b"]
        {
            assert!(!is_loop(text), "{text}");
        }
    }
}
