//! The order of a check: name, connection, OPTIONS, registration, calls.

use super::call::{self, CallContext, CallPlan, HOLD_TIME, REQUEST_DEADLINE, RING_DEADLINE};
use super::dialog::{self, LocalIdentity, token};
use super::observation::{
    CallObservation, CallPurpose, CheckSettings, Completion, ConnectionObservation, Exchange, ExchangeOutcome,
    NameObservation, RegistrationObservation, SrtpRequest, TrunkObservations,
};
use super::offer::{OfferedSecurity, new_key};
use super::sip_connection::{SipConnection, source_address};
use super::sip_line::{LineError, SipLine, begin_again};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use trunkline::call::invite::{InviteParams, LocalHost, invite};
use trunkline::call::trunk_routes::{bound_credentials, proxy_hop, registration};
use trunkline_domain::phone_number::Destination;
use trunkline_domain::trunk::{IdentityHeader, SrtpPolicy, Trunk};
use trunkline_signaling::io::tls::TlsCertificates;
use trunkline_signaling::io::{NameReport, report_name};
use trunkline_signaling::sip::message::{HeaderName, Headers, Method, Uri};
use trunkline_signaling::sip::transport::Transport;
use trunkline_signaling::sip::user_agent::{InviteRequest, NextHop, RegistrationConfig};

/// How long a call with one codec lasts.
const SHORT_CALL: Duration = Duration::from_secs(3);
/// Calls of one check at most: the thorough one, one without SRTP, one for each of four codecs.
const ONE_CODEC_CALLS_MAX: usize = 4;
/// Name, connection, OPTIONS and registration.
const BEGINNING_MAX: Duration = Duration::from_secs(45);

/// What to check.
pub(super) struct TrunkCheck {
    pub trunk: Trunk,
    pub to: Destination,
    pub from: Option<String>,
    /// How long the thorough call is listened to.
    pub listen: Duration,
    pub refer_to: Option<String>,
    /// Local port for SIP; 0 for any.
    pub port: u16,
    /// Our address as the carrier sees it; `None`: that of the route to it.
    pub advertised: Option<IpAddr>,
    pub server_port: u16,
    pub session_expires_s: u32,
    pub user_agent: String,
    pub certificates: TlsCertificates,
    pub dns_server: Option<SocketAddr>,
}

impl TrunkCheck {
    /// How many calls it may make, and how long it takes at most.
    pub(super) fn bounds(&self) -> (usize, Duration) {
        let codecs = self.trunk.fields.codecs.len().min(ONE_CODEC_CALLS_MAX);
        let short = if codecs > 1 { codecs } else { 0 };
        let thorough = 1 + usize::from(self.trunk.fields.srtp == SrtpPolicy::Preferred);
        let each = RING_DEADLINE + 3 * REQUEST_DEADLINE;
        let calls = each * (thorough + short) as u32;
        let listened =
            (self.listen + 3 * HOLD_TIME + 3 * REQUEST_DEADLINE) * thorough as u32 + SHORT_CALL * short as u32;
        (thorough + short, BEGINNING_MAX + calls + listened)
    }
}

/// Makes the check. Fails before anything is sent if the trunk cannot make this call.
pub(super) async fn run(check: &TrunkCheck, stop: watch::Receiver<bool>) -> Result<TrunkObservations, String> {
    let fields = &check.trunk.fields;
    let targets = fields.all_targets();
    // Only what needs no address of ours is judged with this one.
    let template = template(check, LocalHost { addr: [0, 0, 0, 0].into(), port: 0 })?;
    let proxy = proxy_hop(fields).map(|(hop, _)| hop);
    let named = match &check.to {
        Destination::SipUri(_) => Some(NextHop::of(&template.request_uri)),
        Destination::Number(_) => None,
    };
    let hop = proxy.or_else(|| template.hops.first().cloned()).or(named).ok_or("the trunk has no host")?;
    let report = report_name(&hop, template.transport, check.dns_server).await;
    let mut seen = first_observations(check, &template, &hop, &report);
    let deadline = Instant::now() + check.bounds().1;
    let mut opened = None;
    for address in report.addresses.iter().flatten().take(3) {
        seen.settings.transport = address.transport.name();
        match SipConnection::open(address.transport, address.addr, check.port, &hop.host, &check.certificates).await {
            Ok((connection, how)) => {
                seen.connection = how;
                opened = Some((connection, address.addr));
                break;
            }
            Err(how) => seen.connection = how,
        }
    }
    let Some((connection, peer)) = opened else { return Ok(seen) };
    let source = source_address(peer).await.map_err(|error| format!("{peer}: {error}"))?;
    let advertised = check.advertised.unwrap_or(source);
    seen.settings.advertised = advertised;
    seen.settings.local_port = connection.local.port();
    let local = local_identity(&connection, advertised, &check.user_agent);
    let credentials = bound_credentials(fields).map(|bound| bound.credentials);
    let template = self::template(check, LocalHost { addr: advertised, port: connection.local.port() })?;
    let mut line = SipLine::new(connection, credentials, stop, deadline);
    let context = CallContext {
        local,
        advertised,
        template,
        session_expires_s: if check.session_expires_s == 0 { 1_800 } else { check.session_expires_s },
        ptime_ms: fields.ptime_ms.unwrap_or(20),
    };
    let host = targets.first().map_or(hop.host.as_str(), |target| target.host.as_str()).to_owned();
    let result = steps(check, &mut line, &context, &host, &mut seen).await;
    line.clean_up();
    if let (Some(config), Some(true)) = (registration(&check.trunk), seen.registration.as_ref().map(is_registered)) {
        let _ = register(&mut line, &context, &config, 0).await;
    }
    seen.completion = match result {
        Ok(()) => Completion::Complete,
        Err(LineError::Interrupted) => Completion::Interrupted,
        Err(LineError::TimeUp) => Completion::TimeUp,
        Err(LineError::Lost(why)) => Completion::ConnectionLost(why),
    };
    Ok(seen)
}

