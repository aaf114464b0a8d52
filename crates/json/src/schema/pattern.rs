//! Patterns: matched in linear time, and compiled within a size.

use super::limits::{PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX};
use regex_automata::nfa::thompson::{self, NFA};

/// Why a pattern is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    TooLong,
    TooLarge,
    /// Lookaround and back-references need backtracking.
    Backtracks,
    Invalid,
}

/// What a pattern takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PatternSize {
    pub bytes: usize,
    pub states: u64,
}

/// Compiles a pattern as far as its size shows.
pub(super) fn size(pattern: &str) -> Result<PatternSize, PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong);
    }
    let wrong = || if backtracks(pattern) { PatternError::Backtracks } else { PatternError::Invalid };
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| wrong())?;
    let config = thompson::Config::new().nfa_size_limit(Some(PATTERN_COMPILED_BYTES_MAX));
    match NFA::compiler().configure(config).build(&translated) {
        Ok(nfa) => Ok(PatternSize { bytes: nfa.memory_usage(), states: nfa.states().len() as u64 }),
        Err(error) if error.size_limit().is_some() => Err(PatternError::TooLarge),
        Err(_) => Err(wrong()),
    }
}

/// Whether a pattern that cannot be compiled has what would need backtracking.
fn backtracks(pattern: &str) -> bool {
    let lookaround = ["(?=", "(?!", "(?<=", "(?<!", "\\k<"].iter().any(|group| pattern.contains(group));
    lookaround || (1..=9).any(|group| pattern.contains(&format!("\\{group}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_patterns_are_small() {
        for pattern in [
            "^[0-9*#A-D]{1,32}$",
            "^\\+[1-9]\\d{6,14}$",
            "^[A-Z]{2}\\d{2}[A-Z0-9]{1,30}$",
            "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$",
            "^(?:[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$",
            "^\\p{Lu}\\p{L}+$",
            "",
        ] {
            let size = size(pattern);
            assert!(size.is_ok_and(|size| size.bytes < 100_000), "{pattern}: {size:?}");
        }
        assert!(size("^[\\p{L} '-]{1,50}$").is_ok());
    }

    #[test]
    fn what_is_large_or_needs_backtracking_is_refused() {
        assert_eq!(size(&"a".repeat(PATTERN_BYTES_MAX + 1)), Err(PatternError::TooLong));
        for large in ["(?:a{1,100}){1,100}", "((a{0,30}){0,30}){0,30}", "\\p{L}{1,900}", "(?:\\w{50}|\\PL{50}){99}"] {
            let large = format!("^{large}x{large}{large}{large}$");
            assert_eq!(size(&large), Err(PatternError::TooLarge), "{large}");
        }
        for pattern in ["^(?!x)", "(?=.*[A-Z])", "(?<=a)b", "(a)\\1", "(?<n>a)\\k<n>"] {
            assert_eq!(size(pattern), Err(PatternError::Backtracks), "{pattern}");
        }
        for pattern in ["[", "(", "a{2,1}", "*", "[z-a]", "\\p{Nothing}"] {
            assert_eq!(size(pattern), Err(PatternError::Invalid), "{pattern}");
        }
    }
}
