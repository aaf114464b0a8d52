//! Connections over pipes: rates, eviction, keep-alives.

use super::*;
use crate::sip::user_agent::Transport;
use std::net::IpAddr;
use trunkline_connections::{ConnectionPool, PeerClass};
use trunkline_supervision::spawn;

const OPTIONS: &str = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\n\
    To: <sip:a@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

struct ConnectionTest {
    place: Arc<ConnectionGuard>,
    eviction: Option<Eviction>,
    theirs: tokio::io::DuplexStream,
    received: mpsc::Receiver<ConnectionEvent>,
    events: mpsc::Sender<ConnectionEvent>,
    queue: mpsc::Sender<OutboundMessage>,
    connections: Arc<ConnectionPool>,
}

fn address() -> TransportAddress {
    TransportAddress { transport: Transport::Tcp, addr: ([192, 0, 2, 9], 5_060).into() }
}

/// A connection that is being served.
fn running(standing: PeerClass) -> ConnectionTest {
    let limits = SipConnectionLimits::default();
    let connections =
        ConnectionPool::new(trunkline_connections::ConnectionCaps { total: 1, reserved: 0, ..limits.caps });
    let (place, eviction) = connections.open(IpAddr::from([192, 0, 2, 9]), standing, &Arc::default()).unwrap();
    let place = Arc::new(place);
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (events, received) = mpsc::channel(5_000);
    let (queue, outbound) = mpsc::channel(8);
    let peer =
        ConnectionPeer { address: address(), place: place.clone(), limits, is_ours: standing == PeerClass::Exempt };
    let told = events.clone();
    let serving = async move { run(ours, peer, outbound, &told).await };
    let (eviction, serving): (_, std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) = match standing {
        PeerClass::Exempt => {
            let evicted = until_evicted(place.clone(), eviction, events.clone(), address(), serving);
            (None, Box::pin(evicted))
        }
        _ => (Some(eviction), Box::pin(serving)),
    };
    spawn("test", serving);
    ConnectionTest { place, eviction, theirs, received, events, queue, connections }
}

#[tokio::test]
async fn unknown_peer_is_read_at_its_rate() {
    for (standing, count, at_least) in
        [(PeerClass::Stranger, 440, Duration::from_millis(350)), (PeerClass::Listed, 3_000, Duration::ZERO)]
    {
        let mut running = running(standing);
        let begun = Instant::now();
        running.theirs.write_all(OPTIONS.repeat(3_000).as_bytes()).await.unwrap();
        for _ in 0..count {
            let event = running.received.recv().await;
            assert!(
                matches!(event, Some(ConnectionEvent::Received { parsed: ParsedMessage::Message(_), .. })),
                "{event:?}"
            );
        }
        // Three thousand at a stranger's pace would take 26 seconds.
        let took = begun.elapsed();
        assert!(took >= at_least && took < Duration::from_secs(20), "{standing:?}: {took:?}");
        drop((running.eviction, running.events, running.place));
    }
}

#[tokio::test]
async fn outbound_connection_can_be_evicted() {
    let mut running = running(PeerClass::Exempt);
    let other = running.connections.open(IpAddr::from([192, 0, 2, 10]), PeerClass::Listed, &Arc::default());
    assert!(other.is_ok());
    let closed = timeout(Duration::from_secs(20), running.received.recv()).await;
    assert!(matches!(closed, Ok(Some(ConnectionEvent::Closed { .. }))), "{closed:?}");
    assert!(running.queue.is_closed(), "and nothing is put into its queue any more");
    assert_eq!(running.theirs.read(&mut [0; 8]).await.unwrap(), 0);
}

fn is_ping(event: Option<&ConnectionEvent>) -> bool {
    matches!(event, Some(ConnectionEvent::Received { parsed: ParsedMessage::KeepAlive { ping: true }, .. }))
}

