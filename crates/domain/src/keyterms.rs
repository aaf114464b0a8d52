//! Which STT models listen for given words, and for how many. Deepgram: 500 tokens for all key terms of a session
//! (<https://developers.deepgram.com/docs/keyterm>), which only Nova-3 and Flux take; older models take single words
//! (<https://developers.deepgram.com/docs/keywords>).

use super::provider::SttProvider;

/// Tokens of all key terms together.
const TOKENS_MAX: usize = 500;
/// Letters of a token: more than the vendor's tokenizer takes on average, so that only what is surely too long is refused.
const LETTERS_PER_TOKEN: usize = 5;

/// What a model does with words to listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeytermUse {
    /// It takes terms of several words; all together have this many tokens at most.
    Terms {
        /// Tokens of all terms.
        tokens_max: usize,
    },
    /// It takes single words.
    Words,
    /// They are part of its prompt.
    Prompt,
    /// It takes none.
    None,
}

/// The first row whose provider and beginning of the model's name fit.
const MODELS: [(SttProvider, &str, KeytermUse); 9] = [
    (SttProvider::Deepgram, "nova-3", KeytermUse::Terms { tokens_max: TOKENS_MAX }),
    (SttProvider::Deepgram, "flux", KeytermUse::Terms { tokens_max: TOKENS_MAX }),
    (SttProvider::Deepgram, "nova", KeytermUse::Words),
    (SttProvider::Deepgram, "enhanced", KeytermUse::Words),
    (SttProvider::Deepgram, "base", KeytermUse::Words),
    (SttProvider::Deepgram, "whisper", KeytermUse::None),
    (SttProvider::Deepgram, "", KeytermUse::Terms { tokens_max: TOKENS_MAX }),
    (SttProvider::Openai, "gpt-4o-transcribe-diarize", KeytermUse::None),
    (SttProvider::Openai, "", KeytermUse::Prompt),
];

/// What a provider's model does with words to listen for.
pub fn keyterm_use(provider: SttProvider, model: &str) -> KeytermUse {
    let row = MODELS.iter().find(|(of, begins, _)| *of == provider && model.starts_with(begins));
    row.map_or(KeytermUse::None, |(_, _, usage)| *usage)
}

/// About how many tokens a term has: one for so many letters of the Latin script, one for each other sign.
fn tokens(term: &str) -> usize {
    let of = |word: &str| {
        let latin = word.chars().filter(|c| *c < '\u{250}').count();
        latin.div_ceil(LETTERS_PER_TOKEN) + word.chars().count() - latin
    };
    term.split_whitespace().map(of).sum()
}

/// The rule of `keyterms`. A server of the customer's own may run any model under any name.
pub(super) fn rule<C>(
    provider: SttProvider, model: &str, is_own_server: bool,
) -> impl FnOnce(&[String], &C) -> garde::Result {
    let usage = if is_own_server { KeytermUse::Prompt } else { keyterm_use(provider, model) };
    let model = model.to_owned();
    move |terms, _| {
        let fault = match usage {
            _ if terms.is_empty() => None,
            KeytermUse::Prompt => None,
            KeytermUse::None => Some(format!("are not taken by {model}")),
            KeytermUse::Words => {
                let several = terms.iter().any(|term| term.split_whitespace().nth(1).is_some());
                several.then(|| format!("must be single words for {model}"))
            }
            KeytermUse::Terms { tokens_max } => {
                let all: usize = terms.iter().map(|term| tokens(term)).sum();
                (all > tokens_max).then(|| {
                    let letters = tokens_max * LETTERS_PER_TOKEN;
                    format!("must have at most {tokens_max} tokens together, about {letters} letters, and have {all}")
                })
            }
        };
        fault.map_or(Ok(()), |fault| Err(garde::Error::new(fault)))
    }
}

#[cfg(test)]
mod tests {
    use crate::provider_config::SttConfig;
    use serde_json::json;

    fn fault(provider: &str, model: &str, keyterms: &[String], base_url: Option<&str>) -> Option<String> {
        let config = json!({"provider": provider, "model": model, "language": "en", "keyterms": keyterms,
            "base_url": base_url});
        let config: SttConfig = serde_json::from_value(config).unwrap();
        crate::faults(&config).into_iter().map(|fault| format!("{} {}", fault.field, fault.message)).next()
    }

    #[test]
    fn a_list_that_the_vendor_refuses_is_refused_when_it_is_saved() {
        let long: Vec<String> = (0..80).map(|number| format!("{number:0>40}")).collect();
        let wanted = "keyterms must have at most 500 tokens together, about 2500 letters, and have 640";
        for model in ["nova-3-general", "flux-general-en"] {
            assert_eq!(fault("deepgram", model, &long, None).as_deref(), Some(wanted), "{model}");
        }
        let usual: Vec<String> = (0..100).map(|number| format!("Product name {number}")).collect();
        assert_eq!(fault("deepgram", "nova-3", &usual, None), None);
        let signs: Vec<String> = (0..100).map(|_| "健康診断予約".to_owned()).collect();
        assert!(fault("deepgram", "nova-3", &signs, None).is_some(), "each sign is a token");
        assert_eq!(fault("deepgram", "nova-3-general", &long, Some("http://stt.acme.example")), None);
    }

    #[test]
    fn older_models_take_single_words_and_some_none() {
        let (word, words) = (["Acme".to_owned()], ["Acme Corp".to_owned()]);
        assert_eq!(fault("deepgram", "nova-2-phonecall", &word, None), None);
        let several = fault("deepgram", "nova-2-phonecall", &words, None);
        assert_eq!(several.as_deref(), Some("keyterms must be single words for nova-2-phonecall"));
        assert_eq!(fault("deepgram", "nova-3", &words, None), None);
        for (provider, model) in [("deepgram", "whisper-large"), ("openai", "gpt-4o-transcribe-diarize")] {
            let wanted = format!("keyterms are not taken by {model}");
            assert_eq!(fault(provider, model, &word, None), Some(wanted));
            assert_eq!(fault(provider, model, &[], None), None);
        }
        assert_eq!(fault("openai", "gpt-4o-transcribe", &words, None), None);
    }
}
