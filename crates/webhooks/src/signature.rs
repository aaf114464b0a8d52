//! Signatures of the Standard Webhooks specification (standardwebhooks.com): HMAC-SHA256 over
//! `id.timestamp.body`.

use crate::domain::webhook_secret::signing_key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The value of `webhook-signature`. A secret `whsec_…` is base64, any other is taken as it is.
pub fn sign(secret: &str, id: &str, timestamp_s: i64, body: &str) -> String {
    // One that claims to be base64 and is not was saved before that was refused.
    let key = signing_key(secret).unwrap_or_else(|| secret.as_bytes().to_vec());
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap_or_else(|_| unreachable!("any length fits"));
    for part in [id.as_bytes(), b".", timestamp_s.to_string().as_bytes(), b".", body.as_bytes()] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the tests of the specification's libraries.
    #[test]
    fn the_vector_of_the_specification() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_plain_secret_is_its_bytes() {
        let plain = sign("secret", "a", 1, "{}");
        assert_eq!(plain, sign("whsec_c2VjcmV0", "a", 1, "{}"));
        assert_ne!(plain, sign("secret", "a", 2, "{}"));
    }
}
