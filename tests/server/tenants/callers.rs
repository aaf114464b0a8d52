//! Whose trunk a call comes over.

use super::{
    CALLER, CallerIdentification, FOREIGN, MINE, NUMBER_A, NUMBER_B, REGISTRAR, SipPeer, TestInvite, TestTenant,
    foreign, matrix_server,
};
use crate::support::{Server, until};
use serde_json::json;

/// Every way to call in, beside everything another tenant may set up: answered by the same organization, with the same
/// rights, as without the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_trunk_never_changes_the_outcome_for_mine() {
    let server = matrix_server().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let number_b = b.number(NUMBER_B, None).await;
    for mine in MINE {
        let mut peer = SipPeer::at(&server, mine.place()).await;
        for accept_refer in [false, true] {
            let mut fields = mine.trunk(&peer);
            fields["accept_refer"] = json!(accept_refer);
            let trunk = a.trunk(fields).await;
            let number = a.number(NUMBER_A, Some(&trunk)).await;
            let contact = if mine.place() == REGISTRAR { peer.contact_of("acct-a").await } else { String::new() };
            for what in FOREIGN {
                let theirs = foreign(&b, what, mine, &peer).await;
                let forms: &[&str] =
                    if mine.place() == CALLER { &[NUMBER_A, "31209990001", "0209990001"] } else { &[NUMBER_A] };
                for form in forms {
                    let ask = match mine {
                        CallerIdentification::Address | CallerIdentification::Registration => {
                            TestInvite { user: form, ..TestInvite::default() }
                        }
                        CallerIdentification::Digest => {
                            TestInvite { user: form, account: Some(("alice7", "s3cret")), ..TestInvite::default() }
                        }
                        CallerIdentification::Contact => {
                            TestInvite { user: &contact, to: Some(form), ..TestInvite::default() }
                        }
                        CallerIdentification::ProviderAccount => {
                            TestInvite { user: "acct-a", to: Some(form), ..TestInvite::default() }
                        }
                    };
                    let before = (a.calls().await, b.calls().await);
                    let (mut call, answer) = peer.invite(&ask).await;
                    let case = format!("{mine:?} {form} beside {what}");
                    assert_eq!(call.status, 200, "{case}: {answer}");
                    let refer = peer.request(&mut call, "REFER", "Refer-To: <sip:+15550777@127.0.0.1:9>\r\n").await;
                    assert_eq!(refer, if accept_refer { 202 } else { 603 }, "{case}");
                    assert_eq!(peer.request(&mut call, "BYE", "").await, 200, "{case}");
                    until(&format!("the row of {case}"), || async {
                        let now = (a.calls().await, b.calls().await);
                        assert_eq!(now.1, before.1, "{case}: the other organization's");
                        (now.0 > before.0).then_some(())
                    })
                    .await;
                }
                for id in theirs {
                    b.delete(&format!("/trunks/{id}")).await;
                }
            }
            a.delete(&format!("/phone-numbers/{number}")).await;
            a.delete(&format!("/trunks/{trunk}")).await;
            peer.accounts.lock().unwrap().clear();
        }
    }
    b.delete(&format!("/phone-numbers/{number_b}")).await;
}

