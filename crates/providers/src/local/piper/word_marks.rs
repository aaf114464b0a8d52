//! When the words of a text are heard, from when the words of its phonemes are. Pure.
//!
//! espeak-ng joins small words (`of the` is one) and reads signs as several. Where a clause has as many words as its
//! phonemes, each word has its own end; elsewhere the letters of the clause are spread over its phonemes.

use super::clauses::Clause;
use crate::WordTimestamp;

/// Marks of a part: its clauses with their phonemes, and the ends of the phonemes' words in samples. `before_ms` is the
/// sound of the text before this part. Nothing if the voice does not say when words end, or of other words.
pub(super) fn marks(part: &[(Clause, String)], word_ends: &[u32], rate_hz: u32, before_ms: u32) -> Vec<WordTimestamp> {
    let said: usize = part.iter().map(|(_, phonemes)| phonemes.split(' ').count()).sum();
    if word_ends.is_empty() || word_ends.len() != said {
        return Vec::new();
    }
    let mut marks = Vec::new();
    let (mut rest, mut start) = (word_ends, 0);
    for (clause, phonemes) in part {
        let sounds: Vec<usize> = phonemes.split(' ').map(|word| word.chars().count()).collect();
        let (own, behind) = rest.split_at(sounds.len().min(rest.len()));
        let ends = clause_ends(clause, &sounds, own, start);
        let at_ms = |sample: u32| before_ms + (u64::from(sample) * 1_000 / u64::from(rate_hz.max(1))) as u32;
        let words = clause.word_ends.iter().zip(ends);
        marks.extend(words.map(|(chars, end)| WordTimestamp { at_ms: at_ms(end), chars: *chars }));
        start = own.last().copied().unwrap_or(start);
        rest = behind;
    }
    marks
}

/// The sample at which each word of a clause is over.
fn clause_ends(clause: &Clause, sounds: &[usize], ends: &[u32], start: u32) -> Vec<u32> {
    if clause.word_ends.len() == ends.len() {
        return ends.to_vec();
    }
    let letters: Vec<usize> = clause.words.split(' ').map(|word| word.chars().count()).collect();
    let all_letters = letters.iter().sum::<usize>().max(1);
    let all_sounds = sounds.iter().sum::<usize>();
    let mut read = 0;
    let at = |share: usize| {
        let (mut before, mut from) = (0, start);
        for (count, end) in sounds.iter().zip(ends) {
            if share <= before + count {
                let within = (share - before) as u64 * u64::from(end.saturating_sub(from)) / (*count).max(1) as u64;
                return from + within as u32;
            }
            (before, from) = (before + count, *end);
        }
        ends.last().copied().unwrap_or(start)
    };
    letters
        .iter()
        .map(|count| {
            read += count;
            at(read * all_sounds / all_letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::clauses::clauses;
    use super::*;

    fn part(text: &str, phonemes: &[&str]) -> Vec<(Clause, String)> {
        clauses(text).into_iter().zip(phonemes.iter().map(|one| (*one).to_owned())).collect()
    }

    fn said(text: &str, marks: &[WordTimestamp]) -> Vec<(u32, String)> {
        marks.iter().map(|mark| (mark.at_ms, text.chars().take(mark.chars as usize).collect())).collect()
    }

    #[test]
    fn each_word_has_its_own_end() {
        let text = "Good morning, you.";
        let made = marks(&part(text, &["ɡˈʊd mˈɔːɹnɪŋ", "juː"]), &[2_205, 11_025, 22_050], 22_050, 500);
        let expected = [(600, "Good"), (1_000, "Good morning"), (1_500, "Good morning, you")];
        assert_eq!(said(text, &made), expected.map(|(at, text)| (at, text.to_owned())));
    }

    #[test]
    fn joined_words_share_the_time_of_their_sounds() {
        let text = "of the house.";
        let made = said(text, &marks(&part(text, &["ʌvðə hˈaʊs"]), &[8_000, 20_000], 8_000, 0));
        assert_eq!(made.len(), 3);
        assert!(made[0].0 > 200 && made[0].0 < made[1].0 && made[1].0 < made[2].0, "{made:?}");
        assert_eq!(made[2], (2_500, "of the house".to_owned()));
    }

    #[test]
    fn without_ends_or_with_those_of_another_text_there_are_no_marks() {
        let part = part("Yes, no.", &["jˈɛs", "nˈoʊ"]);
        assert_eq!(marks(&part, &[], 22_050, 0), []);
        assert_eq!(marks(&part, &[1], 22_050, 0), []);
        assert_eq!(marks(&part, &[1, 2, 3], 22_050, 0), []);
    }

    #[test]
    fn marks_never_go_back() {
        for (text, sounds) in [("a b c d e f", "x"), ("x", "a b c d e"), ("twenty-five euros", "twˈɛnti fˈaɪv jˈʊɹoʊz")]
        {
            let ends: Vec<u32> = sounds.split(' ').enumerate().map(|(n, _)| (n as u32 + 1) * 1_000).collect();
            let made = marks(&part(text, &[sounds]), &ends, 8_000, 0);
            assert!(made.is_sorted_by_key(|mark| (mark.at_ms, mark.chars)), "{text}: {made:?}");
            assert_eq!(made.last().map(|mark| mark.at_ms), ends.last().map(|end| end / 8), "{text}");
        }
    }
}
