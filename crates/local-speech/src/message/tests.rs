//! Messages as they are read again, and damaged ones.

use super::*;
use crate::limits::FRAME_BYTES_MAX;

fn hello() -> Hello {
    Hello {
        version: VERSION,
        stt_models: vec!["moonshine-tiny-en".into()],
        voices: vec!["en_US-joe".into(), "b".into()],
    }
}

fn to_worker() -> Vec<ServerMessage> {
    vec![
        ServerMessage::Hello(Hello::of_server()),
        ServerMessage::Transcribe {
            id: RequestId(7),
            session: SessionId(u64::MAX),
            urgency: Urgency::Partial,
            samples: vec![0, 1, -1, i16::MIN, i16::MAX],
        },
        ServerMessage::Synthesize {
            id: RequestId(8),
            tenant: 5,
            sound_ms: 1_500,
            voice: "en_US-joe".into(),
            speed_permille: 1_250,
            text: "Half past two, façade.".into(),
        },
        ServerMessage::Cancel { id: RequestId(9) },
    ]
}

fn from_worker() -> Vec<WorkerMessage> {
    vec![
        WorkerMessage::Hello(hello()),
        WorkerMessage::Transcript {
            id: RequestId(7),
            text: "hello there".into(),
            confidence_permille: 912,
            compute_us: 41_000,
        },
        WorkerMessage::Audio { id: RequestId(8), rate_hz: 22_050, samples: vec![-3, 3] },
        WorkerMessage::WordEnds { id: RequestId(8), samples: vec![2_205, u32::MAX] },
        WorkerMessage::Done { id: RequestId(8) },
        WorkerMessage::Failed { id: RequestId(9), kind: FailureKind::Cancelled, message: "cancelled".into() },
    ]
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for message in to_worker() {
        assert_eq!(ServerMessage::read(&message.frame()), Ok(message));
    }
    for message in from_worker() {
        assert_eq!(WorkerMessage::read(&message.frame()), Ok(message));
    }
    for kind in FailureKind::ALL {
        let message = WorkerMessage::Failed { id: RequestId(1), kind, message: String::new() };
        assert_eq!(WorkerMessage::read(&message.frame()), Ok(message));
    }
}

/// The bytes are pinned: a change of them needs another version.
#[test]
fn the_wire_of_version_3_does_not_change() {
    let hex = |frame: Frame| frame.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wire: Vec<String> = to_worker()
        .iter()
        .map(|one| hex(one.frame()))
        .chain(from_worker().iter().map(|one| hex(one.frame())))
        .collect();
    assert_eq!(
        wire,
        [
            "0b00000001544c5357030000000000",
            "20000000020700000000000000ffffffffffffffff010500000000000100ffff0080ff7f",
            "410000000308000000000000000500000000000000dc050000e204000009000000656e5f55532d6a6f651700000048616c6620706173742074776f2c206661c3a76164652e",
            "09000000040900000000000000",
            "3200000081544c535703000100110000006d6f6f6e7368696e652d74696e792d656e020009000000656e5f55532d6a6f650100000062",
            "1e000000820700000000000000900328a000000b00000068656c6c6f207468657265",
            "150000008308000000000000002256000002000000fdff0300",
            "15000000860800000000000000020000009d080000ffffffff",
            "09000000840800000000000000",
            "17000000850900000000000000000900000063616e63656c6c6564",
        ]
    );
}

#[test]
fn a_damaged_message_is_refused_and_read_by_no_other() {
    let frames = to_worker().into_iter().map(|one| one.frame()).chain(from_worker().into_iter().map(|one| one.frame()));
    for frame in frames.collect::<Vec<_>>() {
        for end in 0..frame.body.len() {
            let cut = Frame { kind: frame.kind, body: frame.body[..end].to_vec() };
            assert!(ServerMessage::read(&cut).is_err() && WorkerMessage::read(&cut).is_err(), "{frame:?} cut at {end}");
        }
        let mut longer = frame.clone();
        longer.body.push(0);
        assert!(ServerMessage::read(&longer).is_err() && WorkerMessage::read(&longer).is_err());
        assert!(
            ServerMessage::read(&frame).is_err() || WorkerMessage::read(&frame).is_err(),
            "a side reads what it sends itself"
        );
        // No byte of it makes the reader panic.
        for place in 0..frame.body.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut other = frame.clone();
                other.body[place] = value;
                let _ = (ServerMessage::read(&other), WorkerMessage::read(&other));
            }
        }
    }
}

#[test]
fn another_version_is_told_from_another_program() {
    let mut frame = WorkerMessage::Hello(hello()).frame();
    frame.body[4] = 99;
    frame.body.truncate(20);
    let other = Hello { version: 99, ..Hello::default() };
    assert_eq!(WorkerMessage::read(&frame), Ok(WorkerMessage::Hello(other)), "whatever follows its version");
    frame.body[0] = b'X';
    assert_eq!(WorkerMessage::read(&frame), Err(MessageError::NotOurs));
}

#[test]
fn nothing_beyond_a_bound_is_written_or_read() {
    let long = ServerMessage::Transcribe {
        id: RequestId(1),
        session: SessionId(1),
        urgency: Urgency::Final,
        samples: vec![1; TRANSCRIBE_SAMPLES_MAX + 1],
    };
    let frame = long.frame();
    assert!(frame.body.len() < FRAME_BYTES_MAX, "the longest audio fits into a frame");
    let Ok(ServerMessage::Transcribe { samples, .. }) = ServerMessage::read(&frame) else { panic!("not read") };
    assert_eq!(samples.len(), TRANSCRIBE_SAMPLES_MAX);
    // A count that promises more than the bound, with nothing behind it.
    let mut lying =
        ServerMessage::Transcribe { id: RequestId(1), session: SessionId(1), urgency: Urgency::Final, samples: vec![] }
            .frame();
    lying.body[17..21].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(ServerMessage::read(&lying), Err(MessageError::TooLong("audio")));
    let text = "é".repeat(SYNTHESIZE_BYTES_MAX);
    let (id, voice) = (RequestId(1), "v".to_owned());
    let spoken = ServerMessage::Synthesize { id, tenant: 1, sound_ms: 0, voice, speed_permille: 1_000, text };
    let Ok(ServerMessage::Synthesize { text, .. }) = ServerMessage::read(&spoken.frame()) else { panic!("not read") };
    assert_eq!(text.len(), SYNTHESIZE_BYTES_MAX, "cut between two characters");
}
