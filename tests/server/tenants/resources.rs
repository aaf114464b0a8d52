//! Networks, numbers and trunks, and when a change to them is in force.

use super::{CALLER, ELSEWHERE, NUMBER_A, NUMBER_B, SipPeer, TestInvite, TestTenant};
use crate::support::Server;
use serde_json::json;

/// Wide networks are the operator's to allow, in whatever form they are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_networks_need_the_operators_consent() {
    let server = Server::start_with(|config| config.sip.wide_networks_allowed = vec!["10.0.0.0/8".into()]).await;
    let b = TestTenant::new(&server, "second").await;
    let narrow = b.trunk(json!({"allowed_addresses": ["192.0.2.0/24"]})).await;
    for wide in [
        json!(["0.0.0.0/0"]),
        json!(["::/0"]),
        json!(["::ffff:0:0/96"]),
        json!(["127.0.0.0/8"]),
        json!(["172.16.0.0/12"]),
        json!(["128.0.0.0/1", "0.0.0.0/1"]),
        json!(["192.168.0.0/16", "192.169.0.0/16"]),
        json!(["2000::/3"]),
        json!(["8.0.0.0/7"]),
    ] {
        let fields = json!({"name": "W", "allowed_addresses": wide});
        for (method, path) in [("POST", "/trunks".to_owned()), ("PATCH", format!("/trunks/{narrow}"))] {
            let (status, body) = b.send(method, &path, Some(fields.clone())).await;
            assert_eq!(
                (status, &body["details"]["field"]),
                (400, &json!("allowed_addresses")),
                "{method} {wide}: {body}"
            );
        }
    }
    for good in [json!(["10.0.0.0/8"]), json!(["10.0.0.0/8", "192.168.0.0/16"]), json!(["2001:db8::/32"])] {
        b.trunk(json!({"allowed_addresses": good})).await;
    }
    // One that was stored before the consent was needed is not in force.
    let store = &server.app.services.store;
    let scope = store.authenticate(&b.key).await.unwrap().unwrap().scope;
    let fields =
        serde_json::from_value(json!({"name": "Old", "allowed_addresses": ["0.0.0.0/0", "127.0.0.51"]})).unwrap();
    store.create_trunk(scope, fields).await.unwrap();
    server.app.services.trunks.reload().await.unwrap();
    for (ip, wanted) in [(CALLER, 403), ("127.0.0.51", 404)] {
        let (call, _) =
            SipPeer::at(&server, ip).await.invite(&TestInvite { user: NUMBER_B, ..TestInvite::default() }).await;
        assert_eq!(call.status, wanted, "{ip}");
    }
}

/// A number belongs to one organization, even with concurrent writes; another's objects can be neither used nor seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_and_trunks_are_one_organizations() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    for round in 0..10 {
        let number = json!({"number": format!("+3120888{round:04}"), "agent_id": null});
        let (one, other) = tokio::join!(
            a.send("POST", "/phone-numbers", Some(number.clone())),
            b.send("POST", "/phone-numbers", Some(number.clone()))
        );
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 400], "{one:?} {other:?}");
        let refused = if one.0 == 400 { one.1 } else { other.1 };
        assert_eq!(refused["details"]["code"], json!("already_exists"));
    }
    let trunk = a.trunk(json!({"allowed_addresses": [CALLER]})).await;
    let unknown = uuid::Uuid::new_v4().to_string();
    let own = b.number(NUMBER_B, None).await;
    for (method, path, body) in [
        ("GET", "/trunks/ID", None),
        ("PATCH", "/trunks/ID", Some(json!({"allowed_addresses": [ELSEWHERE]}))),
        ("DELETE", "/trunks/ID", None),
        ("POST", "/trunks/ID/test", Some(json!({}))),
        ("POST", "/phone-numbers", Some(json!({"number": "+31207770001", "trunk_id": "ID"}))),
        ("PATCH", "/phone-numbers/OWN", Some(json!({"trunk_id": "ID"}))),
    ] {
        let mut answers = Vec::new();
        for id in [&trunk, &unknown] {
            let path = path.replace("ID", id).replace("OWN", &own);
            let body = body.clone().map(|body| serde_json::from_str(&body.to_string().replace("ID", id)).unwrap());
            let (status, body) = b.send(method, &path, body).await;
            assert!(matches!(status, 400 | 404), "{method} {path}: {status}");
            answers.push((status, body["error"].clone(), body["details"].clone()));
        }
        assert_eq!(answers[0], answers[1], "{method} {path}: another tenant's is as unknown as none");
    }
    assert_eq!(
        a.send("GET", &format!("/trunks/{trunk}"), None).await.1["data"]["trunk"]["allowed_addresses"],
        json!([CALLER])
    );
    for (field, value) in [
        ("allowed_addresses", json!(vec!["192.0.2.1"; 257])),
        ("targets", json!(vec![json!({"host": "h"}); 17])),
        ("allowed_destinations", json!(vec!["+31"; 501])),
        ("codecs", json!(vec!["PCMU"; 5])),
    ] {
        let (status, body) = b.send("POST", "/trunks", Some(json!({"name": "T", field: value}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
    }
}

/// Many writers at once: each sees its own change in force when its request returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_in_force_when_it_is_answered_however_many_write() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let mine = a.trunk(json!({"allowed_addresses": []})).await;
    a.number(NUMBER_A, Some(&mine)).await;
    let theirs = b.trunk(json!({})).await;
    let mut peer = SipPeer::at(&server, CALLER).await;
    let noise = async {
        for round in 0..40 {
            let body = json!({"name": format!("N{round}")});
            let path = format!("/trunks/{theirs}");
            let all = (0..4).map(|_| b.send("PATCH", &path, Some(body.clone())));
            futures_util::future::join_all(all).await;
        }
    };
    let changes = async {
        for round in 0..10 {
            let addresses = if round % 2 == 0 { json!([CALLER]) } else { json!([]) };
            let (status, body) =
                a.send("PATCH", &format!("/trunks/{mine}"), Some(json!({"allowed_addresses": addresses}))).await;
            assert_eq!(status, 200, "{body}");
            let (mut call, answer) = peer.invite(&TestInvite { user: NUMBER_A, ..TestInvite::default() }).await;
            assert_eq!(call.status, if round % 2 == 0 { 200 } else { 403 }, "{round}: {answer}");
            if call.status == 200 {
                peer.request(&mut call, "BYE", "").await;
            }
        }
    };
    tokio::join!(noise, changes);
}
