//! What one organization may hold and use of the server: every resource that costs memory, time or money has its line
//! here, with the reason for the number. Settings override the numbers for everybody, the operator for one
//! organization (`trunkline quota`).
//!
//! Calls, minutes and money are limits of the organization itself ([`Limits`](super::organization::Limits)). Admission
//! decides which calls the server as a whole has room for.

use serde::Deserialize;
use std::collections::BTreeMap;

/// An organization with everything below it holds so many times as much as one organization: a reseller's customers
/// have room beside each other, and no family fills the database.
pub const FAMILY_FACTOR: i64 = 10;

macro_rules! quotas {
    ($( $(#[doc = $doc:literal])+ $field:ident = $default:literal, )*) => {
        /// The numbers, for one organization each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Quotas {
            $( $(#[doc = $doc])+ pub $field: u32, )*
        }

        impl Default for Quotas {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl Quotas {
            /// Every quota by its name in settings and refusals.
            pub fn all(&self) -> Vec<(&'static str, u32)> {
                vec![$( (stringify!($field), self.$field), )*]
            }
        }
    };
}

quotas! {
    /// Agents. Each keeps its versions: 200, and 4 MiB at most.
    agents = 1_000,
    /// Tasks that are pending or in progress: a campaign. They are counted whenever one is made.
    tasks = 10_000,
    /// SIP trunks. Each is a rule that the endpoint asks for every request, and may register and be probed.
    trunks = 100,
    /// Phone numbers.
    phone_numbers = 2_000,
    /// API keys. Each has its own rate limit.
    api_keys = 100,
    /// People.
    users = 500,
    /// Invitations that are neither accepted nor expired; each may be a mail.
    invitations = 500,
    /// Organizations of a family, the root counted.
    organizations = 1_000,
    /// Sessions of one person; the oldest ends when another begins.
    sessions_per_user = 50,
    /// Webhooks and mail that wait in the outbox; more are kept as failed and can be sent again by hand.
    deliveries_waiting = 20_000,
    /// Entries of the audit log; the oldest go first.
    audit_entries = 100_000,
    /// GiB of recordings: 4,600 hours fit into five hundred. Calls beyond are not recorded.
    recordings_gib = 500,
    /// Live WebSockets (`/ws/calls`, `/ws/events`) at once, of one process: each is a task and a socket.
    live_connections = 200,
    /// Calls that wait for their browsers at once.
    web_calls_waiting = 100,
    /// Probes of trunks (OPTIONS) at once.
    probes_at_once = 4,
    /// Reports that are rewritten at once: each is a request to a model, possibly on the server's account.
    reports_at_once = 4,
    /// Provider tests at once: each is a request to a vendor.
    provider_tests_at_once = 2,
    /// Requests in a minute, of all keys and people of the organization together.
    requests_per_minute = 5_000,
    /// `POST /trunks/{id}/test` in a minute.
    trunk_tests_per_minute = 60,
    /// Changes of trunks in a minute: the rules of all trunks are read again after each.
    trunk_changes_per_minute = 120,
    /// `POST /providers/{name}/test` in a minute.
    provider_tests_per_minute = 30,
    /// `POST /alert-rules/{id}/test` in a minute: each is a mail or a webhook.
    alert_tests_per_minute = 10,
    /// `POST /agents/tools/test` in a minute: each is a request to somebody's server.
    tool_tests_per_minute = 30,
    /// `POST /providers/speech` in a minute: each costs what the sentence costs.
    voice_previews_per_minute = 30,
    /// Reports and transcripts that are processed again in a minute.
    reports_per_minute = 60,
}

/// What is counted in the database when one more is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaResource {
    /// Agents; 1,000 by default.
    Agents,
    /// Tasks that are pending or in progress; 10,000 by default.
    Tasks,
    /// SIP trunks; 100 by default.
    Trunks,
    /// Phone numbers; 2,000 by default.
    PhoneNumbers,
    /// API keys; 100 by default.
    ApiKeys,
    /// Users; 500 by default.
    Users,
    /// Invitations that are neither accepted nor expired; 500 by default.
    Invitations,
    /// Organizations of a family, the root counted; 1,000 by default.
    Organizations,
}

impl QuotaResource {
    /// Every resource that is counted.
    pub const ALL: &[Self] = &[
        Self::Agents,
        Self::Tasks,
        Self::Trunks,
        Self::PhoneNumbers,
        Self::ApiKeys,
        Self::Users,
        Self::Invitations,
        Self::Organizations,
    ];

    /// As in settings and refusals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Tasks => "tasks",
            Self::Trunks => "trunks",
            Self::PhoneNumbers => "phone_numbers",
            Self::ApiKeys => "api_keys",
            Self::Users => "users",
            Self::Invitations => "invitations",
            Self::Organizations => "organizations",
        }
    }

    fn of(self, quotas: &Quotas) -> u32 {
        match self {
            Self::Agents => quotas.agents,
            Self::Tasks => quotas.tasks,
            Self::Trunks => quotas.trunks,
            Self::PhoneNumbers => quotas.phone_numbers,
            Self::ApiKeys => quotas.api_keys,
            Self::Users => quotas.users,
            Self::Invitations => quotas.invitations,
            Self::Organizations => quotas.organizations,
        }
    }
}

/// What the operator allows one organization, by the names of [`Quotas`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct QuotaOverrides(pub BTreeMap<String, u32>);

impl QuotaOverrides {
    /// Takes `name=number`, or `name=` for the server's default.
    pub fn change(&mut self, text: &str) -> Result<(), String> {
        let (name, number) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=NUMBER"))?;
        if !QuotaResource::ALL.iter().any(|resource| resource.name() == name) {
            let names: Vec<_> = QuotaResource::ALL.iter().map(|resource| resource.name()).collect();
            return Err(format!("{name:?} is not one of {}", names.join(", ")));
        }
        if number.is_empty() {
            self.0.remove(name);
            return Ok(());
        }
        let number = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
        self.0.insert(name.to_owned(), number);
        Ok(())
    }

    /// How many of a resource the organization itself may hold.
    pub fn of_one(&self, quotas: &Quotas, resource: QuotaResource) -> i64 {
        i64::from(self.0.get(resource.name()).copied().unwrap_or(resource.of(quotas)))
    }

    /// How many it may hold with everything below it.
    pub fn of_family(&self, quotas: &Quotas, resource: QuotaResource) -> i64 {
        let factor = if resource == QuotaResource::Organizations { 1 } else { FAMILY_FACTOR };
        self.of_one(quotas, resource) * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_stands_in_for_the_servers_number_and_for_no_other() {
        let quotas = Quotas::default();
        let allowance: QuotaOverrides = serde_json::from_str(r#"{"agents": 7}"#).unwrap();
        assert_eq!(allowance.of_one(&quotas, QuotaResource::Agents), 7);
        assert_eq!(allowance.of_family(&quotas, QuotaResource::Agents), 70);
        assert_eq!(allowance.of_one(&quotas, QuotaResource::Tasks), i64::from(quotas.tasks));
        assert_eq!(allowance.of_family(&quotas, QuotaResource::Organizations), i64::from(quotas.organizations));
    }

    #[test]
    fn the_operator_changes_what_there_is_by_its_name() {
        let mut allowance = QuotaOverrides::default();
        allowance.change("agents=5").unwrap();
        allowance.change("tasks=0").unwrap();
        assert_eq!(serde_json::to_string(&allowance).unwrap(), r#"{"agents":5,"tasks":0}"#);
        allowance.change("agents=").unwrap();
        assert_eq!(allowance.of_one(&Quotas::default(), QuotaResource::Agents), 1_000);
        for bad in ["agents", "agents=many", "agents=-1", "sessions_per_user=5", "=5"] {
            assert!(allowance.change(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_counted_resource_has_its_number() {
        let names: Vec<_> = Quotas::default().all().into_iter().map(|(name, _)| name).collect();
        for resource in QuotaResource::ALL {
            assert!(names.contains(&resource.name()), "{resource:?}");
        }
    }
}
