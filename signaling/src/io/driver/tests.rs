//! The SIP task with panics, lost owners and full queues.

use super::state::{IncomingCall, SipDriver};
use crate::io::connection_limits::{SipConnectionLimits, SipConnectionReports};
use crate::io::dns::DnsCache;
use crate::io::handle::{ServiceCommand, SipCommand};
use crate::io::listener::{ListenerContext, TrunkAllowLists};
use crate::io::message_recorder::MessageRecorder;
use crate::io::open_connections::OpenConnections;
use crate::io::self_checks::{CHECK_ADDR, CHECK_TRANSPORT, InternalWork, SelfChecks};
use crate::io::tls::TlsCertificates;
use crate::limits;
use crate::sip::end_cause::EndCause;
use crate::sip::message::parse;
use crate::sip::transport::{ConnectionChoice, Transmit, TransmitTarget, Transport, TransportAddress};
use crate::sip::user_agent::{ChallengeAlgorithms, DestinationPolicy, InboundTrunk};
use crate::sip::user_agent::{SipEvent, UserAgent, UserAgentConfig};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use trunkline_connections::ConnectionPool;

const SOURCE: ([u8; 4], u16) = ([192, 0, 2, 7], 5_060);

struct DriverTest {
    driver: SipDriver,
    incoming: mpsc::Receiver<IncomingCall>,
}

fn config() -> UserAgentConfig {
    let allow = vec![IpAddr::from([192, 0, 2, 7]).into()];
    UserAgentConfig {
        advertised: IpAddr::from([127, 0, 0, 1]),
        advertised_other: None,
        udp_port: 5_060,
        tcp_port: 5_060,
        tls_port: None,
        ws_port: None,
        user_agent: "test".into(),
        realm: "test".into(),
        calls_max: 10,
        retry_after_s: 1,
        session_expires_s: 0,
        destinations: DestinationPolicy::allow_all(),
        trunks: vec![InboundTrunk {
            id: "t".into(),
            allow,
            credentials: None,
            algorithms: ChallengeAlgorithms::Automatic,
            accept_refer: false,
        }],
    }
}

async fn running() -> DriverTest {
    let (stream_events, _) = mpsc::channel(8);
    let (incoming, calls) = mpsc::channel(8);
    let (registrations, _) = mpsc::channel(8);
    let (resolved, _) = mpsc::channel(8);
    let driver = SipDriver {
        user_agent: UserAgent::new(Instant::now(), config(), [7; 32]),
        udp: Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
        streams: OpenConnections::default(),
        admission: ListenerContext {
            connections: ConnectionPool::new(SipConnectionLimits::default().caps),
            reports: SipConnectionReports::default(),
            lists: TrunkAllowLists::default(),
            limits: SipConnectionLimits::default(),
            events: stream_events,
        },
        certificates: TlsCertificates::none(),
        calls: HashMap::new(),
        unclaimed_events: HashMap::new(),
        incoming,
        registrations,
        names: DnsCache::new(None),
        resolved,
        ack_lookups: Arc::new(Semaphore::new(limits::ACK_LOOKUPS_MAX)),
        self_checks: SelfChecks::default(),
        messages: MessageRecorder::new(&config()),
    };
    DriverTest { driver, incoming: calls }
}

fn message(method: &str, call: &str) -> String {
    format!(
        "{method} sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{method}{call}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:2@192.0.2.7>;tag={call}\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: {call}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:2@192.0.2.7:5060>\r\nContent-Length: 0\r\n\r\n"
    )
}

impl DriverTest {
    fn hear(&mut self, text: &str) {
        let (now, bytes) = (Instant::now(), text.as_bytes());
        self.driver.handle_datagram_contained(now, bytes, |driver| {
            driver.user_agent.handle_datagram(now, SOURCE.into(), bytes)
        });
        self.driver.run_internal(InternalWork::Output, SipDriver::flush);
    }

    fn call(&mut self, id: &str) -> IncomingCall {
        self.hear(&message("INVITE", id));
        self.incoming.try_recv().unwrap()
    }

    fn check(&mut self) -> Option<u16> {
        let (reply, mut answer) = oneshot::channel();
        self.driver.run_contained(None, |driver| {
            driver.handle_command(SipCommand::Service(ServiceCommand::SelfCheck { reply }))
        });
        self.driver.run_internal(InternalWork::Output, SipDriver::flush);
        answer.try_recv().ok()
    }
}

