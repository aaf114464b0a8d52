//! People and sessions that an earlier version has stored.

use super::organization;
use crate::support::PASSWORD;
use trunkline::domain::login_address::LoginAddress;
use trunkline::domain::password;
use trunkline::store::Store;

/// As `0009` left it.
async fn database_of_an_earlier_version(url: &str) {
    let mut earlier = sqlx::migrate::Migrator::new(std::path::Path::new("./migrations")).await.unwrap();
    earlier.migrations.to_mut().retain(|migration| migration.version <= 9);
    sqlx::any::install_default_drivers();
    let url = if url.starts_with("sqlite:") { format!("{url}?mode=rwc") } else { url.to_owned() };
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    earlier.run(&pool).await.unwrap();
    let hashed = |text: &str| {
        use sha2::Digest as _;
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let organization = uuid::Uuid::now_v7().to_string();
    sqlx::query(
        "INSERT INTO organizations (id, name, billing_org_id, created_at, updated_at) VALUES ($1, 'Old', $1, 1, 1)",
    )
    .bind(&organization)
    .execute(&pool)
    .await
    .unwrap();
    for (email, role) in [("old@example.com", "owner"), ("j\u{F3}@example.com", "member")] {
        let id = uuid::Uuid::now_v7().to_string();
        sqlx::query("INSERT INTO users (id, organization_id, email, name, password_hash, role, created_at, updated_at) VALUES ($1, $2, $3, 'N', $4, $5, 7, 8)")
            .bind(&id)
            .bind(&organization)
            .bind(email)
            .bind(password::hash(PASSWORD).unwrap())
            .bind(role)
            .execute(&pool)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO sessions (hash, user_id, organization_id, created_at, expires_at) VALUES ($1, $2, $3, 1, $4)",
        )
        .bind(hashed(email))
        .bind(&id)
        .bind(&organization)
        .bind(i64::MAX)
        .execute(&pool)
        .await
        .unwrap();
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_sessions_of_an_earlier_version_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let url = crate::support::database_url(folder.path()).await;
    database_of_an_earlier_version(&url).await;
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    for email in ["old@example.com", "j\u{F3}@example.com"] {
        let session = store.session(email).await.unwrap().expect("goes on");
        assert_eq!((session.user.email.as_str(), session.user.created_at.0), (email, 7));
        let address = LoginAddress::new(email);
        let recipe = store.password_recipe(&address).await.unwrap();
        let found = store.accounts(&address, &[recipe.hash(PASSWORD).unwrap()], None).await.unwrap();
        assert_eq!((found.len(), found[0].user.id), (1, session.user.id));
        assert_eq!(found[0].organization_name, "Old");
    }
    let member = store.session("j\u{F3}@example.com").await.unwrap().unwrap();
    assert!(store.change_user(member.scope, member.user.id, None).await.unwrap());
    assert!(store.session("j\u{F3}@example.com").await.unwrap().is_none(), "sessions still end with their user");
    assert!(store.session("old@example.com").await.unwrap().is_some());
    organization(&store, "New", "old@example.com", PASSWORD).await;
    store.close().await;
}
