//! Turns as OpenTelemetry spans, sent by OTLP over HTTP to a collector: one span for a call, one for each turn of
//! it, one for each stage the caller waited for. Numbers and words stay out of them. Without the feature `otlp` there is
//! nothing here that could send.

/// A time span in milliseconds of the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// `call`, `turn`, or a stage of a turn such as `decision` or `playout`.
    pub name: &'static str,
    /// Start, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// End, in milliseconds since the Unix epoch.
    pub to_ms: i64,
}

/// One turn of a call: what the caller waited for before the agent spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnTrace {
    /// From the caller's last sound to our first packet.
    pub whole: Span,
    /// Stages of the turn in order, each beginning where the one before ends.
    pub stages: Vec<Span>,
    /// `provider/model` of each.
    pub model: Option<String>,
    /// `provider/model` of the TTS that spoke; `None` if none did.
    pub voice: Option<String>,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTrace {
    /// UUID of the call.
    pub id: String,
    /// UUID of the call's organization.
    pub organization: String,
    /// UUID of the agent; `None` if the call had none.
    pub agent: Option<String>,
    /// `inbound`, `outbound` or `web`.
    pub direction: &'static str,
    /// Why the call ended, as customers read it; `None` while that is unknown.
    pub end_reason: Option<&'static str>,
    /// From the answer to the end of the call.
    pub whole: Span,
    /// Turns in order; empty if the agent never answered what the caller said.
    pub turns: Vec<TurnTrace>,
}

#[cfg(feature = "otlp")]
pub use otlp::TraceExporter;

#[cfg(not(feature = "otlp"))]
pub use nothing::TraceExporter;

#[cfg(not(feature = "otlp"))]
mod nothing {
    /// Sends nothing.
    #[derive(Clone, Debug, Default)]
    pub struct TraceExporter(());

    impl TraceExporter {
        /// Accepts an empty endpoint alone: this program was built without the feature `otlp`.
        pub fn start(endpoint: &str) -> Result<Self, String> {
            if endpoint.is_empty() {
                return Ok(Self(()));
            }
            Err("telemetry.otlp_endpoint needs a program built with the feature otlp".to_owned())
        }

        /// Drops the trace.
        pub fn export(&self, _call: super::CallTrace) {}
    }
}

#[cfg(feature = "otlp")]
mod otlp {
    use super::{CallTrace, Span};
    use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_otlp::WithExportConfig as _;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    /// Spans wait in the exporter's bounded queue; spans that find no room there are lost.
    #[derive(Clone, Debug, Default)]
    pub struct TraceExporter(Option<SdkTracerProvider>);

    fn at(ms: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms.max(0) as u64)
    }

    impl TraceExporter {
        /// `endpoint` is that of the signal: `http://127.0.0.1:4318/v1/traces`; without one nothing is sent.
        pub fn start(endpoint: &str) -> Result<Self, String> {
            if endpoint.is_empty() {
                return Ok(Self(None));
            }
            let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(endpoint).build();
            let exporter = exporter.map_err(|error| format!("telemetry.otlp_endpoint: {error}"))?;
            let resource = Resource::builder().with_service_name("trunkline").build();
            Ok(Self(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
        }

        /// Queues the spans of an ended call for the collector; does nothing without an endpoint.
        pub fn export(&self, call: CallTrace) {
            let Some(provider) = &self.0 else { return };
            let tracer = provider.tracer("trunkline");
            let span = |span: &Span, parent: &Context, attributes: Vec<KeyValue>| {
                let builder = tracer
                    .span_builder(span.name)
                    .with_kind(SpanKind::Internal)
                    .with_start_time(at(span.from_ms))
                    .with_attributes(attributes);
                parent.with_span(tracer.build_with_context(builder, parent))
            };
            let mut about = vec![
                KeyValue::new("trunkline.call.id", call.id),
                KeyValue::new("trunkline.organization.id", call.organization),
                KeyValue::new("trunkline.call.direction", call.direction),
            ];
            about.extend(call.agent.map(|agent| KeyValue::new("trunkline.agent.id", agent)));
            about.extend(call.end_reason.map(|reason| KeyValue::new("trunkline.call.end_reason", reason)));
            let whole = span(&call.whole, &Context::new(), about);
            for turn in &call.turns {
                let mut who = Vec::new();
                who.extend(turn.model.clone().map(|model| KeyValue::new("trunkline.model", model)));
                who.extend(turn.voice.clone().map(|voice| KeyValue::new("trunkline.voice", voice)));
                let parent = span(&turn.whole, &whole, who);
                for stage in &turn.stages {
                    span(stage, &parent, Vec::new()).span().end_with_timestamp(at(stage.to_ms));
                }
                parent.span().end_with_timestamp(at(turn.whole.to_ms));
            }
            whole.span().end_with_timestamp(at(call.whole.to_ms));
        }
    }
}
