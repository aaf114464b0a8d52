//! Organizations below others: their use counts for the root, and a parent has the last word.

use super::{limit, own_id, ring, ring_from};
use crate::support::{LoggedInUser, Server, agent, until};
use futures_util::future::join_all;
use serde_json::{Value, json};
use trunkline_lab::caller::softphone::Softphone;

/// An organization below the server's, with an owner, a key, a number and a trunk for a separate phone.
struct ChildOrganization {
    id: String,
    key: String,
    owner: LoggedInUser,
    phone: Softphone,
}

async fn child(server: &Server, person: &LoggedInUser, parent: &str, name: &str, limits: Value) -> ChildOrganization {
    let email = format!("{name}@example.com");
    let mut body = json!({"name": name, "parent_org_id": parent, "owner_email": email});
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    let made = person.done("POST", "/organizations", Some(body)).await;
    let accept = json!({"token": made["invitation_token"], "name": name, "password": "a password of some length"});
    let accepted = server.http.post(server.url("/invitations/accept")).json(&accept).send().await.unwrap();
    assert_eq!(accepted.status(), 201);
    let octet = 10 + name.bytes().map(u32::from).sum::<u32>() % 200;
    let addr = format!("127.0.0.{octet}:0").parse().unwrap();
    ChildOrganization {
        id: made["organization"]["id"].as_str().unwrap().to_owned(),
        key: made["api_key"]["key"].as_str().unwrap().to_owned(),
        owner: LoggedInUser::log_in(server, &email, "a password of some length").await,
        phone: Softphone::open(addr, (46_000, 47_998)).await.unwrap().0,
    }
}

