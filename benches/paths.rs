//! Single paths: a frame's way in and out, SIP messages, session descriptions, sentences, provider messages.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline::dialogue::sentence_splitter::SentenceSplitter;
use trunkline::domain::provider::{LlmProvider, SttProvider};
use trunkline::domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline::providers::cartesia::websocket::CartesiaProtocol as CartesiaContexts;
use trunkline::providers::deepgram::{flux, nova};
use trunkline::providers::elevenlabs::multi_stream::MultiStreamProtocol;
use trunkline::providers::stt::SttProtocol as _;
use trunkline::providers::tts_socket::TtsSocketProtocol as _;
use trunkline::providers::{realtime, sse, stt, vendors};
use trunkline_lab::emulator::fixture_phrases;
use trunkline_media::codec::Companding;
use trunkline_media::leg::{Leg, LegConfig, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_signaling::sdp::negotiate::{self, LocalMedia, SdpCodec, SrtpMode};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{SipMessage, print};

const FRAME: Duration = Duration::from_millis(20);

fn leg(now: Instant) -> Leg {
    Leg::new(now, LegConfig::basic(now, StreamConfig::pcmu(SocketAddr::from(([127, 0, 0, 1], 4_000)))))
}

fn frames(c: &mut Criterion) {
    let start = Instant::now();
    let source: SocketAddr = "127.0.0.1:4000".parse().unwrap();
    let speech = &fixture_phrases()[1].samples;
    let packets: Vec<Vec<u8>> = speech
        .chunks_exact(160)
        .map(|frame| frame.iter().map(|s| Companding::MuLaw.encode(*s)).collect::<Vec<u8>>())
        .collect();
    // In: parse, jitter, decode, voice activity, recording. Out: queue, encode, packet. Per 20 ms.
    c.bench_function("frame in and out, speech both ways", |b| {
        let mut leg = leg(start);
        let (mut now, mut n) = (start, 0usize);
        let mut buffer = [0; 200];
        b.iter(|| {
            now += FRAME;
            let payload = &packets[n % packets.len()];
            let packet = RtpPacket {
                payload_type: 0,
                marker: false,
                sequence: n as u16,
                timestamp: n as u32 * 160,
                ssrc: 9,
                payload,
            };
            let len = packet.write(&mut buffer).unwrap();
            leg.handle_rtp(now, source, &buffer[..len]);
            leg.play(SegmentId { response_id: 1, index: 0 }, speech[..160].to_vec(), false);
            leg.tick(now, now, &mut |_, _, bytes| {
                black_box(bytes);
            });
            while let Some(event) = leg.poll_event() {
                black_box(event);
            }
            n += 1;
        });
    });
    c.bench_function("frame out, silence", |b| {
        let mut leg = leg(start);
        let mut now = start;
        b.iter(|| {
            now += FRAME;
            leg.tick(now, now, &mut |_, _, bytes| {
                black_box(bytes);
            });
            while let Some(event) = leg.poll_event() {
                black_box(event);
            }
        });
    });
}

const INVITE: &str = "INVITE sip:+31201234567@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK776asdhds;rport\r\n\
    Max-Forwards: 70\r\nFrom: \"Alice\" <sip:+15550100@198.51.100.9>;tag=1928301774\r\nTo: <sip:+31201234567@192.0.2.1>\r\n\
    Call-ID: a84b4c76e66710@198.51.100.9\r\nCSeq: 314159 INVITE\r\nContact: <sip:+15550100@198.51.100.9:5060>\r\n\
    Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nSupported: timer\r\nUser-Agent: carrier\r\nContent-Type: application/sdp\r\n";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 8 0 101\r\n\
    a=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

fn texts(c: &mut Criterion) {
    let wire = format!("{INVITE}Content-Length: {}\r\n\r\n{SDP}", SDP.len());
    c.bench_function("SIP parse", |b| b.iter(|| black_box(parse::datagram(black_box(wire.as_bytes())))));
    let ParsedMessage::Message(SipMessage::Request(request)) = parse::datagram(wire.as_bytes()) else {
        panic!("not parsed")
    };
    c.bench_function("SIP print", |b| b.iter(|| black_box(print::request(black_box(&request)))));
    let local = LocalMedia {
        addr: "192.0.2.1".parse().unwrap(),
        port: 30_000,
        codecs: vec![SdpCodec::Pcmu, SdpCodec::Pcma],
        ptime_ms: 20,
        srtp: SrtpMode::Off,
        keying: negotiate::KeyExchange::Sdes,
        fingerprint: Some([2; 32]),
        ice: Some(negotiate::IceLiteCredentials { ufrag: *b"01234567", password: [b'p'; 32] }),
        keys: [[1; 46]; 2],
        session_id: 1,
        session_version: 1,
        association: 0,
        standing: None,
    };
    c.bench_function("SDP negotiate", |b| b.iter(|| black_box(negotiate::answer(black_box(SDP.as_bytes()), &local))));
    let answer = "Thank you. Order four two seven one left our warehouse yesterday, and will arrive on Monday. ";
    c.bench_function("sentences, word by word", |b| {
        b.iter(|| {
            let mut cutter = SentenceSplitter::default();
            for word in answer.split_inclusive(' ') {
                cutter.push(word, |segment| {
                    black_box(segment);
                });
            }
        });
    });
    let results = r#"{"type":"Results","channel_index":[0,1],"duration":1.02,"start":4.98,"is_final":true,"speech_final":true,
        "channel":{"alternatives":[{"transcript":"ja dat klopt","confidence":0.97,"words":[{"word":"ja","start":5.02,"end":5.2,"confidence":0.99,"punctuated_word":"Ja"}]}]},
        "metadata":{"request_id":"8c1","model_uuid":"2f"}}"#;
    c.bench_function("Deepgram results", |b| b.iter(|| black_box(nova::parse(black_box(results)))));
}

