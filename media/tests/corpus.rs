//! The fuzz corpus of RTCP, replayed on every change, and each entry damaged a little in every place.

use trunkline_media::rtp::rtcp;

#[test]
fn reports_of_any_kind_never_panic() {
    let folder = format!("{}/../fixtures/rtcp/corpus", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3);
    for file in files {
        let entry = std::fs::read(file).unwrap();
        for at in 0..entry.len() {
            for value in [0u8, 1, 7, 31, 127, 128, 200, 207, 255] {
                let mut changed = entry.clone();
                changed[at] = value;
                let _ = rtcp::parse(&changed, 7);
                let read = rtcp::parse(&changed[..at], 7);
                assert!(read.voip.is_none_or(|voip| voip.mos.is_none_or(|mos| mos <= 25.5)));
            }
        }
    }
}
