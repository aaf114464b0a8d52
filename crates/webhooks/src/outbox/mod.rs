//! Delivers what waits in the database, webhooks and mail, again and again until it arrives or a day has
//! passed. Several processes may share the work: claims are leases.

pub mod driver;
pub mod mail;
pub mod retry;
