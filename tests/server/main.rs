//! A whole server with real sockets: calls over SIP, the emulated providers, the API, other people's
//! programs as peers.
#![expect(clippy::disallowed_methods, reason = "tests of real sockets run in real time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod agent_handover;
mod api;
mod baresip;
mod browser;
mod calls;
mod carriers;
mod concurrent_changes;
mod connections;
mod conversation;
mod crash;
mod egress;
mod examples;
mod fault_soak;
mod fraud_limits;
mod hostile_sip;
mod hostile_tenants;
mod kamailio;
mod linphone;
mod listeners;
mod live;
mod management;
mod nodes;
mod odd_models;
mod outgoing_calls;
mod pjsip;
mod postgres;
mod provider_faults;
mod provider_messages;
mod providers;
mod quotas;
mod realtime;
mod reference_documents;
mod repeated_requests;
mod reports;
mod rtp;
mod scheduler;
mod schemas;
mod schemathesis;
mod session_descriptions;
mod sip_peer;
mod sipp;
mod snapshots;
mod snippets;
mod support;
mod tenants;
mod third_party_clients;
mod transports;
mod trunk_check;
mod web;
mod web_peer;
mod webhook_rules;
mod webhooks;
