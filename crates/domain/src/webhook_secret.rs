//! What a webhook's secret means: the key that it stands for.

use super::rules::{is_header_value, secret_fits};
use super::secret::Secret;
use super::time::UnixMs;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Begins a secret of the Standard Webhooks specification: base64 follows.
const PREFIX: &str = "whsec_";
/// Secrets are made with every tool there is: with padding or without it, and whatever its last bits are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the key that signatures are made with: of `whsec_…` the decoded bytes (either alphabet of base64, with or
/// without padding), of anything else the text itself. `None` if a text claims to be base64 and is not.
pub fn signing_key(secret: &str) -> Option<Vec<u8>> {
    let Some(text) = secret.strip_prefix(PREFIX) else {
        return (!secret.trim_start().starts_with(PREFIX)).then(|| secret.as_bytes().to_vec());
    };
    // One alphabet or the other: no receiver's library reads both at once.
    let is_url_safe = text.contains(['-', '_']);
    let decoded = if is_url_safe && text.contains(['+', '/']) {
        None
    } else {
        BASE64.decode(text.replace('-', "+").replace('_', "/")).ok()
    };
    decoded.filter(|key| !key.is_empty())
}

/// A secret that was replaced, and signs beside the present one for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviousSecret {
    /// The secret itself.
    pub secret: Secret,
    /// From then on it signs nothing.
    pub until: UnixMs,
}

/// The secrets of a webhook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebhookSecrets {
    /// The present one. `None`: requests are not signed.
    pub present: Option<Secret>,
    /// The one before it. `None`: there was none, or it is not needed any more.
    pub previous: Option<PreviousSecret>,
}

impl WebhookSecrets {
    /// The secrets that sign at a time, the present one first: receivers accept a request if one signature fits.
    pub fn valid_at(&self, now: UnixMs) -> Vec<Secret> {
        let previous = self.previous.iter().filter(|previous| now < previous.until).map(|previous| &previous.secret);
        self.present.iter().chain(previous).cloned().collect()
    }
}

/// How long a secret that was replaced may sign, in milliseconds: 30 days.
const ROTATION_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1_000;

/// Checks when a rotation is to end. The error says what an end must be.
pub fn check_rotation_end(until: UnixMs, now: UnixMs) -> Result<(), &'static str> {
    let left = until.0.saturating_sub(now.0);
    match left {
        ..=0 => Err("must be in the future; null ends a rotation at once"),
        left if left > ROTATION_MS_MAX => Err("must be at most 30 days from now"),
        _ => Ok(()),
    }
}

/// The rule of a field with such a secret: something that can be copied without losing anything, and that receivers
/// derive the same key from.
pub(super) fn check(secret: &Secret, _: &()) -> garde::Result {
    secret_fits(is_header_value, "must be printable ASCII; null for none")(secret, &())?;
    secret_fits(|text| signing_key(text).is_some(), "begins with whsec_, so base64 must follow and nothing else")(
        secret,
        &(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_in_either_alphabet_with_or_without_padding() {
        let bytes: Vec<u8> = (0..32).map(|i| 255 - i * 3).collect();
        for text in [
            base64::engine::general_purpose::STANDARD.encode(&bytes),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes),
            base64::engine::general_purpose::URL_SAFE.encode(&bytes),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            assert_eq!(signing_key(&format!("whsec_{text}")).as_deref(), Some(&bytes[..]), "{text}");
        }
        assert_eq!(signing_key("whsec_AB"), Some(vec![0]), "bits that no byte has are ignored");
    }

    #[test]
    fn a_text_that_only_claims_to_be_base64_has_no_key() {
        for text in ["not-base64_at_all", "", "ab c", "a+b-cdef", "äöü", "abcde", "ab=c", " MfKQ", "MfKQ "] {
            assert_eq!(signing_key(&format!("whsec_{text}")), None, "{text}");
        }
        assert_eq!(signing_key(" whsec_MfKQ"), None, "a blank that was copied along");
    }

    #[test]
    fn two_secrets_sign_until_the_previous_one_ends() {
        let previous = PreviousSecret { secret: "old".into(), until: UnixMs(1_000) };
        let secrets = WebhookSecrets { present: Some("new".into()), previous: Some(previous) };
        assert_eq!(secrets.valid_at(UnixMs(999)), [Secret::from("new"), Secret::from("old")]);
        assert_eq!(secrets.valid_at(UnixMs(1_000)), [Secret::from("new")]);
        assert!(WebhookSecrets::default().valid_at(UnixMs(0)).is_empty());
    }

    #[test]
    fn a_rotation_ends_within_thirty_days() {
        let (now, day) = (UnixMs(1_000), 24 * 60 * 60 * 1_000);
        for (after, right) in [(-1, false), (0, false), (1, true), (30 * day, true), (30 * day + 1, false)] {
            assert_eq!(check_rotation_end(UnixMs(now.0 + after), now).is_ok(), right, "{after}");
        }
    }

    #[test]
    fn any_other_secret_is_its_bytes() {
        for text in ["secret", "WHSEC_MfKQ", "my whsec_", "sk_live_=="] {
            assert_eq!(signing_key(text).as_deref(), Some(text.as_bytes()));
        }
    }
}
