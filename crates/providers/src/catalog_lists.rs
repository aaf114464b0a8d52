//! Vendors' lists of models and voices, as their APIs write them.

use serde_json::Value;
use trunkline_domain::provider::{PipelineStage, ProviderAccount};

/// Characters of an id or a name.
const TEXT_CHARS_MAX: usize = 200;

/// A model that an account may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogModel {
    /// As `model` of a configuration takes it.
    pub id: String,
    /// What the provider calls it; `None` if it has no other name.
    pub name: Option<String>,
    /// What it is for.
    pub stage: PipelineStage,
}

/// A voice that an account may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogVoice {
    /// As `voice_id` of a configuration takes it.
    pub id: String,
    /// What the provider calls it.
    pub name: String,
    /// Its language as the provider writes it; `None` if it is for several, or if the provider does not say.
    pub language: Option<String>,
    /// A few words about it, such as `female, British`; `None` without any.
    pub about: Option<String>,
}

/// What an account may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderCatalog {
    /// In the provider's order.
    pub models: Vec<CatalogModel>,
    /// In the provider's order; empty where the provider has no list of voices.
    pub voices: Vec<CatalogVoice>,
}

/// Reads one list. The second argument is true for a customer's server, whose names say nothing about what a model is for.
type ReadList = fn(&Value, bool, &mut ProviderCatalog);

/// What is asked of a provider, and how each answer is read.
pub(super) fn paths(account: ProviderAccount) -> &'static [(&'static str, ReadList)] {
    match account {
        ProviderAccount::Deepgram => &[("/v1/models", deepgram)],
        ProviderAccount::Openai | ProviderAccount::Groq | ProviderAccount::Mistral | ProviderAccount::Xai => {
            &[("/models", chat_models)]
        }
        ProviderAccount::Anthropic => &[("/v1/models?limit=1000", chat_models)],
        ProviderAccount::Elevenlabs => &[("/v1/models", elevenlabs_models), ("/v1/voices", elevenlabs_voices)],
        ProviderAccount::Cartesia => &[("/voices?limit=100", cartesia_voices)],
        ProviderAccount::Local => &[],
    }
}

/// A text of an entry that can be shown and sent back.
fn text(entry: &Value, field: &str) -> Option<String> {
    let text = entry.get(field)?.as_str()?.trim();
    let is_usable = !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.contains(char::is_control);
    is_usable.then(|| text.to_owned())
}

fn entries<'a>(list: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    let listed = list.get(field).and_then(Value::as_array);
    listed.or_else(|| list.as_array()).into_iter().flatten()
}

fn add_model(catalog: &mut ProviderCatalog, id: String, name: Option<String>, stage: PipelineStage) {
    let is_new = catalog.models.iter().all(|known| known.id != id || known.stage != stage);
    if is_new {
        let name = name.filter(|name| *name != id);
        catalog.models.push(CatalogModel { id, name, stage });
    }
}

/// `{"data": [{"id": …}]}` of OpenAI and those who speak its protocol; Anthropic's has names too.
fn chat_models(list: &Value, is_customer_server: bool, catalog: &mut ProviderCatalog) {
    for entry in entries(list, "data") {
        let Some(id) = text(entry, "id") else { continue };
        // Mistral says what its models can do.
        if entry.pointer("/capabilities/completion_chat") == Some(&Value::Bool(false)) {
            continue;
        }
        let stage = if is_customer_server { Some(PipelineStage::Llm) } else { stage_of(&id) };
        if let Some(stage) = stage {
            add_model(catalog, id, text(entry, "display_name"), stage);
        }
    }
}

/// What a model is for, by the way in which vendors name theirs; `None` for what no call uses.
fn stage_of(id: &str) -> Option<PipelineStage> {
    let has = |part: &str| id.split(['-', '_', '/', '.', ':']).any(|one| one.eq_ignore_ascii_case(part));
    let of_none = [
        "embedding",
        "embed",
        "moderation",
        "guard",
        "image",
        "dall",
        "sora",
        "video",
        "audio",
        "instruct",
        "ocr",
        "search",
        "imagine",
    ];
    match () {
        () if has("realtime") || has("voice") => Some(PipelineStage::Realtime),
        () if has("transcribe") || has("whisper") => Some(PipelineStage::Stt),
        () if has("tts") => Some(PipelineStage::Tts),
        () if of_none.iter().any(|part| has(part)) => None,
        () => Some(PipelineStage::Llm),
    }
}

/// `{"stt": [{"canonical_name": "nova-3-general", …}]}`.
fn deepgram(list: &Value, _: bool, catalog: &mut ProviderCatalog) {
    for entry in entries(list, "stt") {
        let streams = entry.get("streaming").and_then(Value::as_bool).unwrap_or(true);
        if let Some(id) = text(entry, "canonical_name").or_else(|| text(entry, "name")).filter(|_| streams) {
            add_model(catalog, id, None, PipelineStage::Stt);
        }
    }
}

