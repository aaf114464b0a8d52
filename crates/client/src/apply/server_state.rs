//! What the server has of the things that a file names.

use super::item::{Item, Kind};
use crate::api::Api;
use crate::error::ClientError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One of the server's documents.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub id: String,
    pub document: Value,
    /// Its version; none where it was not asked for.
    pub etag: Option<String>,
}

/// The server's documents by kind and name; several may have the same name.
pub(super) type ServerState = BTreeMap<(Kind, String), Vec<Known>>;

/// Reads what the items and their links name.
pub(super) async fn read(api: &Api, person: Option<&Api>, items: &[Item]) -> Result<ServerState, ClientError> {
    let named = items.iter().map(|item| (item.kind, item.name.clone()));
    let linked = items.iter().flat_map(|item| &item.links).map(|link| (link.kind, link.name.clone()));
    let wanted: BTreeSet<(Kind, String)> = named.chain(linked).collect();
    let kinds: BTreeSet<Kind> = wanted.iter().map(|(kind, _)| *kind).collect();
    let mut state = ServerState::new();
    for kind in kinds {
        let (entries, has_versions) = match (kind.resource(), person) {
            (Some(resource), _) => (resource.all(api).await?, true),
            (None, Some(person)) => (person.list("/secrets", "secrets", &[], usize::MAX).await?.0, false),
            (None, None) => (Vec::new(), false),
        };
        for entry in entries {
            let key = (kind, name_of(kind, &entry));
            if !wanted.contains(&key) {
                continue;
            }
            let id = entry["id"].as_str().unwrap_or_default().to_owned();
            let known = match kind.resource().filter(|_| has_versions) {
                Some(resource) => {
                    let mut answer = api.get_with_version(&resource.path_of(&id)).await?;
                    Known { id, document: answer.body[resource.one].take(), etag: answer.etag }
                }
                None => Known { id, document: entry, etag: None },
            };
            state.entry(key).or_default().push(known);
        }
    }
    Ok(state)
}

fn name_of(kind: Kind, entry: &Value) -> String {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    match kind {
        Kind::Number => text("number").to_owned(),
        Kind::Trunk | Kind::Agent => text("name").to_owned(),
        Kind::ProviderKey => match text("base_url") {
            "" => text("provider").to_owned(),
            base => format!("{} at {}", text("provider"), base.trim_end_matches('/')),
        },
    }
}
