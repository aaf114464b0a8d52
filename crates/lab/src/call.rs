//! `trunkline call`: the scripted caller.

use crate::caller::load::{LoadProfile, run as run_load};
use crate::caller::report::{CallReport, summarize};
use crate::caller::script::CallScript;
use crate::caller::softphone::{DialParams, Softphone};
use crate::caller_voice::CallerVoiceArgs;
use clap::Args;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

/// What `trunkline call` takes.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// SIP URI to call, e.g. sip:+31201234567@127.0.0.1:5060. Without it, wait for calls (--listen).
    pub to: Option<String>,
    /// What to do: listen; say NAME; interrupt NAME; dtmf DIGITS; pause MS; hangup. NAME is a built-in
    /// phrase (hello, where_is_my_order, order_number, …), a WAV file (8 kHz, mono, 16 bit), or a text in quotes, which
    /// --voice speaks.
    #[arg(long, default_value = "listen; say hello; listen; hangup")]
    script: String,
    #[command(flatten)]
    voice: CallerVoiceArgs,
    /// Local address for SIP and RTP.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Range of RTP ports: FIRST-LAST.
    #[arg(long, default_value = "50000-53999")]
    rtp_ports: String,
    #[arg(long, default_value = "+15550100")]
    from: String,
    #[arg(long, value_parser = ["udp", "tcp"], default_value = "udp")]
    transport: String,
    #[arg(long)]
    username: Option<String>,
    #[arg(long, requires = "username")]
    password: Option<SecretString>,
    /// PCMU, PCMA or both, in the order offered.
    #[arg(long, value_delimiter = ',', default_value = "PCMU,PCMA")]
    codecs: Vec<String>,
    /// Total number of calls.
    #[arg(long, default_value_t = 1)]
    calls: usize,
    /// New calls per second.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Concurrent calls at most.
    #[arg(long, default_value_t = 100)]
    at_once: usize,
    /// Folder for a stereo recording of each call (left: received audio, right: sent audio).
    #[arg(long)]
    record: Option<PathBuf>,
}

/// Makes the calls and prints their report.
///
/// # Errors
///
/// What could not be started, or which calls failed, for the person at the terminal.
pub async fn run(args: CallArgs) -> Result<(), String> {
    let script = CallScript::parse_spoken(&args.script, &args.voice.speak(CallScript::texts(&args.script)).await?)?;
    let ports = args.rtp_ports.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let ports: (u16, u16) = ports.ok_or("--rtp-ports wants FIRST-LAST")?;
    let _ = rlimit::increase_nofile_limit(1 << 20);
    let (phone, mut incoming) =
        Softphone::open(args.listen, ports).await.map_err(|error| format!("{}: {error}", args.listen))?;
    let phone = Arc::new(phone);
    let Some(to) = &args.to else {
        println!("waiting for {} call(s) on {}", args.calls, phone.sip.local_udp());
        let mut reports = Vec::new();
        for number in 0..args.calls {
            let call = incoming.recv().await.ok_or("the SIP user agent has ended")?;
            let recording = args.record.as_ref().map(|folder| folder.join(format!("callee-{number}.wav")));
            reports.push(phone.answer(call, &script, recording).await);
        }
        phone.settle().await;
        return show(&reports);
    };
    let to = Uri::parse(to).map_err(|_| match to.starts_with('+') {
        true => format!("{to} is no SIP URI: sip:{to}@HOST calls as a phone; --agent NAME lets an agent call it"),
        false => format!("{to:?} is not a SIP URI"),
    })?;
    let dial = DialParams {
        to,
        from: Uri::sip(Some(&args.from), &phone.sip.local_udp().ip().to_string(), Some(phone.sip.local_udp().port())),
        transport: if args.transport == "tcp" { Transport::Tcp } else { Transport::Udp },
        credentials: args
            .username
            .zip(args.password)
            .map(|(username, password)| DigestCredentials { username, password }),
        codecs: args.codecs,
    };
    let load = LoadProfile { calls: args.calls, per_second: args.rate, at_once: args.at_once, recordings: args.record };
    let reports = run_load(phone.clone(), dial, script, load).await;
    phone.settle().await;
    show(&reports)
}

fn show(reports: &[CallReport]) -> Result<(), String> {
    let body = match reports {
        [one] => serde_json::to_value(one).unwrap_or_default(),
        many => summarize(many),
    };
    println!("{}", serde_json::to_string_pretty(&body).unwrap_or_default());
    match reports.iter().filter(|report| report.failure.is_some()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} call(s) failed", reports.len())),
    }
}
