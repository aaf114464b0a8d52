//! A program without PostgreSQL: nobody else shares its database, so nobody is listened to.

use std::convert::Infallible;

/// Refuses.
#[expect(clippy::unused_async, reason = "the other one connects")]
pub(super) async fn connected(_: &str) -> Result<Infallible, sqlx::Error> {
    Err(sqlx::Error::Configuration("this program was built without PostgreSQL (the feature `postgres`)".into()))
}

/// Nobody says anything.
#[expect(clippy::unused_async, reason = "the other one waits")]
pub(super) async fn next(listener: &mut Infallible) -> Result<String, sqlx::Error> {
    match *listener {}
}