/// The older claim stays where two organizations read one dialled text as their own number, and a number that is written
/// out needs no claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_readings_of_one_number_the_older_claim_stays() {
    let server = matrix_server().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let mut peer = SipPeer::at(&server, CALLER).await;
    let whose = async |peer: &mut SipPeer, user: &str| {
        let before = (a.calls().await, b.calls().await);
        let (mut call, answer) = peer.invite(&TestInvite { user, ..TestInvite::default() }).await;
        assert_eq!(call.status, 200, "{user}: {answer}");
        assert_eq!(peer.request(&mut call, "BYE", "").await, 200);
        until("the call's row", || async {
            let now = (a.calls().await, b.calls().await);
            (now != before).then_some(if now.0 > before.0 { "a" } else { "b" })
        })
        .await
    };
    // A tenant that was there before with harmless settings.
    let theirs = b.trunk(json!({"allowed_addresses": ["127.0.0.99"]})).await;
    b.number(NUMBER_B, None).await;
    let mine = a.trunk(json!({"allowed_addresses": [CALLER], "country_code": "31", "national_prefix": "0"})).await;
    a.number(NUMBER_A, None).await;
    assert_eq!(whose(&mut peer, "0209990001").await, "a");
    for change in [
        json!({"allowed_addresses": [CALLER]}),
        json!({"country_code": "49", "national_prefix": "0"}),
        json!({"national_prefix": null, "strip_prefix": "+31"}),
        json!({"strip_prefix": null, "national_prefix": "0"}),
    ] {
        let (status, body) = b.send("PATCH", &format!("/trunks/{theirs}"), Some(change)).await;
        assert_eq!(status, 200, "{body}");
        for user in ["0209990001", NUMBER_A, "31209990001"] {
            assert_eq!(whose(&mut peer, user).await, "a", "{user}");
        }
        assert_eq!(whose(&mut peer, NUMBER_B).await, "b", "its own number is still its own");
    }
    // A further gateway does not make the first tenant's claim younger.
    let more = json!({"allowed_addresses": ["127.0.0.98", CALLER], "max_concurrent_calls": 50});
    assert_eq!(a.send("PATCH", &format!("/trunks/{mine}"), Some(more)).await.0, 200);
    assert_eq!(whose(&mut peer, "0209990001").await, "a");
    // A tenant that gives up the address and claims it again is the younger one; it keeps the number.
    for addresses in [json!([]), json!([CALLER])] {
        let change = json!({"allowed_addresses": addresses});
        assert_eq!(a.send("PATCH", &format!("/trunks/{mine}"), Some(change)).await.0, 200);
    }
    assert_eq!(whose(&mut peer, "0209990001").await, "b");
    assert_eq!(whose(&mut peer, NUMBER_A).await, "a");
}

/// Two accounts at one provider, of one organization or of two, in either order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_registrations_at_one_provider_are_told_apart() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    for [one, other] in [[&a, &a], [&a, &b], [&b, &a]] {
        let mut peer = SipPeer::at(&server, REGISTRAR).await;
        let account = |name: &str| json!({"host": REGISTRAR, "port": peer.addr().port(), "register": true, "username": name, "password": "p"});
        let trunks = [one.trunk(account("one")).await, other.trunk(account("other")).await];
        let numbers = [one.number(NUMBER_A, Some(&trunks[0])).await, other.number(NUMBER_B, Some(&trunks[1])).await];
        let contacts = [peer.contact_of("one").await, peer.contact_of("other").await];
        for (tenant, number, contact, account, wrong) in
            [(one, NUMBER_A, &contacts[0], "one", NUMBER_B), (other, NUMBER_B, &contacts[1], "other", NUMBER_A)]
        {
            for ask in [
                TestInvite { user: number, ..TestInvite::default() },
                TestInvite { user: number.trim_start_matches('+'), ..TestInvite::default() },
                TestInvite { user: contact, to: Some(number), ..TestInvite::default() },
                TestInvite { user: account, to: Some(number), ..TestInvite::default() },
                // What the Request-URI says comes before the To header.
                TestInvite { user: number, to: Some(wrong), ..TestInvite::default() },
            ] {
                let before = tenant.calls().await;
                let (mut call, answer) = peer.invite(&ask).await;
                assert_eq!(call.status, 200, "{} {:?}: {answer}", ask.user, ask.to);
                peer.request(&mut call, "BYE", "").await;
                until("the call's row", || async { (tenant.calls().await > before).then_some(()) }).await;
            }
            // The Contact belongs to one trunk; the other's number is not one of its numbers.
            let (call, _) = peer.invite(&TestInvite { user: contact, to: Some(wrong), ..TestInvite::default() }).await;
            assert_eq!(call.status, 404);
        }
        for (tenant, number, trunk) in [(one, &numbers[0], &trunks[0]), (other, &numbers[1], &trunks[1])] {
            tenant.delete(&format!("/phone-numbers/{number}")).await;
            tenant.delete(&format!("/trunks/{trunk}")).await;
        }
    }
}
