//! Other people's clients talk to the emulator: it speaks the vendors' protocols, not our idea of them.

use super::support::{delays, loopback, peer_takes};
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequestArgs};
use futures_util::StreamExt as _;
use std::time::Duration;
use trunkline_lab::emulator::{self, fixture_phrases};

async fn emulator() -> emulator::EmulatorHandle {
    let settings =
        emulator::EmulatorSettings { delays: delays(), espeak: Some("espeak-ng".into()), ..Default::default() };
    emulator::start(loopback(0), settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_openai_chats_whole_and_streaming() {
    let emulator = emulator().await;
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", emulator.base_url())).with_api_key("k");
    let client = async_openai::Client::with_config(config);
    let request = || {
        let message =
            ChatCompletionRequestUserMessageArgs::default().content("what are your opening hours").build().unwrap();
        CreateChatCompletionRequestArgs::default().model("gpt-4o-mini").messages([message.into()]).build().unwrap()
    };
    let whole = client.chat().create(request()).await.unwrap();
    let text = whole.choices[0].message.content.clone().unwrap();
    assert!(text.starts_with("We are open"), "{text}");
    let mut stream = client.chat().create_stream(request()).await.unwrap();
    let mut streamed = String::new();
    while let Some(chunk) = stream.next().await {
        for choice in chunk.unwrap().choices {
            streamed.push_str(&choice.delta.content.unwrap_or_default());
        }
    }
    assert_eq!(streamed, text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deepgram_crate_hears_a_phrase() {
    use deepgram::common::options::{Encoding, Model, Options};
    let emulator = emulator().await;
    let base = format!("{}/", emulator.base_url());
    let client = deepgram::Deepgram::with_base_url_and_api_key(base.as_str(), "k").unwrap();
    let phrase = &fixture_phrases()[0];
    let mut audio: Vec<u8> = phrase.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    audio.extend(vec![0; 16_000]);
    let chunks: Vec<_> = audio.chunks(320).map(|c| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(c))).collect();
    let paced = futures_util::stream::iter(chunks).then(|chunk| async {
        peer_takes(Duration::from_millis(2)).await;
        chunk
    });
    let transcription = client.transcription();
    let mut results = transcription
        .stream_request_with_options(Options::builder().model(Model::Nova3).build())
        .encoding(Encoding::Linear16)
        .sample_rate(8_000)
        .channels(1)
        .interim_results(true)
        .stream(Box::pin(paced))
        .await
        .unwrap();
    let mut finals = vec![];
    while let Some(result) = results.next().await {
        use deepgram::common::stream_response::StreamResponse;
        if let StreamResponse::TranscriptResponse { is_final: true, channel, .. } = result.unwrap() {
            finals.push(channel.alternatives[0].transcript.clone());
        }
    }
    assert!(finals.contains(&phrase.text), "{finals:?}");
}

/// The vendors' own SDKs for Python, in the environment that `make test` sets up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_sdks_are_satisfied() {
    let emulator = emulator().await;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = tokio::process::Command::new(root.join("target/venv/bin/python"))
        .arg(root.join("tests/witnesses/sdks.py"))
        .args([emulator.base_url(), root.join("fixtures/audio").display().to_string()])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(200), run).await.unwrap().unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let all = ["openai_sdk", "anthropic_sdk", "deepgram_sdk", "elevenlabs_sdk", "cartesia_sdk"];
    assert_eq!(said.lines().collect::<Vec<_>>(), all, "{complaints}");
}