fn template(check: &TrunkCheck, local: LocalHost) -> Result<InviteRequest, String> {
    let params = InviteParams {
        from_number: check.from.as_deref(),
        destination: &check.to,
        sdp: Vec::new(),
        headers: Headers::default(),
    };
    invite(&check.trunk, &check.trunk.fields.all_targets(), local, params).map_err(|error| error.to_string())
}

fn local_identity(connection: &SipConnection, advertised: IpAddr, user_agent: &str) -> LocalIdentity {
    let host = if advertised.is_ipv6() { format!("[{advertised}]") } else { advertised.to_string() };
    let param = match connection.transport {
        Transport::Udp | Transport::Ws | Transport::Wss => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    let port = connection.local.port();
    LocalIdentity {
        // A user of its own: the registrar keeps it apart from the contact of a running server.
        contact: format!("<sip:check-{}@{host}:{port}{param}>", token()),
        via_host: host,
        via_transport: connection.transport.name(),
        port,
        user_agent: user_agent.to_owned(),
    }
}

fn first_observations(
    check: &TrunkCheck, template: &InviteRequest, hop: &NextHop, report: &NameReport,
) -> TrunkObservations {
    let fields = &check.trunk.fields;
    let addresses = match &report.addresses {
        Ok(found) => Ok(found.iter().map(|address| address.addr).collect()),
        Err(why) => Err(why.clone()),
    };
    TrunkObservations {
        settings: CheckSettings {
            transport: template.transport.name(),
            codecs: fields.codecs.clone(),
            srtp: match fields.srtp {
                SrtpPolicy::Off => SrtpRequest::Off,
                SrtpPolicy::Preferred => SrtpRequest::Preferred,
                SrtpPolicy::Mandatory => SrtpRequest::Mandatory,
            },
            has_credentials: fields.username.is_some() && fields.password.is_some(),
            local_port: check.port,
            server_port: check.server_port,
            advertised: check.advertised.unwrap_or([0, 0, 0, 0].into()),
            identity_header: match fields.identity_header {
                IdentityHeader::None => None,
                IdentityHeader::PAssertedIdentity => Some("P-Asserted-Identity"),
                IdentityHeader::PPreferredIdentity => Some("P-Preferred-Identity"),
                IdentityHeader::RemotePartyId => Some("Remote-Party-ID"),
            },
            ptime_ms: fields.ptime_ms.unwrap_or(20),
            refer_to: check.refer_to.clone(),
        },
        name: NameObservation {
            host: hop.host.clone(),
            naptr: report.transports.iter().map(|transport| transport.name().to_owned()).collect(),
            srv: report.hosts.iter().map(|(_, host, port)| format!("{host}:{port}")).take(8).collect(),
            addresses,
        },
        connection: ConnectionObservation::NotTried,
        options: Exchange::default(),
        registration: None,
        calls: Vec::new(),
        completion: Completion::Complete,
    }
}

async fn steps(
    check: &TrunkCheck, line: &mut SipLine, context: &CallContext, host: &str, seen: &mut TrunkObservations,
) -> Result<(), LineError> {
    let uri = Uri::sip(None, host, context.template.request_uri.port);
    let routes: Vec<String> = context.template.headers.all(&HeaderName::Route).map(str::to_owned).collect();
    let (from, to) = (context.template.from.to_string(), format!("<{uri}>"));
    let mut options = dialog::outside(&context.local, Method::Options, uri, &from, &to, &routes);
    options.headers.push(HeaderName::Accept, "application/sdp");
    (seen.options, _) = line.exchange(&mut options, REQUEST_DEADLINE, |_| context.local.via()).await?;
    if let Some(config) = registration(&check.trunk) {
        let observed = register(line, context, &config, config.expires_s).await?;
        let go_on = is_registered(&observed);
        seen.registration = Some(observed);
        if !go_on {
            return Ok(());
        }
    }
    calls(check, line, context, seen).await
}

async fn calls(
    check: &TrunkCheck, line: &mut SipLine, context: &CallContext, seen: &mut TrunkObservations,
) -> Result<(), LineError> {
    let fields = &check.trunk.fields;
    let thorough = |purpose: CallPurpose, security: OfferedSecurity| CallPlan {
        purpose,
        codecs: fields.codecs.clone(),
        security,
        listen: check.listen,
        refer_to: check.refer_to.clone(),
    };
    let security = match fields.srtp {
        SrtpPolicy::Off => OfferedSecurity::None,
        SrtpPolicy::Preferred => OfferedSecurity::Optional(new_key()),
        SrtpPolicy::Mandatory => OfferedSecurity::Required(new_key()),
    };
    let mut last = make(line, context, &thorough(CallPurpose::Full, security), seen).await?;
    if fields.srtp == SrtpPolicy::Preferred && matches!(last, Some(488 | 606 | 415)) {
        last = make(line, context, &thorough(CallPurpose::WithoutSrtp, OfferedSecurity::None), seen).await?;
    }
    // Where the number itself is refused, other codecs change nothing.
    if fields.codecs.len() < 2 || !matches!(last, Some(200..=299 | 488 | 606 | 415)) {
        return Ok(());
    }
    for codec in fields.codecs.iter().take(ONE_CODEC_CALLS_MAX) {
        let plan = CallPlan {
            purpose: CallPurpose::OneCodec(codec.clone()),
            codecs: vec![codec.clone()],
            security: if matches!(security, OfferedSecurity::Required(_)) { security } else { OfferedSecurity::None },
            listen: SHORT_CALL,
            refer_to: None,
        };
        make(line, context, &plan, seen).await?;
    }
    Ok(())
}

/// Makes a call, keeps what was seen of it and returns its final status.
async fn make(
    line: &mut SipLine, context: &CallContext, plan: &CallPlan, seen: &mut TrunkObservations,
) -> Result<Option<u16>, LineError> {
    let (observed, result) = call::place(line, context, plan).await;
    let status = status_of(&observed);
    seen.calls.push(observed);
    result.map(|()| status)
}

fn status_of(call: &CallObservation) -> Option<u16> {
    match &call.invite.outcome {
        ExchangeOutcome::Answered(reply) => Some(reply.status),
        ExchangeOutcome::NoAnswer | ExchangeOutcome::NotTried => None,
    }
}

fn is_registered(seen: &RegistrationObservation) -> bool {
    matches!(&seen.exchange.outcome, ExchangeOutcome::Answered(reply) if (200..300).contains(&reply.status))
}

/// Registers the check's contact for so long; 0 takes it back.
async fn register(
    line: &mut SipLine, context: &CallContext, config: &RegistrationConfig, expires_s: u32,
) -> Result<RegistrationObservation, LineError> {
    let routes: Vec<String> = context.template.headers.all(&HeaderName::Route).map(str::to_owned).collect();
    let aor = format!("<{}>", config.aor);
    let mut request = dialog::outside(&context.local, Method::Register, config.registrar.clone(), &aor, &aor, &routes);
    request.headers.push(HeaderName::Expires, expires_s.to_string());
    let (mut exchange, mut response) = line.exchange(&mut request, REQUEST_DEADLINE, |_| context.local.via()).await?;
    let too_brief = response.as_ref().filter(|response| response.status == 423);
    if let Some(wanted_s) = too_brief.and_then(|response| response.headers.number(&HeaderName::MinExpires)) {
        request.headers.set(HeaderName::Expires, wanted_s.to_string());
        begin_again(&mut request, context.local.via());
        (exchange, response) = line.exchange(&mut request, REQUEST_DEADLINE, |_| context.local.via()).await?;
    }
    let own = context.local.contact.trim_matches(['<', '>']).to_owned();
    let contacts: Vec<String> =
        response.iter().flat_map(|r| r.headers.list(&HeaderName::Contact)).map(str::to_owned).collect();
    let granted = contacts
        .iter()
        .find(|contact| contact.contains(&own))
        .and_then(|contact| contact.split(';').find_map(|param| param.trim().strip_prefix("expires=")?.parse().ok()));
    let header = response.as_ref().and_then(|response| response.headers.number(&HeaderName::Expires));
    Ok(RegistrationObservation {
        exchange,
        asked_s: expires_s,
        granted_s: granted.or(header),
        other_contacts: contacts.iter().filter(|contact| !contact.contains(&own)).count(),
    })
}
