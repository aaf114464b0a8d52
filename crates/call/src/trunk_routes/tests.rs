//! Order of targets, hops, credentials and registrations of trunks.

use super::*;
use crate::domain::ids::OrganizationId;
use crate::domain::time::UnixMs;
use serde_json::{Value, json};

fn fields(settings: Value) -> TrunkFields {
    let mut all = json!({"name": "Carrier"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn trunk(settings: Value) -> Trunk {
    Trunk::new(OrganizationId::new(), fields(settings), UnixMs(0))
}

fn target(host: &str, priority: u16, weight: u16) -> TrunkTarget {
    TrunkTarget { host: host.into(), port: None, transport: None, priority, weight }
}

fn hosts(targets: Vec<TrunkTarget>) -> Vec<String> {
    targets.into_iter().map(|target| target.host).collect()
}

#[test]
fn targets_that_are_down_go_last_and_priorities_decide_among_the_others() {
    let all = vec![target("third", 20, 100), target("down", 0, 100), target("first", 0, 100), target("second", 10, 0)];
    let ordered = order_targets(all, |target| target.host == "down", |_| 0);
    assert_eq!(hosts(ordered), ["first", "second", "third", "down"]);
}

#[test]
fn among_equals_the_weight_decides_how_often_a_target_is_first() {
    let all = || vec![target("a", 0, 29), target("b", 0, 69), target("none", 0, 0)];
    let count = |host: &str| {
        let draws = (0..101).map(|drawn| {
            let mut left = Some(drawn);
            hosts(order_targets(all(), |_| false, move |_| left.take().unwrap_or(0)))[0].clone()
        });
        draws.filter(|first| first == host).count()
    };
    assert_eq!((count("a"), count("b"), count("none")), (30, 70, 1), "one more than its weight each");
}

#[test]
fn a_draw_is_asked_for_within_the_weights_that_are_left() {
    let mut asked = Vec::new();
    let all = vec![target("a", 0, 9), target("b", 0, 4), target("c", 1, 2)];
    let _ = order_targets(
        all,
        |_| false,
        |total| {
            asked.push(total);
            total - 1
        },
    );
    assert_eq!(asked, [15, 10, 3]);
}

#[test]
fn a_name_without_a_port_may_choose_another_transport_than_udp() {
    let hop =
        |port, transport| target_address(&TrunkTarget { port, transport, ..target("sip.example", 0, 0) }).transport;
    assert_eq!(hop(None, Some(TrunkTransport::Udp)), None);
    assert_eq!(hop(Some(5_060), Some(TrunkTransport::Udp)), Some(Transport::Udp));
    assert_eq!(hop(None, Some(TrunkTransport::Tls)), Some(Transport::Tls));
    assert_eq!(label(&TrunkTarget { port: Some(5_070), ..target("a", 0, 0) }), "a:5070");
    assert_eq!(label(&target("a", 0, 0)), "a");
}

#[test]
fn a_proxy_is_the_only_hop_and_the_route_names_its_transport() {
    let proxied = fields(json!({"host": "carrier.example", "outbound_proxy": "sbc.example:5080;transport=tcp"}));
    let (hop, route) = proxy_hop(&proxied).unwrap();
    assert_eq!(hop, NextHop { host: "sbc.example".into(), port: Some(5_080), transport: Some(Transport::Tcp) });
    assert_eq!(route, "<sip:sbc.example:5080;transport=tcp;lr>");
    let plain = fields(json!({"outbound_proxy": "sbc.example"}));
    assert_eq!(proxy_hop(&plain).unwrap().1, "<sip:sbc.example;lr>");
    assert!(proxy_hop(&fields(json!({}))).is_none());
}

#[test]
fn credentials_are_for_targets_proxy_and_registrar_alone() {
    let all = fields(json!({"host": "a.example", "targets": [{"host": "b.example", "port": 5070}], "username": "u",
        "password": "p", "outbound_proxy": "sbc.example", "registrar": "reg.example"}));
    let bound = bound_credentials(&all).unwrap();
    let hosts: Vec<_> = bound.hosts.iter().map(|hop| hop.host.as_str()).collect();
    assert_eq!(hosts, ["a.example", "b.example", "sbc.example", "reg.example"]);
    assert_eq!(bound.credentials.username, "u");
    assert!(bound_credentials(&fields(json!({"host": "a.example"}))).is_none());
}

#[test]
fn a_trunk_registers_with_its_registrar_at_its_targets() {
    let settings = json!({"host": "a.example", "port": 5070, "username": "u", "password": "p", "register": true});
    let own = trunk(settings.clone());
    let config = registration(&own).unwrap();
    assert_eq!(
        (config.registrar.to_string(), config.aor.to_string()),
        ("sip:a.example:5070".into(), "sip:u@a.example".into())
    );
    assert_eq!((config.expires_s, config.hops[0].host.as_str()), (300, "a.example"));
    assert_eq!(registration(&own).unwrap().contact_user, config.contact_user, "the same after a restart");
    assert_eq!((config.contact_user.len(), config.contact_user.starts_with('t')), (21, true));
    let with = |more: Value| {
        let mut all = settings.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        registration(&trunk(all))
    };
    let elsewhere = with(json!({"registrar": "reg.example", "register_expires_s": 60})).unwrap();
    assert_eq!(
        (elsewhere.registrar.to_string(), elsewhere.expires_s),
        ("sip:reg.example".into(), 60),
        "not with the host's port"
    );
    let proxied = with(json!({"outbound_proxy": "sbc.example"})).unwrap();
    assert_eq!(proxied.hops.iter().map(|hop| hop.host.as_str()).collect::<Vec<_>>(), ["sbc.example"]);
    assert!(with(json!({"register": false})).is_none() && with(json!({"password": null})).is_none());
}

#[test]
fn networks_without_consent_are_ignored_and_reported() {
    let wide: IpNet = "10.0.0.0/8".parse().unwrap();
    let open = trunk(json!({"allowed_addresses": ["192.0.2.7", "10.0.0.0/8"], "inbound_username": "u",
        "inbound_password": "p", "accept_refer": true}));
    let (rule, too_wide) = inbound_rule(&open, &[]);
    assert_eq!((rule.allow.len(), too_wide), (1, Some(wide)));
    assert_eq!(rule.credentials.map(|own| own.username).as_deref(), Some("u"));
    assert!(rule.accept_refer);
    assert_eq!(inbound_rule(&open, &[wide]).1, None);
    let refused = check_networks(&open.fields, &[]).unwrap_err();
    assert_eq!(refused.field, "allowed_addresses");
    assert!(
        refused.message.starts_with("10.0.0.0/8 makes them too wide") && check_networks(&open.fields, &[wide]).is_ok()
    );
}
