//! Challenges, their answers, and how often an answer counts.

use super::*;

fn challenge(algorithm: &str) -> DigestChallenge {
    DigestChallenge::parse(&format!(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    ))
    .unwrap()
}

/// The example of RFC 7616 section 3.9.1.
#[test]
fn rfc_7616_vectors() {
    let credentials = DigestCredentials { username: "Mufasa".into(), password: "Circle of Life".into() };
    for (algorithm, wanted) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_owned();
        let mut session = DigestClientSession::new(challenge(algorithm), cnonce);
        let value = session.authorize(&credentials, "GET", "/dir/index.html");
        assert!(value.contains(&format!("response=\"{wanted}\"")), "{value}");
        assert!(value.contains("nc=00000001"));
        assert!(session.authorize(&credentials, "GET", "/").contains("nc=00000002"));
    }
}

#[test]
fn challenges_that_share_a_header_are_told_apart() {
    let of = |value: &str| -> Vec<(String, String, DigestAlgorithm)> {
        DigestChallenge::parse_all(value).into_iter().map(|one| (one.realm, one.nonce, one.algorithm)).collect()
    };
    let one = ("r, x".to_owned(), "n".to_owned(), DigestAlgorithm::Md5);
    assert_eq!(of("Digest realm=\"r, x\", nonce=\"n\", qop=\"auth,auth-int\""), std::slice::from_ref(&one));
    let other = ("s".to_owned(), "m".to_owned(), DigestAlgorithm::Sha256);
    let joined =
        "Digest realm=\"r, x\", nonce=\"n\" , Basic realm=\"b\",Digest nonce=\"m\",algorithm=SHA-256, realm=\"s\"";
    assert_eq!(of(joined), [one, other]);
    assert!(of("Digest").is_empty() && of("").is_empty() && of(",,,").is_empty());
    assert!(of(&"Digest realm=\"r\", nonce=\"n\",".repeat(1_000)).len() <= limits::CHALLENGES_MAX);
}

#[test]
fn server_accepts_its_own_nonce_until_it_is_old() {
    let keyed = |input: &[u8]| format!("{:x}", input.iter().fold(7u64, |a, b| a.wrapping_mul(31) + u64::from(*b)));
    let credentials = DigestCredentials { username: "trunk".into(), password: "s\"ecret".into() };
    let check = |password: &str, algorithm: &str, second| {
        let value = format!(
            "Digest realm=\"r\", nonce=\"{}\", qop=\"auth\", algorithm={algorithm}",
            nonce(1_000, "u", b"192.0.2.1", keyed)
        );
        let mut session = DigestClientSession::new(DigestChallenge::parse(&value).unwrap(), "c".into());
        let theirs = DigestCredentials { username: "trunk".into(), password: password.into() };
        let value = session.authorize(&theirs, "INVITE", "sip:h");
        verify(&value, &credentials, "r", "INVITE", second, keyed)
    };
    for algorithm in ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"] {
        let valid = check("s\"ecret", algorithm, 1_010);
        assert!(
            matches!(&valid, DigestCheck::Verified(used) if used.count == Some(1) && used.made_s == 1_000),
            "{valid:?}"
        );
        assert_eq!(check("s\"ecret", algorithm, 1_301), DigestCheck::Stale, "{algorithm}");
        assert_eq!(check("wrong", algorithm, 1_010), DigestCheck::Invalid, "{algorithm}");
    }
}

#[test]
fn nonce_is_bound_to_its_recipient() {
    let keyed = |input: &[u8]| format!("{:x}", input.iter().fold(7u64, |a, b| a.wrapping_mul(31) + u64::from(*b)));
    let ours = nonce(1_000, "u", b"192.0.2.1", keyed);
    assert!(was_sent_to(&ours, b"192.0.2.1", 1_010, keyed));
    assert!(!was_sent_to(&ours, b"192.0.2.2", 1_010, keyed), "another client's");
    assert!(!was_sent_to(&ours, b"192.0.2.1", 1_301, keyed), "too old");
    assert!(!was_sent_to(&ours, b"192.0.2.1", 999, keyed), "of the future");
    let forged = [ours.replace("3e8", "3e9"), ours.replace("u-", "v-"), String::new(), ".".into(), "-.-.".into()];
    for nonce in forged.iter().chain(&["ffffffffffffffff.-.".to_owned(), "3e8.u.x".to_owned()]) {
        assert!(!was_sent_to(nonce, b"192.0.2.1", 1_010, keyed), "{nonce}");
    }
}