impl ChildOrganization {
    async fn send(&self, server: &Server, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = server.http.request(method.parse().unwrap(), server.url(path)).bearer_auth(&self.key);
        let answer = request.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn number(&self, server: &Server, number: &str) {
        let made = self.send(server, "POST", "/agents", agent()).await.1["data"]["agent"]["id"].clone();
        let address = self.phone.sip.local_udp().ip().to_string();
        let trunk = self.send(server, "POST", "/trunks", json!({"name": "T", "allowed_addresses": [address]})).await;
        let number = json!({"number": number, "agent_id": made, "trunk_id": trunk.1["data"]["trunk"]["id"]});
        assert_eq!(self.send(server, "POST", "/phone-numbers", number).await.0, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_child_uses_counts_for_its_root() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let one = child(&server, &owner, &root, "one", json!({})).await;
    let two = child(&server, &one.owner, &one.id, "two", json!({})).await;
    one.number(&server, "+31207654321").await;
    two.number(&server, "+31207654322").await;
    limit(&server, json!({"max_concurrent_calls": 2})).await;
    let of_two = ring_from(&server, &two.phone, "+31207654322").await;
    let of_one = ring_from(&server, &one.phone, "+31207654321").await;
    assert_eq!((of_two.status, of_one.status), (200, 200));
    assert_eq!(ring_from(&server, &two.phone, "+31207654322").await.status, 486, "the root's two are taken");
    assert_eq!(ring(&server).await.status, 486);
    two.phone.sip.hang_up(of_two.call).await;
    until("a line is free", || async { (server.app.services.admission.held() == 1).then_some(()) }).await;
    assert_eq!(ring(&server).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_lifts_nothing_that_its_parent_has_set() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let one = child(&server, &owner, &root, "one", json!({"max_spend_per_day": 5, "max_concurrent_calls": 4})).await;
    let own = format!("/organizations/{}", one.id);
    let refused = |answer: (u16, Value), field: &str| {
        let said = (answer.0, answer.1["details"]["code"].clone(), answer.1["details"]["field"].clone());
        assert_eq!(said, (403, json!("limit_of_parent"), json!(field)));
    };
    for (field, bad) in [
        ("max_spend_per_day", json!(null)),
        ("max_spend_per_day", json!(5.01)),
        ("max_concurrent_calls", json!(null)),
        ("max_concurrent_calls", json!(100_000)),
    ] {
        refused(one.owner.send("PATCH", &own, Some(json!({field: bad}))).await, field);
        // Beside a change that is allowed as well: all or nothing.
        refused(one.owner.send("PATCH", &own, Some(json!({"name": "x", field: bad}))).await, field);
    }
    assert_eq!(one.owner.done("GET", &own, None).await["organization"]["name"], json!("one"));
    one.owner.done("PATCH", &own, Some(json!({"max_concurrent_calls": 3, "calls_per_second": 1}))).await;
    refused(one.owner.send("PATCH", &own, Some(json!({"max_concurrent_calls": 4}))).await, "max_concurrent_calls");
    // The organization cannot be moved, and cannot name another payer.
    for field in ["parent_org_id", "billing_org_id", "id", "quotas", "settings"] {
        let (status, body) = one.owner.send("PATCH", &own, Some(json!({field: null}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
    }
    assert_eq!(one.owner.send("PATCH", &format!("/organizations/{root}"), Some(json!({"name": "x"}))).await.0, 404);
    // Its child has at most the limits of its parent, no matter who sets them.
    let over = json!({"name": "two", "parent_org_id": one.id, "max_concurrent_calls": 9});
    refused(one.owner.send("POST", "/organizations", Some(over)).await, "max_concurrent_calls");
    let two = child(&server, &one.owner, &one.id, "two", json!({})).await;
    let below = format!("/organizations/{}", two.id);
    refused(one.owner.send("PATCH", &below, Some(json!({"max_spend_per_day": 6}))).await, "max_spend_per_day");
    refused(owner.send("PATCH", &below, Some(json!({"max_spend_per_day": 6}))).await, "max_spend_per_day");
    one.owner.done("PATCH", &below, Some(json!({"max_spend_per_day": 4}))).await;
    refused(two.owner.send("PATCH", &below, Some(json!({"max_spend_per_day": null}))).await, "max_spend_per_day");
    // The parent lifts it, and not over its own.
    limit(&server, json!({"max_concurrent_calls": 50})).await;
    refused(owner.send("PATCH", &own, Some(json!({"max_concurrent_calls": 51}))).await, "max_concurrent_calls");
    owner.done("PATCH", &own, Some(json!({"max_concurrent_calls": 50, "max_spend_per_day": null}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn families_have_limits_and_organizations_need_a_parent() {
    let server = Server::start_with(|config| config.quotas.organizations = 5).await;
    let owner = LoggedInUser::owner(&server).await;
    for body in [json!({"name": "free"}), json!({"name": "free", "parent_org_id": null})] {
        let (status, body) = owner.send("POST", "/organizations", Some(body)).await;
        assert_eq!((status, &body["details"]["code"]), (403, &json!("parent_required")), "{body}");
    }
    let mut parent = own_id(&owner).await;
    for level in 2..=4 {
        let body = json!({"name": format!("level {level}"), "parent_org_id": parent});
        let made = owner.done("POST", "/organizations", Some(body)).await;
        parent = made["organization"]["id"].as_str().unwrap().to_owned();
    }
    let (status, body) =
        owner.send("POST", "/organizations", Some(json!({"name": "level 5", "parent_org_id": parent}))).await;
    assert_eq!((status, &body["details"]["field"]), (403, &json!("parent_org_id")), "{body}");
    // Four there are; of many who ask at once one gets the fifth.
    let root = own_id(&owner).await;
    let all = join_all((0..8).map(|n| {
        owner.send("POST", "/organizations", Some(json!({"name": format!("more {n}"), "parent_org_id": root})))
    }))
    .await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 201).count(), 1, "{all:?}");
    let (_, body) = all.iter().find(|(status, _)| *status == 403).unwrap();
    assert_eq!(
        (&body["details"]["code"], &body["details"]["limit"]),
        (&json!("quota_exceeded"), &json!("organizations"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parent_and_child_who_change_at_once_the_parent_has_the_last_word() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let one = child(&server, &owner, &root, "one", json!({"max_concurrent_calls": 10})).await;
    let path = format!("/organizations/{}", one.id);
    for max in (1..10).rev() {
        // The child writes what it has just read, the parent lowers it meanwhile.
        let lower = owner.done("PATCH", &path, Some(json!({"max_concurrent_calls": max})));
        let touch = one.owner.send("PATCH", &path, Some(json!({"name": format!("one {max}")})));
        tokio::join!(lower, touch);
        let now = owner.done("GET", &path, None).await["organization"]["max_concurrent_calls"].clone();
        assert_eq!(now, json!(max));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_do_not_multiply_what_their_root_may_hold() {
    let server = Server::start_with(|config| config.quotas.trunks = 1).await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let mut made = 1; // the server's organization
    for n in 0..12 {
        let child = json!({"name": format!("c{n}"), "parent_org_id": root});
        let key = owner.done("POST", "/organizations", Some(child)).await["api_key"]["key"].clone();
        let request = server.http.post(server.url("/trunks")).bearer_auth(key.as_str().unwrap());
        let answer = request.json(&json!({"name": "T"})).send().await.unwrap();
        made += usize::from(answer.status() == 201);
    }
    assert_eq!(made, 10, "ten times what one organization may");
}
