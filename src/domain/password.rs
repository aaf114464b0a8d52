//! Passwords of people: Argon2id with the crate's recommended cost. Slow on purpose, so never called on a
//! thread that others wait for.

use super::FieldFault;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

const LENGTH_MIN: usize = 10;
/// Longer ones only cost time.
const LENGTH_MAX: usize = 256;

pub fn validate(password: &str) -> Result<(), FieldFault> {
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&password.chars().count()) {
        return Err(FieldFault::new("password", format!("must have {LENGTH_MIN} to {LENGTH_MAX} characters")));
    }
    Ok(())
}

pub fn hash(password: &str) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// False also for a hash that cannot be read.
pub fn verify(password: &str, hash: &str) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password() {
        let made = hash("correct horse battery").unwrap();
        assert!(made.starts_with("$argon2id$") && verify("correct horse battery", &made));
        assert!(!verify("wrong", &made) && !verify("x", "not a hash"));
        assert!(validate("short").is_err() && validate("long enough").is_ok());
    }
}
