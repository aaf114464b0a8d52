//! The connection that listens.

use super::CHANNEL;
use sqlx::postgres::PgListener;

/// Connects and listens.
pub(super) async fn connected(url: &str) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// The next message.
pub(super) async fn next(listener: &mut PgListener) -> Result<String, sqlx::Error> {
    Ok(listener.recv().await?.payload().to_owned())
}
