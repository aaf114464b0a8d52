//! Calls of others cannot be taken over or found out about.

use super::{CALLER, ELSEWHERE, NUMBER_A, NUMBER_B, SipPeer, TestInvite, TestTenant};
use crate::support::Server;
use serde_json::json;

/// Only callers of the same trunk can replace a call (RFC 3891).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaces_cannot_take_over_another_tenants_call() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let trunk = a
        .trunk(json!({"allowed_addresses": [CALLER], "inbound_username": "alice7", "inbound_password": "s3cret"}))
        .await;
    a.number(NUMBER_A, Some(&trunk)).await;
    let theirs =
        b.trunk(json!({"allowed_addresses": [ELSEWHERE], "inbound_username": "bob", "inbound_password": "pb"})).await;
    b.number(NUMBER_B, Some(&theirs)).await;
    let (mut caller, mut stranger) = (SipPeer::at(&server, CALLER).await, SipPeer::at(&server, ELSEWHERE).await);
    let (mut call, answer) = caller.invite(&TestInvite { user: NUMBER_A, ..TestInvite::default() }).await;
    assert_eq!(call.status, 200, "{answer}");
    let more = format!("Replaces: {}\r\n", call.replaces());
    for (user, account, wanted) in [
        (NUMBER_B, None, 401),
        (NUMBER_A, None, 401),
        (NUMBER_B, Some(("bob", "pb")), 481),
        (NUMBER_A, Some(("bob", "pb")), 481),
        (NUMBER_A, Some(("alice7", "guess")), 401),
    ] {
        let (taken, answer) =
            stranger.invite(&TestInvite { user, account, more: &more, ..TestInvite::default() }).await;
        assert_eq!(taken.status, wanted, "{user} {account:?}: {answer}");
    }
    assert_eq!(caller.request(&mut call, "OPTIONS", "").await, 200, "the call goes on");
    // A carrier that both list puts through calls to either: a place of the one is not for a call to the other's number.
    let shared = b.trunk(json!({"allowed_addresses": [CALLER]})).await;
    let mut carrier = SipPeer::at(&server, CALLER).await;
    let (taken, answer) = carrier.invite(&TestInvite { user: NUMBER_B, more: &more, ..TestInvite::default() }).await;
    assert_eq!(taken.status, 481, "{answer}");
    assert_eq!(caller.request(&mut call, "OPTIONS", "").await, 200, "the call goes on");
    b.delete(&format!("/trunks/{shared}")).await;
    // Its own caller, from elsewhere and by credentials.
    let ask = TestInvite { user: NUMBER_A, account: Some(("alice7", "s3cret")), more: &more, ..TestInvite::default() };
    let (mut taken, answer) = stranger.invite(&ask).await;
    assert_eq!(taken.status, 200, "{answer}");
    assert_eq!(stranger.request(&mut taken, "BYE", "").await, 200);
    assert_eq!((a.calls().await, b.calls().await), (1, 0));
    // If a trunk requires attestation, Replaces does not bypass it.
    let (mut call, _) = caller.invite(&TestInvite { user: NUMBER_A, ..TestInvite::default() }).await;
    let required = json!({"require_attestation": "A"});
    assert_eq!(a.send("PATCH", &format!("/trunks/{trunk}"), Some(required)).await.0, 200);
    let more = format!("Replaces: {}\r\n", call.replaces());
    let (taken, _) = caller.invite(&TestInvite { user: NUMBER_A, more: &more, ..TestInvite::default() }).await;
    assert_eq!(taken.status, 403);
    assert_eq!(caller.request(&mut call, "BYE", "").await, 200);
}

/// Answers reveal the existing numbers neither to strangers nor to another tenant's callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_do_not_reveal_other_tenants_numbers() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let by_digest = a.trunk(json!({"inbound_username": "alice7", "inbound_password": "s3cret"})).await;
    let by_address = a.trunk(json!({"allowed_addresses": ["127.0.0.77"]})).await;
    a.number("+31209990001", Some(&by_digest)).await;
    a.number("+31209990002", Some(&by_address)).await;
    a.number("+31209990003", None).await;
    b.trunk(json!({"allowed_addresses": [CALLER], "inbound_username": "bob", "inbound_password": "pb"})).await;
    for (ip, account, wanted) in [
        (CALLER, None, 401),
        (ELSEWHERE, None, 401),
        (ELSEWHERE, Some(("bob", "pb")), 404),
        (CALLER, Some(("bob", "pb")), 404),
    ] {
        let mut peer = SipPeer::at(&server, ip).await;
        let mut answers = Vec::new();
        for number in ["+31209990001", "+31209990002", "+31209990003", "+31209990009", "+0", "anonymous", "alice7"] {
            let (call, answer) = peer.invite(&TestInvite { user: number, account, ..TestInvite::default() }).await;
            assert_eq!(call.status, wanted, "{number} from {ip}");
            let names: Vec<String> = answer.lines().filter_map(|l| Some(l.split_once(": ")?.0.to_owned())).collect();
            answers.push(names);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "from {ip} they differ: {answers:?}");
    }
}
