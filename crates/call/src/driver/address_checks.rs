//! Checks the addresses that customers name, as far as possible before DNS resolution.

use crate::domain::FieldError;
use crate::domain::agent::{AgentFields, NamedAddress};
use crate::providers::ProviderRegistry;
use crate::webhooks::sender::WebhookSender;

/// Says where customers' addresses may lead.
#[derive(Clone, Debug)]
pub struct AddressChecks {
    /// Judges the base URLs of providers.
    pub providers: ProviderRegistry,
    /// Judges the URLs of customers' servers.
    pub webhooks: WebhookSender,
}

impl AddressChecks {
    /// Checks every address of a configuration.
    pub fn faults(&self, fields: &AgentFields) -> Vec<FieldError> {
        fields.addresses().iter().filter_map(|address| self.check(address).err()).collect()
    }

    /// Refuses one of them.
    pub fn check(&self, NamedAddress { field, url, is_base }: &NamedAddress<'_>) -> Result<(), FieldError> {
        let judged = if *is_base { self.providers.check_base_url(url) } else { self.webhooks.check(url) };
        judged.map_err(|why| FieldError::new(field.as_str(), why.to_string()))
    }

    /// Refuses the URL of a customer's server; a webhook must not lead into our own network.
    pub fn check_webhook(&self, field: &str, url: &str) -> Result<(), FieldError> {
        self.webhooks.check(url).map_err(|why| FieldError::new(field, why.to_string()))
    }
}