/// `[{"model_id": …, "name": …, "can_do_text_to_speech": true}]`.
fn elevenlabs_models(list: &Value, _: bool, catalog: &mut ProviderCatalog) {
    for entry in entries(list, "models") {
        let speaks = entry.get("can_do_text_to_speech").and_then(Value::as_bool).unwrap_or(true);
        if let Some(id) = text(entry, "model_id").filter(|_| speaks) {
            add_model(catalog, id, text(entry, "name"), PipelineStage::Tts);
        }
    }
}

/// `{"voices": [{"voice_id": …, "name": …, "labels": {"gender": …, "accent": …}}]}`.
fn elevenlabs_voices(list: &Value, _: bool, catalog: &mut ProviderCatalog) {
    for entry in entries(list, "voices") {
        let Some(id) = text(entry, "voice_id") else { continue };
        let labels = entry.get("labels").unwrap_or(&Value::Null);
        let words: Vec<String> = ["gender", "accent", "age"].iter().filter_map(|label| text(labels, label)).collect();
        let about = (!words.is_empty()).then(|| words.join(", "));
        let name = text(entry, "name").unwrap_or_else(|| id.clone());
        catalog.voices.push(CatalogVoice { id, name, language: text(labels, "language"), about });
    }
}

/// `{"data": [{"id": …, "name": …, "language": …, "gender": …}]}`.
fn cartesia_voices(list: &Value, _: bool, catalog: &mut ProviderCatalog) {
    for entry in entries(list, "data") {
        let Some(id) = text(entry, "id") else { continue };
        let name = text(entry, "name").unwrap_or_else(|| id.clone());
        catalog.voices.push(CatalogVoice { id, name, language: text(entry, "language"), about: text(entry, "gender") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(account: ProviderAccount, answers: &[Value]) -> ProviderCatalog {
        let mut catalog = ProviderCatalog::default();
        for ((_, read), answer) in paths(account).iter().zip(answers) {
            read(answer, false, &mut catalog);
        }
        catalog
    }

    fn models(catalog: &ProviderCatalog) -> Vec<(&str, &str)> {
        catalog.models.iter().map(|model| (model.stage.name(), model.id.as_str())).collect()
    }

    #[test]
    fn models_are_told_apart_by_what_they_are_for() {
        let ids = [
            "gpt-4o-mini",
            "gpt-realtime-2.1",
            "gpt-4o-mini-transcribe",
            "gpt-4o-mini-tts",
            "text-embedding-3-small",
            "whisper-1",
            "omni-moderation-latest",
            "dall-e-3",
            "gpt-4o-mini",
            "gpt-image-1",
        ];
        let list = json!({"data": ids.map(|id| json!({"id": id}))});
        let found = read(ProviderAccount::Openai, &[list]);
        assert_eq!(
            models(&found),
            [
                ("llm", "gpt-4o-mini"),
                ("engine", "gpt-realtime-2.1"),
                ("stt", "gpt-4o-mini-transcribe"),
                ("tts", "gpt-4o-mini-tts"),
                ("stt", "whisper-1")
            ]
        );
        let mut own = ProviderCatalog::default();
        chat_models(&json!({"data": [{"id": "my-embedding-tts"}]}), true, &mut own);
        assert_eq!(models(&own), [("llm", "my-embedding-tts")], "a customer's names are not read");
    }

    #[test]
    fn voices_have_names_languages_and_a_few_words() {
        let voices = json!({"voices": [
            {"voice_id": "a1", "name": "Sarah", "labels": {"gender": "female", "accent": "american", "language": "en"}},
            {"voice_id": "b2", "labels": {}}, {"name": "without an id"}, "no object"]});
        let models = json!([{"model_id": "eleven_v3", "name": "Eleven v3"}, {"model_id": "sts", "can_do_text_to_speech": false}]);
        let found = read(ProviderAccount::Elevenlabs, &[models, voices]);
        let shown: Vec<_> =
            found.voices.iter().map(|one| (one.id.as_str(), one.name.as_str(), one.about.as_deref())).collect();
        assert_eq!(shown, [("a1", "Sarah", Some("female, american")), ("b2", "b2", None)]);
        assert_eq!(found.models.len(), 1);
        let found = read(ProviderAccount::Cartesia, &[json!({"data": [{"id": "v", "name": "Ann", "language": "nl"}]})]);
        assert_eq!(found.voices[0].language.as_deref(), Some("nl"));
    }

    #[test]
    fn what_a_list_may_be_is_read_or_left_out() {
        for list in
            [json!(null), json!({}), json!([]), json!({"data": 7}), json!({"data": [null, {"id": 3}, {"id": "\n"}]})]
        {
            for account in ProviderAccount::ALL {
                let answers = [list.clone(), list.clone()];
                assert_eq!(read(*account, &answers), ProviderCatalog::default(), "{list}");
            }
        }
        let long = json!({"data": [{"id": "x".repeat(201)}, {"id": "a\u{7}b"}]});
        assert_eq!(read(ProviderAccount::Groq, &[long]), ProviderCatalog::default());
    }
}
