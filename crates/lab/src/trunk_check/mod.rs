//! `trunkline check-trunk`: calls a test number through a trunk and says in words what the carrier does.
//!
//! `run` and the files below it carry; `findings` judges what was seen and is pure.
#![expect(clippy::disallowed_methods, reason = "a separate program: it may use tasks, threads, clocks and sockets")]

mod call;
mod dialog;
mod echo_probe;
mod findings;
mod media_probe;
mod observation;
mod offer;
mod probe_codec;
mod report;
mod rtp_statistics;
mod run;
mod sip_connection;
mod sip_line;

pub use report::CheckReport;

use clap::Args;
use run::TrunkCheck;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::watch;
use trunkline_domain::ids::OrganizationId;
use trunkline_domain::phone_number::Destination;
use trunkline_domain::time::UnixMs;
use trunkline_domain::trunk::{SrtpPolicy, Trunk, TrunkFields, TrunkTransport};
use trunkline_signaling::io::tls::TlsCertificates;

/// What `trunkline check-trunk` takes.
#[derive(Debug, Args)]
pub struct CheckTrunkArgs {
    /// Id or name of a stored trunk. Without it, --host describes one that is not saved yet.
    #[arg(required_unless_present = "host")]
    pub trunk: Option<String>,
    /// A number of yours to call in E.164, +31201234567, or a SIP URI. Whoever answers should listen for a minute; a
    /// number that echoes or another Trunkline agent shows most.
    #[arg(long)]
    to: String,
    /// The number that is shown to the callee.
    #[arg(long)]
    from: Option<String>,
    /// How long the first call is listened to, in seconds. Clock drift needs 10.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(4..=300))]
    seconds: u64,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
    /// Ask the carrier to transfer the first call to this SIP URI at its end.
    #[arg(long)]
    refer_to: Option<String>,
    /// Local port for SIP. Carriers that know you by address and port want the server's; stop the server first.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The address at which the carrier reaches this machine, where it is not `sip.advertised_address`.
    #[arg(long)]
    advertise: Option<IpAddr>,
    /// Host of a trunk that is not saved yet, with or without a port.
    #[arg(long, conflicts_with = "trunk")]
    host: Option<String>,
    #[arg(long, requires = "host", value_parser = ["udp", "tcp", "tls"], default_value = "udp")]
    transport: String,
    /// Account at the carrier.
    #[arg(long, requires = "host", requires = "account_env")]
    username: Option<String>,
    /// Environment variable that holds the account's password.
    #[arg(long = "password-env", requires = "username")]
    account_env: Option<String>,
    /// Codecs to offer, in order: PCMU, PCMA, G722, OPUS.
    #[arg(long, requires = "host", value_delimiter = ',', default_value = "PCMU,PCMA")]
    codecs: Vec<String>,
    #[arg(long, requires = "host", value_parser = ["off", "preferred", "mandatory"], default_value = "off")]
    srtp: String,
    /// Register before the calls.
    #[arg(long, requires = "username")]
    register: bool,
}

/// Settings of the server beside which the check runs.
#[derive(Debug)]
pub struct CheckEnvironment {
    /// `sip.advertised_address`, or what STUN found; `None`: the address of the route to the carrier.
    pub advertised: Option<IpAddr>,
    /// Port of `sip.listen`.
    pub server_port: u16,
    /// `sip.session_expires_s`.
    pub session_expires_s: u32,
    /// `sip.user_agent`.
    pub user_agent: String,
    /// Our certificate and the roots of `[sip.tls]`.
    pub certificates: TlsCertificates,
    /// `sip.dns_server`.
    pub dns_server: Option<SocketAddr>,
}

