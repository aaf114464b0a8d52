//! `/analytics`: sums of calls by day, agent, provider or reason of the end.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::QueryParams;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::call::Direction;
use crate::domain::call_count::percentile;
use crate::domain::ids::AgentId;
use crate::domain::time::UnixMs;
use crate::store::{CallFigureSums, FigureFilter, FigureGroup, OrgScope, StoreError, now};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// Days shown where no range is asked for.
const DAYS_DEFAULT: i64 = 30;
/// Days of one request.
const DAYS_MAX: i64 = 400;
const DAY_MS: i64 = 86_400_000;

/// What groups are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub(super) enum AnalyticsGroup {
    /// Days in UTC.
    Day,
    /// Agents.
    Agent,
    /// Providers, each stage on its own.
    Provider,
    /// Reasons of the end.
    EndReason,
}

impl AnalyticsGroup {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "day" => Self::Day,
            "agent" => Self::Agent,
            "provider" => Self::Provider,
            "end_reason" => Self::EndReason,
            _ => return None,
        })
    }

    /// What the store groups by, with the stage of providers.
    fn columns(self) -> &'static [(FigureGroup, Option<&'static str>)] {
        match self {
            Self::Day => &[(FigureGroup::Day, None)],
            Self::Agent => &[(FigureGroup::Agent, None)],
            Self::EndReason => &[(FigureGroup::EndReason, None)],
            Self::Provider => {
                &[(FigureGroup::Stt, Some("stt")), (FigureGroup::Llm, Some("llm")), (FigureGroup::Tts, Some("tts"))]
            }
        }
    }
}

/// Sums of calls.
#[derive(Serialize, ToSchema)]
pub(super) struct CallSums {
    /// Calls that are over.
    calls: i64,
    /// Of these, calls that were answered.
    answered: i64,
    /// Of all, calls that failed.
    failed: i64,
    /// Seconds between answer and end.
    seconds: i64,
    /// Cost by the price table, in `currency`.
    cost: f64,
    /// Calls that an analysis has judged by the agent's `success_criteria`.
    judged: i64,
    /// Of these, successes.
    successes: i64,
    /// Turns that were taken for finished although the caller went on.
    cut_offs: i64,
    /// Providers that another one stood in for.
    failovers: i64,
    /// Answers of agents.
    answers: i64,
    /// Milliseconds that half of the answers kept to, from the caller's last sound to the agent's first: rounded up to
    /// 50 ms, to 100 ms from one second on, to 500 ms from three seconds on. `null` without answers.
    response_p50_ms: Option<i64>,
    /// The same for 95 of 100 answers.
    response_p95_ms: Option<i64>,
}

impl From<&CallFigureSums> for CallSums {
    fn from(sums: &CallFigureSums) -> Self {
        Self {
            calls: sums.calls,
            answered: sums.answered,
            failed: sums.failed,
            seconds: sums.seconds,
            cost: sums.micros as f64 / 1e6,
            judged: sums.judged,
            successes: sums.successes,
            cut_offs: sums.cut_offs,
            failovers: sums.failovers,
            answers: sums.responses.values().sum(),
            response_p50_ms: percentile(&sums.responses, 0.5),
            response_p95_ms: percentile(&sums.responses, 0.95),
        }
    }
}

/// One group of calls.
#[derive(Serialize, ToSchema)]
pub(super) struct CallGroup {
    /// The day (UTC, `YYYY-MM-DD`), the id of the agent, the name of the provider, or the reason of the end; `null` for
    /// calls that have none.
    key: Option<String>,
    /// `stt`, `llm` or `tts` with providers; `null` otherwise.
    stage: Option<&'static str>,
    /// The sums of its calls.
    #[serde(flatten)]
    sums: CallSums,
}

/// Sums of calls by group.
#[derive(Serialize, ToSchema)]
pub(super) struct AnalyticsBody {
    /// First day (UTC), `YYYY-MM-DD`.
    #[schema(format = "date")]
    from: String,
    /// Last day (UTC), `YYYY-MM-DD`.
    #[schema(format = "date")]
    to: String,
    /// Currency of the price table, such as `USD`.
    currency: String,
    /// What the groups are made of.
    group_by: AnalyticsGroup,
    /// Days in order; of the others, the one with the most calls first. Days without calls are left out.
    groups: Vec<CallGroup>,
    /// The sums of all calls. With `group_by=end_reason` it has no answers.
    total: CallSums,
}

