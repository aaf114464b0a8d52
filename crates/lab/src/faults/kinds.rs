//! The kinds of calls in the fault soak.

use super::target::FaultTarget;
use super::{encrypted, inbound, media, outbound, streams};
use futures_util::future::BoxFuture;
use std::sync::Arc;

type Run = fn(Arc<FaultTarget>) -> BoxFuture<'static, Result<(), String>>;

/// One kind of call.
#[derive(Clone, Copy)]
pub(super) struct FaultKind {
    pub name: &'static str,
    /// How often it is drawn, beside the others.
    pub weight: u32,
    pub run: Run,
}

macro_rules! kinds {
    ($($weight:literal $module:ident :: $kind:ident,)*) => {
        &[$(FaultKind {
            name: stringify!($kind),
            weight: $weight,
            run: |target| Box::pin($module::$kind(target)),
        }),*]
    };
}

/// Every kind. Those that hold a call for half a minute, or load others with it, are rarer.
pub(super) const KINDS: &[FaultKind] = kinds![
    4 inbound::ack_in_the_invites_transaction,
    4 inbound::no_branch_at_all,
    4 inbound::reinvites_acked_in_their_transactions,
    2 inbound::no_ack,
    2 inbound::gone_before_the_ack,
    2 inbound::reinvite_without_ack,
    4 inbound::one_registrar_two_accounts,
    4 inbound::dtls_reoffered,
    2 inbound::dtls_that_never_starts,
    4 inbound::ice_and_dtls_of_a_pbx,
    4 inbound::ice_restart,
    4 inbound::reinvite_without_an_offer_on_srtp,
    4 inbound::challenges_without_an_end,
    4 inbound::contact_that_leads_nowhere,
    4 inbound::bodies_of_all_kinds,
    4 inbound::name_for_an_address,
    4 inbound::sips_without_tls,
    4 inbound::spaces_behind_start_lines,
    4 inbound::hold_by_port_zero,
    4 inbound::info_of_all_kinds,
    4 inbound::given_up_while_ringing,
    4 inbound::cancel_crosses_the_answer,
    4 inbound::transfers_are_refused,
    4 inbound::refused_and_not_acknowledged,
    4 encrypted::dtls_handshake_at_once,
    4 media::digits_with_their_own_source,
    4 media::moved_port,
    4 media::new_sources,
    4 media::long_keys,
    4 media::long_packets,
    4 media::opus_with_a_wrong_clock,
    4 media::malformed_packets,
    4 outbound::answer_in_a_reliable_183,
    2 outbound::early_dialog_without_an_end,
    4 outbound::forks_with_answers,
    4 outbound::two_forks_answer,
    4 outbound::update_before_the_answer,
    4 outbound::two_challengers,
    4 outbound::challenged_again_and_again,
    4 outbound::optional_keys_refused,
    4 outbound::name_in_the_answer,
    4 outbound::answer_with_port_zero,
    4 outbound::by_the_service_route,
    2 outbound::dtls_answer_that_never_starts,
    4 outbound::opus_is_answered,
    2 outbound::callee_vanishes,
    4 outbound::busy,
    4 streams::contact_that_nobody_listens_at,
    2 streams::connection_lost_while_ringing,
    2 streams::answer_over_a_new_connection,
    4 streams::connection_lost_in_the_call,
    4 streams::ping_in_two_segments,
    1 streams::registration_whose_connection_is_lost,
    1 streams::websocket_that_breaks,
];
