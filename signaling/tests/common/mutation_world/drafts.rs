//! Good messages of a peer, to be put wrong.

use super::*;

impl TestWorld {
    pub fn initial(&self, at: usize) -> MessageDraft {
        let peer = &self.peers[at];
        let (ip, branch) = (peer.addr.ip(), &peer.invite_branch);
        MessageDraft::new(
            "INVITE sip:+31201234567@10.9.9.9 SIP/2.0",
            &[
                ("Via", &format!("SIP/2.0/UDP {ip}:5060;branch={branch};rport")),
                ("Max-Forwards", "70"),
                ("From", &format!("\"A\" <sip:a@{ip}>;tag={}", peer.tag)),
                ("To", "<sip:+31201234567@10.9.9.9>"),
                ("Call-ID", &peer.call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", &format!("<sip:a@{ip}:5060>")),
                ("Supported", "100rel, timer"),
                ("Allow", "INVITE, UPDATE"),
                ("Content-Type", "application/sdp"),
            ],
            SDP,
        )
    }

    /// A good request of the peer's, inside its dialog where there is one.
    pub fn request(&mut self, at: usize, method: &str) -> MessageDraft {
        let rseq =
            self.peers[at].heard.iter().rev().map(|text| header(text, "RSeq").to_owned()).find(|v| !v.is_empty());
        let peer = &mut self.peers[at];
        let is_first = matches!(method, "ACK" | "CANCEL");
        if !is_first {
            peer.cseq += 1;
        }
        let number = if is_first { 1 } else { peer.cseq };
        let ip = peer.addr.ip();
        let branch = match method {
            "CANCEL" => peer.invite_branch.clone(),
            _ => format!("z9hG4bK{method}{at}.{number}"),
        };
        let to = if peer.their_tag.is_empty() || method == "CANCEL" {
            "<sip:+31201234567@10.9.9.9>".to_owned()
        } else {
            format!("<sip:+31201234567@10.9.9.9>;tag={}", peer.their_tag)
        };
        let rack = format!("{} 1 INVITE", rseq.unwrap_or_else(|| "1".to_owned()));
        let mut headers = vec![
            ("Via", format!("SIP/2.0/UDP {ip}:5060;branch={branch};rport")),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("\"A\" <sip:a@{ip}>;tag={}", peer.tag)),
            ("To", to),
            ("Call-ID", peer.call_id.clone()),
            ("CSeq", format!("{number} {method}")),
            ("Contact", format!("<sip:a@{ip}:5060>")),
        ];
        match method {
            "PRACK" => headers.push(("RAck", rack)),
            "REFER" => headers.push(("Refer-To", "<sip:b@10.0.0.7>".to_owned())),
            "NOTIFY" => headers.extend([
                ("Event", "refer".to_owned()),
                ("Subscription-State", "active".to_owned()),
                ("Content-Type", "message/sipfrag".to_owned()),
            ]),
            "INFO" => headers.push(("Content-Type", "application/dtmf-relay".to_owned())),
            "INVITE" | "UPDATE" => headers.push(("Content-Type", "application/sdp".to_owned())),
            _ => {}
        }
        let body: &[u8] = match method {
            "INVITE" | "UPDATE" => SDP,
            "INFO" => b"Signal=5\r\n",
            "NOTIFY" => b"SIP/2.0 180 Ringing\r\n",
            _ => b"",
        };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        MessageDraft::new(&format!("{method} sip:+31201234567@10.9.9.9 SIP/2.0"), &headers, body)
    }

    /// A good answer to the last request that the endpoint sent to the peer.
    pub fn response(&self, at: usize, status: &str) -> MessageDraft {
        let peer = &self.peers[at];
        let sent = peer.heard.iter().rev().find(|text| !text.starts_with("SIP/2.0")).map_or("", String::as_str);
        let to = match header(sent, "To") {
            to if to.contains(";tag=") => to.to_owned(),
            to => format!("{to};tag={}", peer.tag),
        };
        let (ip, method) = (peer.addr.ip(), header(sent, "CSeq").split(' ').nth(1).unwrap_or(""));
        let with_sdp = method == "INVITE" && (status.starts_with('2') || status.starts_with("183"));
        let mut headers = vec![
            ("Via", header(sent, "Via").to_owned()),
            ("From", header(sent, "From").to_owned()),
            ("To", to),
            ("Call-ID", header(sent, "Call-ID").to_owned()),
            ("CSeq", header(sent, "CSeq").to_owned()),
            ("Contact", format!("<sip:callee@{ip}:5060>;expires=600")),
        ];
        match status.get(..3) {
            Some("183") => headers.extend([("Require", "100rel".to_owned()), ("RSeq", "1".to_owned())]),
            Some("401") => headers.push(("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"".to_owned())),
            Some("407") => headers.push(("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n\"".to_owned())),
            Some("422") => headers.push(("Min-SE", "2000".to_owned())),
            Some("423") => headers.push(("Min-Expires", "2000".to_owned())),
            _ => {}
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        MessageDraft::new(&format!("SIP/2.0 {status}"), &headers, if with_sdp { SDP } else { b"" })
    }
}
