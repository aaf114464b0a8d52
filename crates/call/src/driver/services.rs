//! What every call needs: one service for each area. Built once when the process starts.

use super::address_checks::AddressChecks;
use super::admission::AdmissionService;
use super::media_service::MediaService;
use super::provider_accounts::ProviderAccounts;
use super::recording_quota::RecordingFolder;
use super::schema_validation::SchemaWorkers;
use super::sip_logs::SipLogs;
use super::trunk_service::TrunkService;
use super::web_offers::WebCallService;
use crate::providers::ProviderRegistry;
use crate::registry::CallRegistry;
use crate::spans::TraceExporter;
use crate::stir::IdentityVerifier;
use crate::store::journal::Journal;
use crate::store::{OrgScope, Store};
use crate::supervision::Supervisor;
use crate::webhooks::sender::WebhookSender;
use std::sync::Arc;
use trunkline_signaling::io::SipHandle;

/// The services of a call.
#[derive(Clone, Debug)]
pub struct CallServices {
    /// Handle to the SIP user agent of the process.
    pub sip: SipHandle,
    /// Verifies Identity headers.
    pub identities: IdentityVerifier,
    /// Carries the audio.
    pub media: MediaService,
    /// Trunks: their targets, rules and probes.
    pub trunks: TrunkService,
    /// The providers' accounts of all organizations.
    pub accounts: ProviderAccounts,
    /// Clients of the STT, LLM, TTS and realtime providers, with the keys of the call's organization.
    pub providers: ProviderRegistry,
    /// Decides who may make a call.
    pub admission: AdmissionService,
    /// Calls from browsers.
    pub web_calls: WebCallService,
    /// Where recordings are, and for whom there is room.
    pub recordings: RecordingFolder,
    /// Sends webhooks to customers' servers.
    pub webhooks: WebhookSender,
    /// Workers that compile and evaluate customers' JSON Schemas.
    pub schemas: SchemaWorkers,
    /// The database.
    pub store: Store,
    /// Writes the rows of calls in the background, in batches.
    pub journal: Journal,
    /// The SIP messages of calls.
    pub sip_logs: SipLogs,
    /// The live calls of this process.
    pub registry: CallRegistry,
    /// Runs the background tasks and starts them again after a panic.
    pub supervisor: Supervisor,
    /// Exporter of turn traces, if configured.
    pub spans: TraceExporter,
    /// Name of this process among those that share the database.
    pub node: String,
}

/// The services of a call, shared by all tasks that work for it.
pub type SharedServices = Arc<CallServices>;

impl CallServices {
    /// A copy for one organization, with its own provider keys if it has any.
    pub async fn of_organization(context: &SharedServices, scope: OrgScope) -> SharedServices {
        let providers = context.accounts.of_organization(scope).await;
        Arc::new(Self { providers, ..Self::clone(context) })
    }

    /// Checks the addresses that a configuration names.
    pub fn address_checks(&self) -> AddressChecks {
        AddressChecks { providers: self.providers.clone(), webhooks: self.webhooks.clone() }
    }
}
