use super::*;

const PCM: AudioFormat = AudioFormat::Pcm16 { rate_hz: 24_000 };

/// What comes of a body that arrives in pieces of this size.
fn read(body: &[u8], asked: AudioFormat, content_type: &str, piece: usize) -> Result<Vec<u8>, String> {
    let mut reader = AudioBody::new();
    let mut samples = Vec::new();
    for piece in body.chunks(piece) {
        let got = reader.push(Bytes::copy_from_slice(piece), asked, content_type).map_err(|error| error.to_string())?;
        samples.extend_from_slice(&got);
    }
    samples.extend_from_slice(&reader.finish(asked, content_type).map_err(|error| error.to_string())?);
    Ok(samples)
}

/// The same in pieces of every size: it never depends on them.
fn read_anyhow(body: &[u8], asked: AudioFormat, content_type: &str) -> Result<Vec<u8>, String> {
    let whole = read(body, asked, content_type, body.len().max(1));
    for piece in 1..64 {
        assert_eq!(read(body, asked, content_type, piece), whole, "pieces of {piece} bytes");
    }
    whole
}

fn samples() -> Vec<u8> {
    (0..400_u16).flat_map(|n| (n.wrapping_mul(811)).to_le_bytes()).collect()
}

fn wav(encoding: u16, channels: u16, rate_hz: u32, bits: u16, extra: &[u8], length: Option<u32>) -> Vec<u8> {
    let data = samples();
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
    file.extend(encoding.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate_hz.to_le_bytes());
    file.extend((rate_hz * 2).to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(extra);
    file.extend(b"data");
    file.extend(length.unwrap_or_else(|| u32::try_from(data.len()).unwrap()).to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn raw_samples_stay_as_they_are() {
    for asked in [PCM, AudioFormat::Mulaw] {
        for kind in ["audio/pcm", "application/octet-stream", "audio/basic", "audio/mpeg", ""] {
            assert_eq!(read_anyhow(&samples(), asked, kind), Ok(samples()));
        }
    }
    // A sound shorter than any head, and none.
    assert_eq!(read_anyhow(&[1, 0, 2, 0], PCM, "audio/pcm"), Ok(vec![1, 0, 2, 0]));
    assert_eq!(read_anyhow(&[], PCM, "audio/pcm"), Ok(vec![]));
    // Loud samples that look like the beginning of an MP3 frame, from a server that calls them PCM.
    let loud: Vec<u8> = [0xff, 0xfb].repeat(40);
    assert_eq!(read_anyhow(&loud, PCM, "audio/pcm"), Ok(loud.clone()));
    // mu-law silence.
    assert_eq!(read_anyhow(&[0xff; 320], AudioFormat::Mulaw, "audio/mpeg"), Ok(vec![0xff; 320]));
}

#[test]
fn a_wav_file_in_the_format_that_was_asked_for_loses_its_header() {
    let list = b"LIST\x05\0\0\0INFOx\0";
    for extra in [&b""[..], list] {
        for length in [None, Some(0), Some(u32::MAX), Some(0x7fff_ffff)] {
            assert_eq!(read_anyhow(&wav(1, 1, 24_000, 16, extra, length), PCM, "audio/wav"), Ok(samples()));
        }
    }
    let mulaw = wav(7, 1, 8_000, 8, b"fact\x04\0\0\0\0\0\0\0", None);
    assert_eq!(read_anyhow(&mulaw, AudioFormat::Mulaw, ""), Ok(samples()));
    // What follows the samples is no sound.
    let mut tagged = wav(1, 1, 24_000, 16, b"", None);
    tagged.extend(b"LIST\x04\0\0\0abcd");
    assert_eq!(read_anyhow(&tagged, PCM, "audio/wav"), Ok(samples()));
}

#[test]
fn a_wav_file_in_another_format_is_refused_in_words() {
    for (file, asked, words) in [
        (wav(1, 1, 22_050, 16, b"", None), PCM, "22050 Hz"),
        (wav(1, 2, 24_000, 16, b"", None), PCM, "2 channels"),
        (wav(3, 1, 24_000, 32, b"", None), PCM, "32 bits"),
        (wav(1, 1, 8_000, 16, b"", None), AudioFormat::Mulaw, "16 bits"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0\x01\x02\x03\x04".to_vec(), PCM, "does not say its format"),
        (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff".to_vec(), PCM, "without samples"),
        ([b"RIFF\0\0\0\0WAVEjunk\xff\xff\0\0".as_slice(), &[7; 9_000]].concat(), PCM, "do not begin"),
    ] {
        let refused = read(&file, asked, "audio/wav", 512).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn what_is_no_sound_of_ours_is_not_played() {
    let mp3 = [&[0xff, 0xfb, 0x90, 0x64][..], &[0x55; 400]].concat();
    for (body, content_type, words) in [
        (mp3, "audio/mpeg", "MP3"),
        ([b"ID3\x04\0".as_slice(), &[0; 400]].concat(), "application/octet-stream", "MP3"),
        ([b"OggS".as_slice(), &[0; 400]].concat(), "", "Ogg"),
        ([b"fLaC".as_slice(), &[0; 400]].concat(), "audio/pcm", "FLAC"),
        ([b"\x1aE\xdf\xa3".as_slice(), &[0; 400]].concat(), "", "WebM"),
        ([b"\0\0\0\x20ftypM4A ".as_slice(), &[0; 400]].concat(), "", "MP4"),
        (b"{\"detail\": \"quota exceeded for this voice\"}".to_vec(), "application/octet-stream", "text"),
        (b"\r\n <!DOCTYPE html><html>".to_vec(), "", "text"),
        (b"{}".to_vec(), "audio/pcm", "text"),
    ] {
        let refused = read_anyhow(&body, PCM, content_type).unwrap_err();
        assert!(refused.contains(words), "{refused}");
        // What the server wrote may hold anything: it is not repeated.
        assert!(!refused.contains("quota"), "{refused}");
    }
}

#[test]
fn no_cut_of_a_header_is_read_beyond_its_end() {
    let file = wav(0xfffe, 1, 24_000, 16, b"LIST\x05\0\0\0INFOx\0", None);
    for end in 0..file.len() {
        for piece in [1, 7, 4_096] {
            let _ = read(&file[..end], PCM, "audio/wav", piece);
        }
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[end] = value;
            let _ = read(&damaged, PCM, "audio/wav", 100);
        }
    }
}
