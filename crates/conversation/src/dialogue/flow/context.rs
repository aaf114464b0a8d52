//! What the reading of a call's values depends on.

use crate::dialogue::spoken::value::ValueContext;
use crate::dialogue::spoken::words::base;
use trunkline_domain::agent::AgentFields;
use trunkline_domain::built_in_tools::CollectValueTool;

/// What the reading of values depends on, from the agent: its settings of `collect_value`, or else the country of the
/// language.
pub fn value_context(agent: &AgentFields, heard: &str, spoken: &str, today: jiff::civil::Date) -> ValueContext {
    let settings = agent.built_in_tools.as_ref().and_then(|tools| tools.collect_value.clone());
    let settings: CollectValueTool = settings.unwrap_or_default();
    ValueContext {
        language: heard.to_owned(),
        spoken_language: spoken.to_owned(),
        country: settings.country.or_else(|| country_of(heard)),
        currency: settings.currency,
        spelling: settings.spelling,
        today,
    }
}

/// The country whose numbers callers of a language leave without a country code: that of its region, or the largest one.
fn country_of(language: &str) -> Option<String> {
    let region = language.split(['-', '_']).skip(1).find(|part| part.len() == 2);
    let region = region.map(str::to_ascii_uppercase);
    let by_language = match base(language) {
        "nl" => "NL",
        "de" => "DE",
        "fr" => "FR",
        "es" => "ES",
        "it" => "IT",
        "pt" => "PT",
        _ => return region,
    };
    region.or_else(|| Some(by_language.to_owned()))
}
