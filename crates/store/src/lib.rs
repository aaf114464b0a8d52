//! The database. Only this area speaks SQL; every function that touches a tenant's rows takes its
//! [`OrgScope`], which only this area can make.

mod agent_versions;
mod agents;
mod alerts;
mod api_keys;
mod audit;
mod batches;
mod cache;
mod cached;
mod call_days;
mod call_shares;
mod calls;
mod database;
mod deliveries;
mod do_not_call;
mod error;
mod fair_queue;
#[cfg(test)]
mod figure_tests;
mod full_outboxes;
mod idempotency;
mod installation_settings;
pub mod journal;
mod leases;
mod list_permits;
mod logins;
pub mod node_bus;
mod nodes;
mod notifiers;
mod organizations;
mod pagination;
mod passages;
mod password_resets;
mod phone_numbers;
mod quotas;
mod row;
mod schedule;
mod scope;
pub mod secrets;
pub mod signed_tokens;
mod sip_logs;
mod tasks;
mod trunks;
mod usage;
mod users;
mod wrap_up;

pub use agent_versions::AgentVersion;
pub use alerts::WatchedRule;
pub use api_keys::{ApiKeyRow, CreatedApiKey};
pub use audit::AuditEntry;
pub use batches::BatchTasks;
pub use cached::{AuthenticatedKey, NumberOwner, PhoneNumberFields};
pub use call_days::{CallFigureSums, FigureFilter, FigureGroup};
pub use call_shares::CallShare;
pub use calls::CallFilter;
pub use database::{DatabaseBackend, SchemaDifference, Store};
pub use deliveries::{ClaimedDelivery, DeliveryFilter};
pub use do_not_call::DoNotCallEntry;
pub use error::StoreError;
pub use idempotency::IdempotencyClaim;
pub use logins::LoginAccount;
pub use nodes::NodeHeartbeat;
pub use organizations::{Bootstrapped, OrganizationError};
pub use pagination::{PageCursor, PageRequest};
pub use passages::{IndexedPassage, PassageIndex};
pub use phone_numbers::{InboundRoute, PhoneNumberRow};
pub use row::now;
pub use schedule::{DueTask, TaskClaim};
pub use scope::OrgScope;
pub use secrets::SecretRow;
pub use usage::{RemoteLineCounts, UsageDay};
pub use users::{Invitation, NewUser, User, UserSession};
pub use wrap_up::WrapUpJob;

use row::{corrupt, document, parsed, storable, storable_or_none, text, unique};

#[cfg(test)]
mod tests;