#[tokio::test]
async fn a_request_in_a_datagram_is_answered() {
    let mut running = running().await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    phone.connect(running.driver.udp.local_addr().unwrap()).await.unwrap();
    let ours = format!("{};rport;", phone.local_addr().unwrap());
    phone.send(message("OPTIONS", "x").replace("192.0.2.7:5060;", &ours).as_bytes()).await.unwrap();
    let mut buffer = [0; 2_000];
    running.driver.udp.clone().readable().await.unwrap();
    running.driver.receive(&mut buffer);
    running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    let length = timeout(Duration::from_secs(20), phone.recv(&mut buffer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&buffer[..length]);
    assert!(answer.starts_with("SIP/2.0 ") && answer.contains("\r\nCall-ID: x\r\n"), "{answer}");
}

#[tokio::test]
async fn panicking_message_ends_only_its_call() {
    let mut running = running().await;
    let (mut first, mut second) = (running.call("first"), running.call("second"));
    let bytes = message("INFO", "first");
    running.driver.handle_datagram_contained(Instant::now(), bytes.as_bytes(), |_| panic!("on purpose"));
    running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    let ended = first.events.try_recv();
    assert!(matches!(ended, Ok(SipEvent::Ended { cause: EndCause::InternalError, .. })), "{ended:?}");
    assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
    assert_eq!((running.driver.user_agent.calls(), running.check()), (1, Some(200)));
    // The same for a command of a call's owner.
    let call = second.incoming.call;
    running.driver.run_contained(Some(call), |_| panic!("on purpose"));
    running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    assert!(matches!(second.events.try_recv(), Ok(SipEvent::Ended { cause: EndCause::InternalError, .. })));
    // A panic on garbage ends no call.
    running.driver.handle_datagram_contained(Instant::now(), b"\xff\xfe", |_| panic!("on purpose"));
    assert_eq!((running.driver.user_agent.calls(), running.check()), (0, Some(200)));
    assert!(!running.driver.self_checks.must_stop());
}

#[tokio::test]
async fn repeated_internal_panics_stop_the_task() {
    let mut running = running().await;
    for round in 0..20 {
        running.driver.run_internal(InternalWork::Timer, |_| assert!(round % 7 == 6, "on purpose"));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        assert!(!running.driver.self_checks.must_stop(), "{round}");
    }
    for _ in 0..8 {
        running.driver.run_internal(InternalWork::Timer, |_| panic!("on purpose"));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    }
    assert!(running.driver.self_checks.must_stop(), "successful sending does not reset the count of timer panics");
}

#[tokio::test]
async fn call_without_owner_is_rejected() {
    let mut running = running().await;
    let (first, mut second) = (running.call("first"), running.call("second"));
    drop(first); // its task has panicked
    // A command that is waiting may be its last, which ends the call in its own way.
    running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(1));
    running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(9));
    assert_eq!(running.driver.user_agent.calls(), 2);
    running.driver.self_checks.commands += 1;
    running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(9));
    running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    assert_eq!((running.driver.user_agent.calls(), running.driver.calls.len()), (1, 1));
    assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
    // A panic has destroyed the session: the owner of the call is notified.
    let call = second.incoming.call;
    running.driver.run_contained(None, |driver| {
        driver.user_agent.forget_call(call);
        panic!("on purpose");
    });
    running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(0));
    assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
}

fn to_name(host: &str) -> Transmit {
    let target = TransmitTarget::Name { host: host.to_owned(), port: Some(5_060) };
    let bytes = Arc::from(&b"ACK"[..]);
    let connection = ConnectionChoice::Any;
    Transmit { transport: Transport::Udp, target, connection, bytes, transaction: None, server_name: None }
}

