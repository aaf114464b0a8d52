//! `/usage`: seconds, tokens, characters and cost for each organization and day.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::QueryParams;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::time::UnixMs;
use crate::store::{UsageDay, now};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// Days shown where no range is asked for.
const DAYS_DEFAULT: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// Usage of an organization in a day.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageDay)]
pub(super) struct UsageDayView {
    /// Organization that made the calls.
    #[schema(format = "uuid")]
    organization_id: String,
    /// Day in UTC, `YYYY-MM-DD`.
    #[schema(format = "date")]
    day: String,
    /// Calls that ended.
    calls: i64,
    /// Seconds of answered calls.
    seconds: i64,
    /// Tokens that LLMs read.
    prompt_tokens: i64,
    /// Tokens that LLMs wrote.
    completion_tokens: i64,
    /// Characters that voices were given.
    characters: i64,
    /// Cost by the price table, in `currency`.
    cost: f64,
}

impl From<&UsageDay> for UsageDayView {
    fn from(day: &UsageDay) -> Self {
        Self {
            organization_id: day.organization.to_string(),
            day: day.day.clone(),
            calls: day.calls,
            seconds: day.seconds,
            prompt_tokens: day.prompt_tokens,
            completion_tokens: day.completion_tokens,
            characters: day.characters,
            cost: day.micros as f64 / 1e6,
        }
    }
}

/// The sum of all days.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageTotal {
    /// Calls that ended.
    calls: i64,
    /// Seconds of answered calls.
    seconds: i64,
    /// Tokens that LLMs read.
    prompt_tokens: i64,
    /// Tokens that LLMs wrote.
    completion_tokens: i64,
    /// Characters that voices were given.
    characters: i64,
    /// Cost by the price table, in `currency`.
    cost: f64,
}

/// Usage by day.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageBody {
    /// First day, `YYYY-MM-DD`.
    #[schema(format = "date")]
    from: String,
    /// Last day, `YYYY-MM-DD`.
    #[schema(format = "date")]
    to: String,
    /// Currency of the price table, such as `USD`.
    currency: String,
    /// Newest first; of the organization itself and of those billed to it.
    usage: Vec<UsageDayView>,
    /// The sum of `usage`.
    total: UsageTotal,
}

/// Usage between two days (UTC, both included; the last 30 days without them).
#[utoipa::path(get, path = "/usage", tag = "usage", params(("from" = Option<String>, Query, description = "First day (UTC), `YYYY-MM-DD`; 29 days before `to` by default.", format = "date"), ("to" = Option<String>, Query, description = "Last day (UTC), `YYYY-MM-DD`; today by default.", format = "date")), responses((status = 200, body = UsageBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let day = |text: &str| UnixMs::parse(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10);
    let to = query.value("to", day, "a day such as 2026-03-27")?.unwrap_or_else(now);
    let from = query.value("from", day, "a day such as 2026-03-27")?;
    let from = from.unwrap_or(UnixMs(to.0 - (DAYS_DEFAULT - 1) * DAY_MS));
    let (from, to) = (from.rfc3339()[..10].to_owned(), to.rfc3339()[..10].to_owned());
    let days = api.store.usage(scope, &from, &to).await?;
    let sum = |of: fn(&UsageDay) -> i64| days.iter().map(of).sum::<i64>();
    let total = UsageTotal {
        calls: sum(|day| day.calls),
        seconds: sum(|day| day.seconds),
        prompt_tokens: sum(|day| day.prompt_tokens),
        completion_tokens: sum(|day| day.completion_tokens),
        characters: sum(|day| day.characters),
        cost: sum(|day| day.micros) as f64 / 1e6,
    };
    let usage = days.iter().map(UsageDayView::from).collect();
    Ok(ApiResponse::ok(UsageBody { from, to, currency: api.analysis.prices.currency.clone(), usage, total }))
}
