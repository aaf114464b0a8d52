//! The second phone of the demo: whom the agent transfers to. It answers every call, as long as the demo runs.

use crate::caller::script::{CallScript, SpokenTexts};
use crate::caller::softphone::Softphone;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What it says: that it is there, and that it has heard the caller.
const SCRIPT: &str = "pause 700; say \"Hello, this is the second phone of the demo. You have been put through. Say something, please.\"; \
    listen; say \"I have heard you. Goodbye.\"; pause 300; hangup";

/// Its RTP ports.
const RTP_PORTS: (u16, u16) = (55_000, 55_999);

/// The texts that a voice has to speak for it.
pub(super) fn texts() -> Vec<&'static str> {
    CallScript::texts(SCRIPT)
}

/// Opens it on a free port and answers its calls.
pub(super) async fn open(address: IpAddr, spoken: &SpokenTexts) -> Result<SocketAddr, String> {
    let script = Arc::new(CallScript::parse_spoken(SCRIPT, spoken)?);
    let opened = Softphone::open(SocketAddr::new(address, 0), RTP_PORTS).await;
    let (phone, mut incoming) = opened.map_err(|error| error.to_string())?;
    let here = phone.sip.local_udp();
    let phone = Arc::new(phone);
    tokio::spawn(async move {
        while let Some(call) = incoming.recv().await {
            let (phone, script) = (phone.clone(), script.clone());
            tokio::spawn(async move { phone.answer(call, &script, None).await });
        }
    });
    Ok(here)
}
