//! The browsers' port for media over TCP.

use super::{all_end, brisk, counted, from};
use crate::support::{Server, until};
use trunkline_connections::Closed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_connections_say_whom_they_are_for_or_end() {
    let server = Server::start_with(brisk).await;
    let to = server.app.services.media.workers.host_candidates().unwrap().tcp[0];
    // A connectivity check for an unknown call: 20 bytes of header, USERNAME "nobody:x".
    let check = b"\x00\x20\x00\x01\x00\x0c\x21\x12\xa4\x42aaaaaaaaaaaa\x00\x06\x00\x08nobody:x";
    all_end(
        to,
        &[
            ("silence", b"", 0),
            ("half a length", b"\x00", 0),
            ("half a packet", b"\x00\x64\x00\x01", 0),
            ("signs of life", b"\x00\x00\x00\x00\x00\x00\x00\x00", 0),
            ("tiny packets", b"\x00\x01x\x00\x01x", b'x'),
            ("a packet that is too large", b"\xff\xff\x00\x01", 0),
            ("check of an unknown call", check, 0),
            ("sound before a check", b"\x00\x0c\x80\x00aaaaaaaaaa", 0),
            ("HTTP", b"GET / HTTP/1.1\r\n\r\n", b'G'),
        ],
    )
    .await;
    let report = server.app.services.media.workers.webrtc_tcp_report();
    for why in [Closed::FirstMessageTimeout, Closed::Malformed] {
        assert!(counted(report, why) > 0, "{} is not counted", why.name());
    }
    assert_eq!(report.open(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_at_the_browsers_port_make_room() {
    let server = Server::start_with(|config| {
        let web = &mut config.webrtc.connections;
        (web.connections_max, web.connections_per_address) = (16, 4);
    })
    .await;
    let to = server.app.services.media.workers.host_candidates().unwrap().tcp[0];
    let mut silent = vec![];
    for n in 0..100 {
        silent.push(from(&format!("127.0.0.{}:0", 9 + n % 10), to).await);
    }
    until("eviction", async || {
        let report = server.app.services.media.workers.webrtc_tcp_report();
        (counted(report, Closed::Evicted) >= 84 && report.open() <= 16).then_some(())
    })
    .await;
}