/// The trunk that the options describe, with the same rules as a stored one.
///
/// # Errors
///
/// What is wrong with the options.
pub fn described_trunk(args: &CheckTrunkArgs) -> Result<Trunk, String> {
    let host = args.host.as_deref().ok_or("--host is missing")?;
    let is_bare_v6 = host.parse::<IpAddr>().is_ok();
    let (name, port) = match host.rsplit_once(':').filter(|_| !is_bare_v6) {
        Some((name, port)) => (name, Some(port.parse().map_err(|_| format!("--host {host}: {port:?} is no port"))?)),
        None => (host, None),
    };
    let password = match &args.account_env {
        None => None,
        Some(variable) => Some(std::env::var(variable).map_err(|_| format!("--password-env: {variable} is not set"))?),
    };
    let fields = TrunkFields {
        name: name.to_owned(),
        host: Some(name.trim_matches(['[', ']']).to_owned()),
        port,
        transport: match args.transport.as_str() {
            "tcp" => TrunkTransport::Tcp,
            "tls" => TrunkTransport::Tls,
            _ => TrunkTransport::Udp,
        },
        username: args.username.clone(),
        password: password.map(Into::into),
        register: args.register,
        dial_string: "{e164}".to_owned(),
        codecs: args.codecs.iter().map(|codec| codec.to_ascii_uppercase()).collect(),
        srtp: match args.srtp.as_str() {
            "preferred" => SrtpPolicy::Preferred,
            "mandatory" => SrtpPolicy::Mandatory,
            _ => SrtpPolicy::Off,
        },
        allow_sip_uri: true,
        ..TrunkFields::default()
    };
    let faults: Vec<String> = trunkline_domain::faults(&fields)
        .into_iter()
        .map(|fault| format!("{} {}", fault.field, fault.message))
        .collect();
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    Ok(Trunk::new(OrganizationId::new(), fields, UnixMs(0)))
}

/// Makes the check and prints its report: on standard output what was found, on standard error what is going on.
/// Ctrl-C ends it early; calls are hung up and the report is printed all the same.
///
/// # Errors
///
/// What is wrong with the options or with the trunk for this call.
pub async fn run(args: CheckTrunkArgs, trunk: Trunk, environment: CheckEnvironment) -> Result<CheckReport, String> {
    let to = Destination::parse(&args.to)
        .ok_or_else(|| format!("--to {:?} is neither a number in E.164 (+31201234567) nor a SIP URI", args.to))?;
    if matches!(to, Destination::SipUri(_)) && !trunk.fields.allow_sip_uri {
        return Err("--to: this trunk calls no SIP URIs (allow_sip_uri)".to_owned());
    }
    let check = TrunkCheck {
        to,
        from: args.from,
        listen: Duration::from_secs(args.seconds),
        refer_to: args.refer_to,
        port: args.port,
        advertised: args.advertise.or(environment.advertised),
        server_port: environment.server_port,
        session_expires_s: environment.session_expires_s,
        user_agent: environment.user_agent,
        certificates: environment.certificates,
        dns_server: environment.dns_server,
        trunk,
    };
    let (calls, longest) = check.bounds();
    eprintln!(
        "Checking trunk {:?}: up to {calls} call(s) to {}, which your carrier may charge for. It ends by itself after {} at \
         most; Ctrl-C hangs up and reports what was seen.",
        check.trunk.fields.name,
        args.to,
        minutes(longest)
    );
    if check.trunk.fields.register {
        eprintln!(
            "The trunk registers: the check adds a contact of its own and removes it afterwards. A carrier that allows \
             one contact only replaces the server's; it is back with the server's next refresh."
        );
    }
    let (stopper, stop) = watch::channel(false);
    let listener = tokio::spawn(async move {
        crate::stop_signal().await;
        eprintln!("Hanging up.");
        let _ = stopper.send(true);
        // Dropped with the task only: a closed channel would look like a signal.
        std::future::pending::<()>().await;
    });
    let observed = run::run(&check, stop).await;
    listener.abort();
    let report = CheckReport::new(&check.trunk.fields.name, &args.to, &observed?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        print!("{report}");
    }
    Ok(report)
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02} minutes", seconds / 60, seconds % 60)
}
