//! The carrier's registrar: contacts of its one account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trunkline_signaling::sip::message::{HeaderName, Request, Response};

/// Lifetime for those who name none.
const DEFAULT_S: u32 = 3_600;
/// Contacts of the account.
const CONTACTS_MAX: usize = 10;

#[derive(Default)]
struct Contacts {
    registered: Vec<String>,
    granted: usize,
}

#[derive(Clone, Default)]
pub(super) struct Registrar(Arc<Mutex<Contacts>>);

impl Registrar {
    fn lock(&self) -> MutexGuard<'_, Contacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Contacts that are registered now.
    pub(super) fn contacts(&self) -> usize {
        self.lock().registered.len()
    }

    /// How often one was registered.
    pub(super) fn granted(&self) -> usize {
        self.lock().granted
    }

    /// Registers a contact, or takes it back.
    pub(super) fn register(&self, request: &Request, min_expires_s: u32) -> Response {
        let respond = |status| Response::to_request(&request.headers, status, Some("registrar"));
        let expires_s = request.headers.number(&HeaderName::Expires).unwrap_or(DEFAULT_S);
        if expires_s > 0 && expires_s < min_expires_s {
            let mut refusal = respond(423);
            refusal.headers.push(HeaderName::MinExpires, min_expires_s.to_string());
            return refusal;
        }
        let Some(contact) = request.headers.get(&HeaderName::Contact) else { return respond(400) };
        let mut contacts = self.lock();
        contacts.registered.retain(|known| known != contact);
        if expires_s > 0 && contacts.registered.len() < CONTACTS_MAX {
            contacts.registered.push(contact.to_owned());
            contacts.granted += 1;
        }
        let mut granted = respond(200);
        for known in &contacts.registered {
            granted.headers.push(HeaderName::Contact, format!("{known};expires={expires_s}"));
        }
        granted
    }
}