/// pjsip/pjproject#5062: the two halves of a ping may come in two segments, and two pongs are no ping.
#[tokio::test(start_paused = true)]
async fn a_ping_in_two_segments_is_one_and_two_distant_line_ends_are_none() {
    for (pause_ms, wanted) in [(30, true), (4_000, true), (30_000, false)] {
        let mut running = running(PeerClass::Listed);
        running.theirs.write_all(b"\r\n").await.unwrap();
        let first = running.received.recv().await;
        assert!(!is_ping(first.as_ref()), "{first:?}");
        tokio::time::advance(Duration::from_millis(pause_ms)).await;
        running.theirs.write_all(b"\r\n").await.unwrap();
        let second = running.received.recv().await;
        assert_eq!(is_ping(second.as_ref()), wanted, "after {pause_ms} ms: {second:?}");
    }
}

/// Pings that arrive until the connection is closed, or a few minutes have passed; `answered` says which are answered.
async fn pings(running: &mut ConnectionTest, answered: impl Fn(usize) -> bool) -> (usize, bool) {
    let (begun, mut count, mut bytes) = (Instant::now(), 0, [0; 64]);
    while begun.elapsed() < Duration::from_secs(300) {
        match timeout(Duration::from_secs(60), running.theirs.read(&mut bytes)).await {
            Ok(Ok(0)) => return (count, true),
            Ok(Ok(length)) => {
                assert_eq!(&bytes[..length], b"\r\n\r\n");
                count += 1;
                if answered(count) {
                    running.theirs.write_all(b"\r\n").await.unwrap();
                }
            }
            other => panic!("{other:?}"),
        }
    }
    (count, false)
}

/// RFC 5626 section 4.4.1: a peer that answered pings and no longer does is gone; one that never did may not know them.
#[tokio::test(start_paused = true)]
async fn a_connection_of_ours_is_pinged_and_closed_when_its_peer_falls_silent() {
    let (count, closed) = pings(&mut running(PeerClass::Exempt), |_| true).await;
    assert!((10..=13).contains(&count) && !closed, "{count}");
    assert_eq!(pings(&mut running(PeerClass::Exempt), |ping| ping < 3).await, (3, true));
    assert!(!pings(&mut running(PeerClass::Exempt), |_| false).await.1);
}

/// A WebSocket that is being served, from the browser's side.
async fn websocket()
-> (WebSocketStream<tokio::io::DuplexStream>, mpsc::Receiver<ConnectionEvent>, Vec<Box<dyn std::any::Any>>) {
    let limits = SipConnectionLimits::default();
    let connections = ConnectionPool::new(limits.caps);
    let (place, eviction) = connections.open(IpAddr::from([192, 0, 2, 9]), PeerClass::Listed, &Arc::default()).unwrap();
    let peer = ConnectionPeer { address: address(), place: Arc::new(place), limits, is_ours: false };
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (events, received) = mpsc::channel(100);
    let (queue, outbound) = mpsc::channel(8);
    let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
    let socket = WebSocketStream::from_raw_socket(ours, role, None).await;
    spawn("test", async move { run_websocket(socket, peer, outbound, &events).await });
    let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
    let client = WebSocketStream::from_raw_socket(theirs, role, None).await;
    (client, received, vec![Box::new(connections), Box::new(eviction), Box::new(queue)])
}

/// emiago/sipgo#327: proxies cut a WebSocket that is silent for a minute.
#[tokio::test(start_paused = true)]
async fn an_idle_websocket_is_pinged_and_closed_without_a_pong() {
    let (mut client, _received, _kept) = websocket().await;
    let mut last = Instant::now();
    for _ in 0..20 {
        // The library answers with a pong.
        let frame = timeout(Duration::from_secs(31), client.next()).await;
        assert!(matches!(frame, Ok(Some(Ok(Frame::Ping(_))))), "{frame:?}");
        client.flush().await.unwrap();
        let interval = last.elapsed().as_secs();
        assert!((20..=30).contains(&interval), "{interval} s");
        last = Instant::now();
    }
    // Its peer is gone without a word.
    let (mut client, _received, _kept) = websocket().await;
    let begun = Instant::now();
    assert!(timeout(Duration::from_secs(60), std::future::pending::<()>()).await.is_err());
    let mut frames = Vec::new();
    while let Some(Ok(frame)) = client.next().await {
        frames.push(frame);
    }
    assert_eq!(frames.iter().filter(|frame| frame.is_ping()).count(), 1, "{frames:?} in {:?}", begun.elapsed());
}