#[tokio::test]
async fn ack_lookups_are_bounded() {
    let mut running = running().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for n in 0..5_000 {
        running.driver.transmit(to_name(&format!("host{n}.invalid")));
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() - before;
    assert_eq!((tasks, running.driver.ack_lookups.available_permits()), (limits::ACK_LOOKUPS_MAX, 0));
}

#[tokio::test]
async fn reply_never_opens_a_connection() {
    let mut running = running().await;
    for port in 1..200 {
        let peer = TransportAddress { transport: Transport::Tcp, addr: ([192, 0, 2, 8], port).into() };
        let text = message("OPTIONS", &format!("gone{port}")).replace("/UDP", "/TCP");
        running.driver.handle_stream_contained(Instant::now(), peer, parse::datagram(text.as_bytes()));
        running.driver.handle_stream_contained(Instant::now(), peer, parse::datagram(b"\r\n\r\n"));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    }
    assert_eq!(running.driver.streams.len(), 0);
    // A request of ours does.
    let bytes = Arc::from(message("OPTIONS", "ours").as_bytes());
    let target = TransmitTarget::Addr(([127, 0, 0, 1], 9).into());
    let transport = Transport::Tcp;
    let connection = ConnectionChoice::Any;
    running.driver.transmit(Transmit { transport, target, connection, bytes, transaction: None, server_name: None });
    assert_eq!(running.driver.streams.len(), 1);
}

/// RFC 5922 section 4: a connection is as good as the name that its certificate was checked for.
#[tokio::test]
async fn requests_to_two_names_at_one_address_share_a_connection_only_without_tls() {
    let two = [Some("one.example"), Some("two.example")];
    for (transport, names) in [(Transport::Tls, &two[..]), (Transport::Tcp, &[None])] {
        let mut running = running().await;
        let peer = TransportAddress { transport, addr: ([127, 0, 0, 1], 9).into() };
        for host in ["one.example", "two.example", "one.example"] {
            running.driver.transmit(Transmit {
                transport,
                target: TransmitTarget::Addr(peer.addr),
                connection: ConnectionChoice::Any,
                bytes: Arc::from(message("OPTIONS", host).as_bytes()),
                transaction: None,
                server_name: Some(host.into()),
            });
        }
        let opened: Vec<_> = running.driver.streams.all(&peer).map(|stream| stream.server_name.as_deref()).collect();
        assert_eq!(opened, names, "{transport:?}");
    }
}

/// RFC 3261 section 18.2.2.
#[tokio::test]
async fn a_response_in_a_transaction_opens_one_connection_if_its_own_is_gone() {
    let mut running = running().await;
    let elsewhere = ConnectionChoice::OpenElse(([127, 0, 0, 1], 9).into());
    for (transport, connection, wanted) in [
        (Transport::Tcp, ConnectionChoice::OpenOnly, 0),
        (Transport::Ws, elsewhere, 0),
        (Transport::Tcp, elsewhere, 1),
        (Transport::Tcp, elsewhere, 1),
    ] {
        let bytes = Arc::from(&b"SIP/2.0 200 OK\r\n\r\n"[..]);
        let target = TransmitTarget::Addr(([127, 0, 0, 1], 41_000).into());
        running.driver.transmit(Transmit {
            transport,
            target,
            connection,
            bytes,
            transaction: None,
            server_name: None,
        });
        assert_eq!(running.driver.streams.len(), wanted, "{transport:?} {connection:?}");
    }
    let peer = TransportAddress { transport: Transport::Tcp, addr: ([127, 0, 0, 1], 9).into() };
    assert!(running.driver.streams.all(&peer).next().is_some());
}

#[tokio::test]
async fn other_messages_to_check_address_are_ignored() {
    let mut running = running().await;
    let (reply, mut answer) = oneshot::channel();
    let probe = running.driver.self_checks.start_check(reply);
    for text in
        [message("OPTIONS", "x"), message("OPTIONS", "x").replace("OPTIONS sip:1@127.0.0.1 SIP/2.0", "SIP/2.0 404 No")]
    {
        let (target, bytes) = (TransmitTarget::Addr(CHECK_ADDR), Arc::from(text.as_bytes()));
        let (transport, server_name) = (CHECK_TRANSPORT, None);
        let connection = ConnectionChoice::Any;
        running.driver.transmit(Transmit { transport, target, connection, bytes, transaction: None, server_name });
    }
    assert!(answer.try_recv().is_err());
    let now = Instant::now();
    running.driver.user_agent.handle_parsed(now, CHECK_TRANSPORT, CHECK_ADDR, parse::datagram(probe.as_bytes()));
    running.driver.run_internal(InternalWork::Output, SipDriver::flush);
    assert_eq!(answer.try_recv(), Ok(200));
}

#[tokio::test]
async fn state_is_repaired_after_panic() {
    let mut running = running().await;
    // The second one so soon behind the first that the next sweep has to do it.
    for (round, by_sweep) in [false, true].into_iter().enumerate() {
        let mut call = running.call(&format!("call{round}"));
        let now = Instant::now();
        running.driver.handle_datagram_contained(now, b"garbage", |driver| {
            driver.user_agent.forget_transactions();
            panic!("on purpose");
        });
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        if by_sweep {
            assert!(matches!(call.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
            running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(0));
            running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        }
        let ended = call.events.try_recv();
        assert!(matches!(ended, Ok(SipEvent::Ended { cause: EndCause::InternalError, .. })), "{ended:?}");
        assert_eq!((running.driver.user_agent.held_counts(), running.check()), ((0, 0, 0), Some(200)));
    }
}

#[tokio::test]
async fn self_checks_leave_no_state() {
    let mut running = running().await;
    for _ in 0..1_000 {
        assert_eq!(running.check(), Some(200));
    }
    let later = Instant::now() + Duration::from_secs(1);
    running.driver.user_agent.handle_timeout(later);
    assert_eq!(running.driver.user_agent.held_counts(), (0, 0, 0));
}
