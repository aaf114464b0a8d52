//! Passwords of people: Argon2id with the crate's recommended cost. Slow on purpose, so never called on a
//! thread that others wait for.
//!
//! An address has an account in each of its organizations, with a password each. All of them are hashed with one
//! [`HashParams`]: a guess costs one computation, whether the address has no account, one or a thousand, and takes as long.

use super::FieldError;
use super::login_address::LoginAddress;
use argon2::{Argon2, CustomizedPasswordHasher as _, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

const LENGTH_MIN: usize = 10;
/// Longer ones only cost time.
const LENGTH_MAX: usize = 256;
/// Bytes of a salt, as the crate recommends.
const SALT_BYTES: usize = 16;
/// Characters of a hash after its recipe: a dollar sign and 32 bytes in base 64.
pub const OUTPUT_CHARS: usize = 44;

/// Checks that a password has 10 to 256 characters; the error names `password`.
pub fn validate(password: &str) -> Result<(), FieldError> {
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&password.chars().count()) {
        return Err(FieldError::new("password", format!("must have {LENGTH_MIN} to {LENGTH_MAX} characters")));
    }
    Ok(())
}

/// Algorithm, version, cost and salt, as the first fields of a PHC string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashParams(String);

impl HashParams {
    /// Of a stored hash: all of it but the last [`OUTPUT_CHARS`].
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Of an address that has no account yet. The salt looks random to everyone who does not know the installation's
    /// secret, and the same each time: two accounts that are made at the same moment share it.
    pub fn of_address(secret: &str, address: &LoginAddress) -> Self {
        let digest = Sha256::new().chain_update(secret).chain_update([0]).chain_update(address.as_str()).finalize();
        let salt: Vec<u8> = digest.into_iter().take(SALT_BYTES).collect();
        let (memory, passes, lanes) = (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST);
        Self(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${}", BASE64_STANDARD_NO_PAD.encode(salt)))
    }

    /// The hash of a password, to be compared with stored ones of this recipe.
    pub fn hash(&self, password: &str) -> Result<String, String> {
        let fault = |error: &dyn std::fmt::Display| error.to_string();
        let recipe = PasswordHash::new(&self.0).map_err(|error| fault(&error))?;
        let salt = recipe.salt.ok_or("the recipe has no salt")?;
        let params = Params::try_from(&recipe).map_err(|error| fault(&error))?;
        let (algorithm, password) = (recipe.algorithm.as_str(), password.as_bytes());
        let made = Argon2::default().hash_password_customized(password, &salt, Some(algorithm), recipe.version, params);
        made.map(|hash| hash.to_string()).map_err(|error| fault(&error))
    }
}

/// Hashes with a new salt.
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

    #[test]
    fn a_recipe_makes_the_same_hash_again() {
        let stored = hash("correct horse battery").unwrap();
        let recipe = HashParams::stored(stored[..stored.len() - OUTPUT_CHARS].to_owned());
        assert_eq!(recipe.hash("correct horse battery").unwrap(), stored);
        assert_ne!(recipe.hash("wrong").unwrap(), stored);
        assert!(HashParams::stored("no recipe".to_owned()).hash("x").is_err());
    }

    #[test]
    fn every_address_has_one_set_of_hash_parameters() {
        let (one, other) = (LoginAddress::new("a@example.com"), LoginAddress::new("b@example.com"));
        let recipe = HashParams::of_address("secret", &one);
        assert_eq!(recipe, HashParams::of_address("secret", &LoginAddress::new("A@Example.com")));
        assert_ne!(recipe, HashParams::of_address("secret", &other));
        assert_ne!(recipe, HashParams::of_address("another secret", &one));
        let (made, anybody) = (recipe.hash("x").unwrap(), hash("x").unwrap());
        assert_eq!(made.strip_prefix(&recipe.0).unwrap().len(), OUTPUT_CHARS);
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((cost(&made), made.len()), (cost(&anybody), anybody.len()));
        assert!(verify("x", &made));
    }
}
