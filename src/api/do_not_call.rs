//! `/do-not-call`: numbers that the organization never calls.

use super::auth::{Actor, OrgAuth};
use super::error::ApiError;
use super::input::{JsonObject, Paging, QueryParams, typed_with};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::domain::FieldError;
use crate::domain::phone_number::{PhoneNumber, without_separators};
use crate::store::DoNotCallEntry;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

/// Numbers of one request.
const NUMBERS_MAX: usize = 1_000;
const REASON_CHARS_MAX: usize = 500;
const E164: &str = "must be a number in E.164 form, such as +31201234567";

/// A number that is not called.
#[derive(Serialize, ToSchema)]
#[schema(as = DoNotCallEntry)]
pub(super) struct DoNotCallView {
    #[schema(format = "uuid")]
    id: String,
    /// E.164.
    number: String,
    /// Why it is not called, in your words.
    reason: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
}

impl From<DoNotCallEntry> for DoNotCallView {
    fn from(entry: DoNotCallEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            number: entry.number.to_string(),
            reason: entry.reason,
            created_at: entry.created_at.rfc3339(),
        }
    }
}

/// A page of the do-not-call list.
#[derive(Serialize, ToSchema)]
pub(super) struct DoNotCallPage {
    /// Numbers, the latest first.
    do_not_call: Vec<DoNotCallView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// Numbers to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DoNotCallFields)]
pub(super) struct DoNotCallInput {
    /// E.164; separators such as spaces, dots, hyphens and parentheses are left out.
    #[schema(min_items = 1, max_items = 1_000)]
    numbers: Vec<String>,
    /// Why they are not called, in your words: 500 characters at most.
    #[serde(default)]
    #[schema(max_length = 500, example = "Asked on the phone")]
    reason: Option<String>,
}

/// What became of the numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct DoNotCallAdded {
    /// Numbers that were not on the list before.
    added: u64,
    /// Numbers that were on it; they keep their reason and time.
    already_listed: u64,
}

/// The number in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path")]
pub(super) struct NumberPath {
    /// The number in E.164 form; its plus may be written as %2B.
    #[param(pattern = "^\\+[1-9][0-9]{6,14}$")]
    number: String,
}

fn parsed(text: &str) -> Option<PhoneNumber> {
    PhoneNumber::parse(&without_separators(text))
}

fn faults(input: &DoNotCallInput) -> Vec<FieldError> {
    let mut found = Vec::new();
    if !(1..=NUMBERS_MAX).contains(&input.numbers.len()) {
        found.push(FieldError::new("numbers", format!("must have 1 to {NUMBERS_MAX} numbers")));
    }
    let wrong = input.numbers.iter().enumerate().filter(|(_, text)| parsed(text).is_none());
    found.extend(wrong.take(20).map(|(at, _)| FieldError::new(format!("numbers[{at}]"), E164)));
    if input.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        found.push(FieldError::new("reason", format!("must not have more than {REASON_CHARS_MAX} characters")));
    }
    found
}

/// The numbers that the organization never calls, the latest first.
#[utoipa::path(get, path = "/do-not-call", tag = "do-not-call", params(Paging, ("number" = Option<String>, Query, description = "Only this number, in E.164 form.")), responses((status = 200, body = DoNotCallPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let number = query.value("number", parsed, "a number in E.164 form, such as %2B31201234567")?;
    let (rows, total) = api.store.do_not_call(scope, number.as_ref(), page).await?;
    let do_not_call = rows.into_iter().map(DoNotCallView::from).collect();
    Ok(ApiResponse::ok(DoNotCallPage { do_not_call, total, limit: page.limit, offset: page.offset }))
}

/// Adds numbers, all or none. From now on neither a task nor a transfer calls them; a call that is under way goes on.
#[utoipa::path(post, path = "/do-not-call", tag = "do-not-call", request_body = DoNotCallInput, responses((status = 201, body = DoNotCallAdded)))]
pub(super) async fn add(
    State(api): State<ApiState>, caller: Actor, JsonObject(mut object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    object.retain(|_, value| !value.is_null());
    let input: DoNotCallInput = typed_with(object, Vec::new(), faults)?;
    let numbers: BTreeSet<PhoneNumber> = input.numbers.iter().filter_map(|text| parsed(text)).collect();
    let numbers: Vec<PhoneNumber> = numbers.into_iter().collect();
    let added = api.store.add_do_not_call(caller.scope, &numbers, input.reason.as_ref()).await?;
    let target = match numbers.as_slice() {
        [number] => number.to_string(),
        several => format!("{} numbers", several.len()),
    };
    caller.audit(&api, "do_not_call.add", target).await?;
    let already_listed = (numbers.len() as u64).saturating_sub(added);
    Ok(ApiResponse::created(DoNotCallAdded { added, already_listed }))
}

/// Takes a number off the list.
#[utoipa::path(delete, path = "/do-not-call/{number}", tag = "do-not-call", params(NumberPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, caller: Actor, Path(number): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let number = parsed(&number).ok_or_else(|| ApiError::field("number", E164))?;
    if !api.store.delete_do_not_call(caller.scope, &number).await? {
        return Err(ApiError::not_found("Number"));
    }
    caller.audit(&api, "do_not_call.delete", &number).await?;
    Ok(ApiResponse::deleted())
}
