//! What is heard under the agent's voice: `background` of an agent.

use super::rules::between;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The sounds that can play behind the agent's voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BackgroundSound)]
pub enum AmbienceSound {
    /// The quiet of a room.
    Room,
    /// A room with people typing in it.
    Office,
}

/// Ambience under the voice; it makes way by 8 dB while the agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schema(as = Background)]
pub struct AmbienceConfig {
    /// Which sound plays.
    pub sound: AmbienceSound,
    /// Louder or softer than it was made (a room at -50, an office at -42 dBFS).
    #[serde(default)]
    #[schema(minimum = -30, maximum = 12)]
    #[garde(custom(between(-30.0..=12.0)))]
    pub level_db: f64,
}