/// From a provider's bytes to our event.
fn providers(c: &mut Criterion) {
    let mut group = c.benchmark_group("provider event");
    stt_events(&mut group);
    llm_events(&mut group);
    // A fifth of a second of mu-law.
    let audio = STANDARD.encode([0x7F; 1_600]);
    tts_events(&mut group, &audio);
    realtime_events(&mut group, &audio);
}

fn stt_events(group: &mut BenchmarkGroup<'_, WallTime>) {
    let setup = stt::SttSessionConfig {
        model: String::new(),
        language: "nl".into(),
        keyterms: vec![],
        encoding: "mulaw",
        endpointing_ms: 300,
        eager: false,
    };
    let turn = r#"{"type":"TurnInfo","request_id":"b1","sequence_id":7,"event":"Update","turn_index":2,"audio_window_start":3.2,"audio_window_end":4.4,
        "transcript":"ik wil graag","words":[{"word":"ik","confidence":0.98,"start":3.3,"end":3.4},{"word":"wil","confidence":0.98,"start":3.4,"end":3.6},{"word":"graag","confidence":0.9,"start":3.6,"end":4.0}],
        "end_of_turn_confidence":0.12,"languages":["nl"],"languages_hinted":["nl"]}"#;
    group.bench_function("deepgram flux", |b| {
        let mut wire = flux::FluxProtocol::new(setup.clone());
        b.iter(|| black_box(wire.read(black_box(turn))));
    });
    let delta = r#"{"type":"conversation.item.input_audio_transcription.delta","event_id":"e","item_id":"i","content_index":0,"delta":"graag "}"#;
    group.bench_function("openai transcription", |b| {
        let mut wire = vendors::stt_vendor(SttProvider::Openai).open(&setup);
        b.iter(|| black_box(wire.read(black_box(delta))));
    });
}

fn llm_events(group: &mut BenchmarkGroup<'_, WallTime>) {
    let openai = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1763700000,\"model\":\"gpt-x\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Goede\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
    let anthropic = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Prima\"}}\n\n";
    for (name, provider, chunk) in [
        ("openai chat", LlmProvider::Openai, openai),
        ("groq chat", LlmProvider::Groq, openai),
        ("mistral chat", LlmProvider::Mistral, openai),
        ("xai chat", LlmProvider::Xai, openai),
        ("anthropic messages", LlmProvider::Anthropic, anthropic),
    ] {
        group.bench_function(name, |b| {
            let model = vendors::llm_vendor(provider).unwrap();
            let (mut parser, mut reader, mut said) = (sse::SseParser::default(), model.reader(), vec![]);
            b.iter(|| {
                parser.push(black_box(chunk.as_bytes()), |data| {
                    black_box(reader.event(data, &mut said)).unwrap();
                });
                said.clear();
            });
        });
    }
}

fn tts_events(group: &mut BenchmarkGroup<'_, WallTime>, audio: &str) {
    let spoken =
        format!(r#"{{"audio":"{audio}","contextId":"s1","isFinal":null,"alignment":null,"normalizedAlignment":null}}"#);
    let chunk = format!(
        r#"{{"type":"chunk","context_id":"s1","status_code":206,"done":false,"step_time":84.1,"data":"{audio}","flush_id":1}}"#
    );
    let config = |provider: &str| {
        serde_json::from_value::<TtsConfig>(
            serde_json::json!({"provider": provider, "voice_id": "v", "language": "nl"}),
        )
        .unwrap()
    };
    group.bench_function("elevenlabs audio, 200 ms", |b| {
        let mut wire = MultiStreamProtocol::new(&config("elevenlabs"), &VoiceSettings::default());
        b.iter(|| black_box(wire.read(black_box(&spoken))));
    });
    group.bench_function("cartesia audio, 200 ms", |b| {
        let mut wire = CartesiaContexts::new(&config("cartesia"), &VoiceSettings::default());
        b.iter(|| black_box(wire.read(black_box(&chunk))));
    });
}

fn realtime_events(group: &mut BenchmarkGroup<'_, WallTime>, audio: &str) {
    let engine_setup = realtime::RealtimeSessionConfig {
        model: "m".into(),
        voice: None,
        instructions: String::new(),
        first_message: None,
        language: "nl".into(),
        tools: vec![],
        encoding: "mulaw",
        silence_ms: 300,
    };
    let realtime = format!(
        r#"{{"type":"response.output_audio.delta","event_id":"e","response_id":"r","item_id":"i","output_index":0,"content_index":0,"delta":"{audio}"}}"#
    );
    let convai = format!(r#"{{"type":"audio","audio_event":{{"audio_base_64":"{audio}","event_id":7}}}}"#);
    for (name, provider, message) in [
        ("openai realtime audio, 200 ms", LlmProvider::OpenaiRealtime, &realtime),
        ("xai realtime audio, 200 ms", LlmProvider::XaiRealtime, &realtime),
        ("elevenlabs agent audio, 200 ms", LlmProvider::ElevenlabsAgent, &convai),
    ] {
        group.bench_function(name, |b| {
            let mut wire = vendors::realtime_vendor(provider).unwrap().open(engine_setup.clone());
            b.iter(|| black_box(wire.read(black_box(message))));
        });
    }
}

criterion_group!(paths, frames, texts, providers);
criterion_main!(paths);
