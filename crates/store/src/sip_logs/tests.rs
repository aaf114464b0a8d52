//! The SIP messages of a call are its organization's.

use crate::Store;
use crate::journal::Journal;
use crate::row::now;
use std::time::Duration;
use trunkline_domain::call::{Call, Direction};
use trunkline_domain::ids::CallId;
use trunkline_domain::sip_log::{SipDirection, SipLog, SipLogMessage};
use trunkline_supervision::Supervisor;

fn log(text: &str) -> SipLog {
    let message = SipLogMessage {
        at_ms: 1,
        direction: SipDirection::Received,
        transport: "tls".to_owned(),
        local: "192.0.2.1:5061".to_owned(),
        remote: "[2001:db8::1]:5061".to_owned(),
        sip_call_id: "a@b".to_owned(),
        cseq: "1 INVITE".to_owned(),
        length: text.len(),
        is_cut: false,
        repetitions: 1,
        last_at_ms: 2,
        text: text.to_owned(),
    };
    SipLog { messages: vec![message], left_out: 3, is_complete: true }
}

#[tokio::test]
async fn a_log_is_replaced_and_seen_by_its_organization_only() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    let own = store.bootstrap("Own", "own@example.com", "x").await.unwrap().scope;
    let other = store.bootstrap("Other", "other@example.com", "x").await.unwrap().scope;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let call = Call::begun(CallId::new(), own.organization(), Direction::Inbound, now());
    let id = call.id;
    journal.record_call(call, None).await;
    journal.record_sip_log(id, &log("INVITE \u{1f600}")).await;
    journal.record_sip_log(id, &log("INVITE sip:a@b SIP/2.0\r\n\r\n")).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    assert_eq!(store.sip_log(own, id).await.unwrap(), Some(log("INVITE sip:a@b SIP/2.0\r\n\r\n")));
    assert_eq!(store.sip_log(other, id).await.unwrap(), None);
    assert_eq!(store.sip_log(own, CallId::new()).await.unwrap(), None);
}
