//! Real connections, at moments that the test chooses.

use super::*;
use mio::Events;
use std::net::{TcpListener, TcpStream};

/// Nothing here takes as long as this on a machine that works at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// The port with one connection, which belongs to a call.
struct Port {
    poll: Poll,
    connections: IceTcpConnections,
    report: Arc<ConnectionCounters>,
    browser: TcpStream,
}

impl Port {
    fn new(now: Instant) -> Self {
        let poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let browser = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut listener = mio::net::TcpListener::from_std(listener);
        poll.registry().register(&mut listener, Token(9), Interest::READABLE).unwrap();
        let report = Arc::<ConnectionCounters>::default();
        let connections = IceTcpConnections::new(Some(listener), IceTcpLimits::default(), report.clone());
        let mut port = Self { poll, connections, report, browser };
        port.wait_for(Token(9));
        port.connections.accept(now, &port.poll);
        assert_eq!(port.report.open(), 1);
        port.connections.assign_to_slot(port.browser.local_addr().unwrap(), 0);
        port
    }

    /// Until something can be read there.
    fn wait_for(&mut self, token: Token) {
        let (mut events, give_up) = (Events::with_capacity(8), Instant::now() + PATIENCE);
        while !events.iter().any(|event| event.token() == token && event.is_readable()) {
            assert!(Instant::now() < give_up, "nothing came");
            self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
        }
    }

    /// How many packets are read at a moment.
    fn read(&mut self, now: Instant) -> usize {
        self.connections.read(now, &self.poll, 0, &mut [0; 2_000]).unwrap().1.len()
    }
}

#[test]
fn packets_keep_a_connection_open_and_silence_closes_it() {
    let start = Instant::now();
    let mut port = Port::new(start);
    let idle = IceTcpLimits::default().idle;
    let mut now = start;
    for _ in 0..4 {
        now += idle * 2 / 3;
        let mut bytes = Vec::new();
        tcp_framing::write_framed(&[0; 20], &mut bytes);
        port.browser.write_all(&bytes).unwrap();
        port.wait_for(Token(0));
        assert_eq!(port.read(now), 1);
        port.connections.sweep(now, &port.poll);
        assert_eq!(port.report.open(), 1);
    }
    assert_eq!(port.read(now + idle * 2 / 3), 0);
    port.connections.sweep(now + idle, &port.poll);
    assert_eq!(port.report.open(), 1);
    port.connections.sweep(now + idle + SWEEP_EVERY, &port.poll);
    assert_eq!((port.report.open(), port.report.closed_for(Closed::IdleTimeout)), (0, 1));
}
