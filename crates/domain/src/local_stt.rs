//! What the local STT can do: its models and their languages.

use super::provider::SttProvider;

/// The model for calls whose other STT services are down.
pub const FALLBACK_MODEL: &str = "moonshine-tiny-en";
/// Models of the local STT.
const MODELS: [&str; 1] = [FALLBACK_MODEL];
/// Their only language.
const LANGUAGE: &str = "en";

/// Whether the language is one that a model knows.
pub fn knows_language(language: &str) -> bool {
    language.split(['-', '_']).next().is_some_and(|code| code.eq_ignore_ascii_case(LANGUAGE))
}

/// What is wrong with the name of a model, if anything is.
pub fn model_fault(model: &str) -> Option<String> {
    (!MODELS.contains(&model)).then(|| format!("must be {} for the provider local", MODELS.join(" or ")))
}

/// What is wrong with a language, if anything is.
pub fn language_fault(language: &str) -> Option<String> {
    (!knows_language(language)).then(|| format!("must be English ({LANGUAGE}) for the provider local"))
}

fn rule<C>(provider: SttProvider, fault: fn(&str) -> Option<String>) -> impl FnOnce(&str, &C) -> garde::Result {
    move |value, _| match provider {
        SttProvider::Local => fault(value).map_or(Ok(()), |fault| Err(garde::Error::new(fault))),
        _ => Ok(()),
    }
}

/// The rule of `model`.
pub(super) fn model<C>(provider: SttProvider) -> impl FnOnce(&str, &C) -> garde::Result {
    rule(provider, model_fault)
}

/// The rule of `language`.
pub(super) fn language<C>(provider: SttProvider) -> impl FnOnce(&str, &C) -> garde::Result {
    rule(provider, language_fault)
}

/// The rule of `base_url`.
pub(super) fn base_url<C>(provider: SttProvider) -> impl FnOnce(&str, &C) -> garde::Result {
    rule(provider, |_| Some("must not be set for the provider local, which has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::provider_config::SttConfig;
    use serde_json::json;

    fn faults(change: serde_json::Value) -> Vec<String> {
        let mut config = json!({"provider": "local", "model": "moonshine-tiny-en", "language": "en"});
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let config: SttConfig = serde_json::from_value(config).unwrap();
        crate::faults(&config).into_iter().map(|fault| format!("{} {}", fault.field, fault.message)).collect()
    }

    #[test]
    fn what_the_local_stt_cannot_do_is_refused_when_it_is_saved() {
        assert!(faults(json!({})).is_empty());
        for language in ["en-US", "en_GB", "EN"] {
            assert!(faults(json!({"language": language})).is_empty(), "{language}");
        }
        for language in ["nl", "multi", "end"] {
            let wanted = ["language must be English (en) for the provider local"];
            assert_eq!(faults(json!({"language": language})), wanted, "{language}");
        }
        let wanted = ["model must be moonshine-tiny-en for the provider local"];
        assert_eq!(faults(json!({"model": "nova-3-general"})), wanted);
        assert_eq!(faults(json!({"keyterms": ["Acme"]})), ["keyterms are not taken by moonshine-tiny-en"]);
        let wanted = ["base_url must not be set for the provider local, which has no address"];
        assert_eq!(faults(json!({"base_url": "https://stt.example.com"})), wanted);
        assert!(faults(json!({"provider": "openai", "model": "gpt-4o-transcribe", "language": "nl"})).is_empty());
    }
}
