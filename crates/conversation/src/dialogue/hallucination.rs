//! Texts that speech recognition makes of silence and noise: what its training data had where nobody spoke.

use trunkline_media::turn::script::words;

/// Whole sentences, in lower case without marks. A caller may say some of them: only words without a sound are judged.
const SENTENCES: &[&str] = &[
    // English
    "you",
    "so",
    "the",
    "bye",
    "bye bye",
    "thanks",
    "thank you",
    "thank you very much",
    "thank you so much",
    "thank you for watching",
    "thanks for watching",
    "thank you for your attention",
    "thank you for listening",
    "thanks for listening",
    "please subscribe",
    "please subscribe to my channel",
    "please like and subscribe",
    "like and subscribe",
    "don't forget to subscribe",
    "see you next time",
    "see you in the next video",
    "see you in the next one",
    "i'll see you in the next video",
    "we'll be right back",
    "silence",
    "music",
    // Dutch
    "dank u wel",
    "dankjewel",
    "bedankt",
    "bedankt voor het kijken",
    "bedankt voor het luisteren",
    "tot de volgende keer",
    "tot de volgende video",
    // German
    "vielen dank",
    "danke",
    "danke schön",
    "danke fürs zuschauen",
    "vielen dank fürs zuschauen",
    "vielen dank für ihre aufmerksamkeit",
    "bis zum nächsten mal",
    "tschüss",
    "das war's",
    // French
    "merci",
    "merci beaucoup",
    "merci d'avoir regardé",
    "merci d'avoir regardé cette vidéo",
    "merci d'avoir regardé la vidéo",
    "abonnez vous",
    "à bientôt",
    "au revoir",
    // Spanish
    "gracias",
    "muchas gracias",
    "gracias por ver",
    "gracias por ver el video",
    "gracias por ver el vídeo",
    "suscríbete",
    "suscríbete al canal",
    "hasta la próxima",
    // Italian
    "grazie",
    "grazie a tutti",
    "grazie per la visione",
    "grazie per aver guardato il video",
    // Portuguese
    "obrigado",
    "obrigada",
    "obrigado por assistir",
    "tchau",
    "e aí",
    // Others
    "ご視聴ありがとうございました",
    "ありがとうございました",
    "谢谢观看",
    "謝謝觀看",
    "谢谢大家",
    "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
    "시청해 주셔서 감사합니다",
    "감사합니다",
    "mbc 뉴스 이덕영입니다",
    "продолжение следует",
    "спасибо за просмотр",
    "спасибо за внимание",
    "dziękuję",
    "dziękuję za uwagę",
    "dziękuję za oglądanie",
    "izlediğiniz için teşekkür ederim",
    "اشتركوا في القناة",
    "شكرا للمشاهدة",
    "धन्यवाद",
];

/// Beginnings of the lines in which subtitles name who made them.
const CREDITS: &[&str] = &[
    "subtitles by",
    "subtitled by",
    "captions by",
    "captioned by",
    "closed captioning by",
    "transcribed by",
    "transcription by",
    "translated by",
    "ondertiteld door",
    "ondertiteling",
    "ondertitels",
    "tv gelderland",
    "untertitel",
    "untertitelung",
    "sous titrage",
    "sous titres",
    "subtítulos por",
    "subtítulos realizados",
    "subtitulado por",
    "sottotitoli",
    "legendas",
    "legendado por",
    "字幕",
    "субтитры",
    "редактор субтитров",
    "napisy",
    "altyazı",
    "undertexter",
    "tekstet av",
    "teksting av",
    "ترجمة نانسي",
];

/// Words that are few different ones, again and again: the recognition has run in a circle.
const CIRCLE_WORDS_MIN: usize = 6;

/// Whether a text with which no sound came is one that recognition makes up.
pub fn is_hallucination(text: &str) -> bool {
    let text = without_descriptions(text);
    let sentences: Vec<String> = text
        .split(['.', '!', '?', '\n', '。', '！', '？', '،', '।'])
        .map(plain)
        .filter(|sentence| !sentence.is_empty())
        .collect();
    let all = plain(&text);
    is_known(&all)
        || sentences.iter().all(|sentence| is_known(sentence))
        || all.contains("amara org")
        || runs_in_a_circle(&all)
}

fn is_known(sentence: &str) -> bool {
    SENTENCES.contains(&sentence) || CREDITS.iter().any(|credit| sentence.starts_with(credit))
}

/// Without what stands in brackets or between notes and stars: "[Music]", "(door closes)", "*sighs*".
fn without_descriptions(text: &str) -> String {
    let mut spoken = String::with_capacity(text.len());
    let mut until = None;
    for c in text.chars() {
        match until {
            Some(end) if c == end => until = None,
            Some(_) => {}
            None => match c {
                '[' => until = Some(']'),
                '(' => until = Some(')'),
                '*' => until = Some('*'),
                '♪' => until = Some('♪'),
                _ => spoken.push(c),
            },
        }
    }
    spoken
}

/// In lower case, every mark but the apostrophe a blank.
fn plain(text: &str) -> String {
    let letters: String = text
        .chars()
        .map(|c| if c == '’' { '\'' } else { c })
        // Vowel signs of Indic and Arabic writing are no letters: only known marks are taken out.
        .map(|c| if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '\'' || is_mark(c) { ' ' } else { c })
        .flat_map(char::to_lowercase)
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_mark(c: char) -> bool {
    matches!(c, '¿' | '¡' | '«' | '»' | '“' | '”' | '„' | '…' | '–' | '—' | '、' | '，' | '。' | '♫' | '\u{FFFD}')
}

fn runs_in_a_circle(text: &str) -> bool {
    let all: Vec<&str> = words(text).collect();
    let mut different = all.clone();
    different.sort_unstable();
    different.dedup();
    all.len() >= CIRCLE_WORDS_MIN && different.len() * 4 <= all.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recognition_makes_of_silence() {
        for text in [
            "Thank you.",
            "Thank you. Thank you.",
            "Thanks for watching!",
            "you",
            " You. ",
            "Subtitles by the Amara.org community",
            "Sous-titrage ST' 501",
            "Untertitelung des ZDF, 2020",
            "Ondertiteld door de Amara.org gemeenschap",
            "ご視聴ありがとうございました",
            "¡Gracias!",
            "Merci d’avoir regardé cette vidéo !",
            "[BLANK_AUDIO]",
            "(keyboard clicking)",
            "*sighs*",
            "♪ la la ♪",
            "...",
            "- - -",
            "the the the the the the",
            "I'm going I'm going I'm going I'm going",
            "Продолжение следует...",
            "धन्यवाद।",
        ] {
            assert!(is_hallucination(text), "{text:?}");
        }
    }

    #[test]
    fn what_callers_say() {
        for text in [
            "Where is my order?",
            "No.",
            "Yes, please.",
            "Thank you, but I want the other one.",
            "Thank you. I have one more question.",
            "no no no no",
            "one one two one one two",
            "I want to subscribe to the channel",
            "Is it (the blue one) in stock",
            "您好",
            "J'ai une question.",
            "Music lessons for my son",
        ] {
            assert!(!is_hallucination(text), "{text:?}");
        }
    }
}
