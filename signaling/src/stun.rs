//! Minimal STUN (RFC 8489), to learn our public address and to keep flows open: binding request and response.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const MAGIC_COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// A binding request; `transaction` must not be guessable.
pub fn binding_request(transaction: [u8; 12]) -> [u8; 20] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = transaction;
    let ([t0, t1], [m0, m1, m2, m3]) = (BINDING_REQUEST.to_be_bytes(), MAGIC_COOKIE.to_be_bytes());
    [t0, t1, 0, 0, m0, m1, m2, m3, a, b, c, d, e, f, g, h, i, j, k, l]
}

/// The answer to a binding request from this address; `None` for anything else.
pub fn binding_response(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let (kind, _) = take_word(request)?;
    if kind != BINDING_REQUEST || !is_message(request) {
        return None;
    }
    let mask = request.get(4..20)?;
    let [mask_high, mask_low, ..] = mask else { return None };
    let (family, octets) = match from.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let [port_high, port_low] = from.port().to_be_bytes();
    let mut value = vec![0, family, port_high ^ mask_high, port_low ^ mask_low];
    value.extend(octets.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
    let length = u16::try_from(value.len()).ok()?;
    let mut response = BINDING_SUCCESS.to_be_bytes().to_vec();
    response.extend(length.checked_add(4)?.to_be_bytes());
    response.extend(mask);
    response.extend(XOR_MAPPED_ADDRESS.to_be_bytes());
    response.extend(length.to_be_bytes());
    response.extend(value);
    Some(response)
}

/// Returns whether a datagram is a STUN message, which never begins like SIP.
pub fn is_message(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4) && bytes.get(4..8) == Some(&MAGIC_COOKIE.to_be_bytes())
}

/// The address a server saw us at; `None` for anything but the answer to our request.
pub fn mapped_address(bytes: &[u8], transaction: [u8; 12]) -> Option<SocketAddr> {
    let (kind, rest) = take_word(bytes)?;
    let (len, rest) = take_word(rest)?;
    let (cookie, rest) = rest.split_first_chunk::<4>()?;
    let (theirs, rest) = rest.split_first_chunk::<12>()?;
    if kind != BINDING_SUCCESS || *cookie != MAGIC_COOKIE.to_be_bytes() || *theirs != transaction {
        return None;
    }
    let mut rest = rest.get(..usize::from(len))?;
    let mut plain = None;
    while let Some((kind, len, after)) =
        take_word(rest).and_then(|(kind, rest)| take_word(rest).map(|(len, rest)| (kind, usize::from(len), rest)))
    {
        let value = after.get(..len)?;
        let mask: Vec<u8> = cookie.iter().chain(theirs).copied().collect();
        match kind {
            XOR_MAPPED_ADDRESS => return address(value, &mask),
            // Servers from before RFC 5389.
            MAPPED_ADDRESS => plain = address(value, &[0; 16]),
            _ => {}
        }
        rest = after.get(len.checked_next_multiple_of(4)?..).unwrap_or_default();
    }
    plain
}

fn take_word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk::<2>().map(|(word, rest)| (u16::from_be_bytes(*word), rest))
}

/// An address whose port and octets are masked with cookie and transaction (section 14.2).
fn address(value: &[u8], mask: &[u8]) -> Option<SocketAddr> {
    let [_, family, port_high, port_low, octets @ ..] = value else { return None };
    let [mask_high, mask_low, ..] = mask else { return None };
    let port = u16::from_be_bytes([port_high ^ mask_high, port_low ^ mask_low]);
    let octets: Vec<u8> = octets.iter().zip(mask).map(|(octet, mask)| octet ^ mask).collect();
    let ip = match family {
        1 => IpAddr::V4(Ipv4Addr::from(*octets.first_chunk::<4>()?)),
        2 => IpAddr::V6(Ipv6Addr::from(*octets.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// The responses of RFC 5769 sections 2.2 and 2.3.
    #[test]
    fn sample_responses() {
        let transaction: [u8; 12] = hex("b7e7a701 bc34d686 fa87dfae").try_into().unwrap();
        let v4 =
            hex("0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 \
            e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96");
        assert_eq!(mapped_address(&v4, transaction), Some("192.0.2.1:32853".parse().unwrap()));
        let v6 = hex(
            "01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147 \
            0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c",
        );
        assert_eq!(
            mapped_address(&v6, transaction),
            Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap())
        );
        assert_eq!(mapped_address(&v4, [0; 12]), None, "another transaction's");
        for len in 0..v4.len() {
            let _ = mapped_address(&v4[..len], transaction);
        }
    }

    #[test]
    fn a_request_is_answered_with_its_source() {
        for from in ["192.0.2.1:32853", "[2001:db8::7]:1"] {
            let from: SocketAddr = from.parse().unwrap();
            let request = binding_request([7; 12]);
            let response = binding_response(&request, from).unwrap();
            assert_eq!(mapped_address(&response, [7; 12]), Some(from));
            assert_eq!(binding_response(&response, from), None, "no answer to an answer");
            for len in 0..request.len() {
                assert_eq!(binding_response(&request[..len], from), None);
            }
        }
    }

    #[test]
    fn a_request_is_twenty_octets() {
        let request = binding_request([7; 12]);
        assert_eq!(&request[..8], &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
        assert_eq!(mapped_address(&request, [7; 12]), None);
    }
}
