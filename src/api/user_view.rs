//! People as clients see them.

use crate::domain::permission::UserRole;
use crate::store::User;
use serde::Serialize;
use utoipa::ToSchema;

/// A person with an account in an organization.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uuid")]
    organization_id: String,
    /// Address that the person logs in with.
    email: String,
    /// Their name, if they gave one.
    name: Option<String>,
    /// What they may do.
    role: UserRole,
    #[schema(format = "date-time")]
    created_at: String,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            organization_id: user.organization.to_string(),
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role,
            created_at: user.created_at.rfc3339(),
        }
    }
}
