//! The metrics page: names, units and buckets in one place.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Installs the recorder of this process.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let turn = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0];
    let setup = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("trunkline_turn_seconds".to_owned()), &turn)?
        .set_buckets_for_metric(Matcher::Full("trunkline_setup_seconds".to_owned()), &setup)?
        .set_buckets_for_metric(Matcher::Full("trunkline_jitter_seconds".to_owned()), &setup)?
        .install_recorder()?;
    describe_counter!("trunkline_calls_started_total", "Calls begun, by direction");
    describe_counter!("trunkline_calls_ended_total", "Calls ended, by direction and reason");
    describe_counter!("trunkline_call_controls_total", "Commands that calls took from beside them, by command");
    describe_counter!("trunkline_listen_ins_total", "People who began to listen to a call");
    describe_gauge!("trunkline_calls", "Calls in progress");
    describe_histogram!("trunkline_setup_seconds", Unit::Seconds, "INVITE to our 200");
    describe_histogram!(
        "trunkline_turn_seconds",
        Unit::Seconds,
        "Parts of a turn, one after the other: recogniser (the caller's last sound to the last final words), decision (that the turn is over), model (first token), sentence (first one that can be spoken), voice (first sound of it), playout (our first packet); end_of_turn is the first two, response all of them"
    );
    describe_histogram!("trunkline_jitter_seconds", Unit::Seconds, "Interarrival jitter of a call");
    describe_counter!("trunkline_rtp_packets_received_total", "RTP packets received");
    describe_counter!("trunkline_rtp_packets_lost_total", "RTP packets lost on their way to us");
    describe_local_speech();
    describe_counter!("trunkline_queue_overflows_total", "Entries lost to a full queue, by queue");
    describe_counter!("trunkline_provider_errors_total", "Failures of providers, by stage and kind");
    describe_counter!("trunkline_provider_retries_total", "Requests repeated inside a turn, by stage");
    describe_counter!(
        "trunkline_provider_unreadable_frames_total",
        "Text frames of providers that were empty or no JSON, by stage"
    );
    describe_counter!("trunkline_stt_repeated_finals_total", "Final words that STT sent again for the same audio");
    describe_counter!("trunkline_sip_messages_total", "SIP messages, by fate");
    describe_gauge!("trunkline_sip_sessions", "Calls, registrations and probes that the SIP user agent holds");
    describe_gauge!("trunkline_sip_transactions", "SIP transactions held, by our role in them");
    describe_gauge!("trunkline_media_port_pairs_free", "Pairs of RTP and RTCP ports that no call holds");
    describe_gauge!("trunkline_connections", "Connections there are, by listener");
    describe_counter!("trunkline_connections_accepted_total", "Connections that were taken, by listener");
    describe_counter!(
        "trunkline_connections_closed_total",
        "Connections that were refused or ended by us, by listener and reason"
    );
    describe_counter!("trunkline_media_slot_lateness_seconds_bucket", "Frames that left at most this late");
    describe_counter!("trunkline_media_slot_lateness_seconds_count", "Frames sent");
    describe_counter!(
        "trunkline_media_events_dropped_total",
        "What legs reported and their calls did not take in time, by kind"
    );
    describe_counter!("trunkline_panics_total", "Panics, each kept to its part: defects, by part");
    describe_counter!("trunkline_journal_entries_lost_total", "Entries of calls that the database refused");
    Ok(handle)
}

/// The models of this machine, and the way back from them.
fn describe_local_speech() {
    describe_counter!("trunkline_speech_worker_starts_total", "Starts of the speech worker");
    describe_counter!("trunkline_speech_worker_crashes_total", "Ends of the speech worker that nobody wanted");
    describe_gauge!("trunkline_speech_worker_waiting", "Requests that wait for the speech worker, by kind: stt, tts");
    describe_histogram!(
        "trunkline_speech_worker_request_seconds",
        Unit::Seconds,
        "From a request to the speech worker to its last answer, waiting included, by kind: final, partial, speech"
    );
    describe_counter!(
        "trunkline_speech_worker_dropped_total",
        "Requests to the speech worker without an answer, by kind (final, partial, speech) and reason"
    );
    describe_counter!(
        "trunkline_stt_failbacks_total",
        "Trials of an STT service beside its fallback, by result: passed (it listens again), failed"
    );
    describe_counter!("trunkline_local_stt_lost_total", "Sentences whose words the local STT lost");
    describe_histogram!("trunkline_local_stt_seconds", Unit::Seconds, "What one request to the local STT took");
}