/// Names of providers are short.
fn provider(text: &str) -> Option<String> {
    (1..=100).contains(&text.chars().count()).then(|| text.to_owned())
}

/// A day in the query.
pub(super) fn day(text: &str) -> Option<UnixMs> {
    UnixMs::parse(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10)
}

fn filter(query: &QueryParams) -> Result<FigureFilter, ApiError> {
    let expected = "a day such as 2026-03-27";
    let to = query.value("to", day, expected)?.unwrap_or_else(now);
    let from = query.value("from", day, expected)?.unwrap_or(UnixMs(to.0 - (DAYS_DEFAULT - 1) * DAY_MS));
    if from.day() > to.day() {
        return Err(ApiError::field("from", "must not be after `to`"));
    }
    if to.0 - from.0 >= DAYS_MAX * DAY_MS {
        return Err(ApiError::field("from", format!("must not be more than {DAYS_MAX} days before `to`")));
    }
    let direction = query.value("direction", Direction::parse, "one of inbound, outbound, web, chat")?;
    Ok(FigureFilter {
        first: from.day(),
        last: to.day(),
        agent: query.value("agent_id", AgentId::parse, "a UUID")?.map(|id| id.to_string()),
        provider: query.value("provider", provider, "the name of a provider, such as openai")?,
        direction: direction.map(|direction| direction.name().to_owned()),
    })
}

async fn groups(
    api: &ApiState, scope: OrgScope, filter: &FigureFilter, by: AnalyticsGroup,
) -> Result<(Vec<CallGroup>, CallFigureSums), StoreError> {
    let (mut all, mut total) = (Vec::new(), CallFigureSums::default());
    for (at, (column, stage)) in by.columns().iter().enumerate() {
        for (name, sums) in api.store.call_figures(scope, filter, *column).await? {
            if at == 0 {
                total.add(&sums);
            }
            // A call without a recogniser is not a provider's.
            if stage.is_none() || !name.is_empty() {
                let key = (!name.is_empty()).then_some(name);
                all.push(CallGroup { key, stage: *stage, sums: (&sums).into() });
            }
        }
    }
    if by != AnalyticsGroup::Day {
        all.sort_by_key(|group| std::cmp::Reverse(group.sums.calls));
    }
    Ok((all, total))
}

/// Sums of the calls that began between two days (UTC, both included; the last 30 days without them), by day, agent,
/// provider or reason of the end. A call is counted shortly after its end. A call with several providers of a stage
/// counts for the one that did most.
#[utoipa::path(get, path = "/analytics", tag = "analytics", params(("from" = Option<String>, Query, description = "First day (UTC), `YYYY-MM-DD`; 29 days before `to` by default, 400 days at most.", format = "date"), ("to" = Option<String>, Query, description = "Last day (UTC), `YYYY-MM-DD`; today by default.", format = "date"), ("group_by" = Option<AnalyticsGroup>, Query, description = "What groups are made of; `day` by default."), ("agent_id" = Option<String>, Query, description = "Only calls of this agent.", format = "uuid"), ("provider" = Option<String>, Query, description = "Only calls that this provider had a part in, such as `openai`.", min_length = 1, max_length = 100), ("direction" = Option<Direction>, Query, description = "Only calls in this direction.")), responses((status = 200, body = AnalyticsBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let filter = filter(&query)?;
    let by = query.value("group_by", AnalyticsGroup::parse, "one of day, agent, provider, end_reason")?;
    let by = by.unwrap_or(AnalyticsGroup::Day);
    let (groups, total) = groups(&api, scope, &filter, by).await?;
    let FigureFilter { first: from, last: to, .. } = filter;
    let currency = api.analysis.prices.currency.clone();
    Ok(ApiResponse::ok(AnalyticsBody { from, to, currency, group_by: by, groups, total: (&total).into() }))
}
