//! The SIP messages of a call, as they went over the wire, without secrets. All its legs stand in one list.

use serde::{Deserialize, Serialize};

/// Bytes of the texts of one call's messages. Those in the middle make room.
pub const SIP_LOG_BYTES_MAX: usize = 512 * 1_024;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SipDirection {
    /// The peer sent it.
    Received,
    /// We sent it.
    Sent,
}

/// A message of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipLogMessage {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Which way it went.
    pub direction: SipDirection,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: String,
    /// Our address and port.
    pub local: String,
    /// The peer's address and port.
    pub remote: String,
    /// Value of the Call-ID header.
    pub sip_call_id: String,
    /// Value of CSeq; empty if it cannot be read.
    pub cseq: String,
    /// Length on the wire, in bytes.
    pub length: usize,
    /// The text is only the beginning.
    pub is_cut: bool,
    /// How often the same message went the same way again.
    pub repetitions: u32,
    /// When it last did; `at_ms` without repetitions.
    pub last_at_ms: u64,
    /// The message, its secrets masked and its unprintable bytes escaped.
    pub text: String,
}

/// The messages of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipLog {
    /// In the order in which they went.
    pub messages: Vec<SipLogMessage>,
    /// Messages for which there was no room.
    pub left_out: u64,
    /// No more will come.
    pub is_complete: bool,
}

impl SipLogMessage {
    /// The first line.
    pub fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or("")
    }

    /// The status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        let mut words = self.start_line().split_ascii_whitespace();
        let version = words.next()?;
        let is_response = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
        words.next().filter(|_| is_response)?.parse().ok()
    }

    /// The method of a request, or that which a response answers; empty if it cannot be read.
    pub fn method(&self) -> &str {
        match self.status() {
            Some(_) => self.cseq.split_ascii_whitespace().nth(1).unwrap_or(""),
            None => self.start_line().split_ascii_whitespace().next().unwrap_or(""),
        }
    }
}

impl SipLog {
    /// Puts the messages into the order of their times, and leaves those in the middle out if all together are too long.
    pub fn arranged(mut self) -> Self {
        self.messages.sort_by_key(|message| message.at_ms);
        let first_max = SIP_LOG_BYTES_MAX / 5 * 3;
        let (mut first, mut bytes) = (0_usize, 0_usize);
        for message in &self.messages {
            let sum = bytes.saturating_add(message.text.len());
            if sum > first_max {
                break;
            }
            (first, bytes) = (first.saturating_add(1), sum);
        }
        let mut last = self.messages.len();
        for message in self.messages.iter().skip(first).rev() {
            let sum = bytes.saturating_add(message.text.len());
            if sum > SIP_LOG_BYTES_MAX {
                break;
            }
            (last, bytes) = (last.saturating_sub(1), sum);
        }
        self.left_out = self.left_out.saturating_add(self.messages.drain(first..last.max(first)).count() as u64);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(at_ms: u64, text: &str) -> SipLogMessage {
        SipLogMessage {
            at_ms,
            direction: SipDirection::Sent,
            transport: "udp".to_owned(),
            local: "192.0.2.1:5060".to_owned(),
            remote: "198.51.100.1:5060".to_owned(),
            sip_call_id: "a".to_owned(),
            cseq: "1 INVITE".to_owned(),
            length: text.len(),
            is_cut: false,
            repetitions: 0,
            last_at_ms: at_ms,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_start_line_says_method_and_status() {
        let request = message(0, "BYE sip:a@b SIP/2.0\r\nTo: x\r\n");
        assert_eq!((request.method(), request.status(), request.start_line()), ("BYE", None, "BYE sip:a@b SIP/2.0"));
        let response = message(0, "SIP/2.0 486 Busy Here\r\n");
        assert_eq!((response.method(), response.status()), ("INVITE", Some(486)));
        let hostile = message(0, "");
        assert_eq!((hostile.method(), hostile.status(), hostile.start_line()), ("", None, ""));
        assert_eq!(message(0, "SIP/2.0 abc").status(), None);
    }

    #[test]
    fn messages_of_all_legs_are_in_the_order_of_their_times_and_the_middle_makes_room() {
        let long = "x".repeat(SIP_LOG_BYTES_MAX / 10);
        let messages = (0..20).rev().map(|at| message(at, &long)).collect();
        let log = SipLog { messages, left_out: 2, is_complete: true }.arranged();
        let times: Vec<u64> = log.messages.iter().map(|message| message.at_ms).collect();
        assert_eq!(times, [0, 1, 2, 3, 4, 16, 17, 18, 19].map(|at| at as u64));
        assert_eq!(log.left_out, 13);
        let huge = SipLog { messages: vec![message(0, &long.repeat(11))], ..SipLog::default() }.arranged();
        assert_eq!((huge.messages.len(), huge.left_out), (0, 1));
    }
}
