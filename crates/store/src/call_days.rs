//! Calls in daily figures: each is counted once, when it is over and wrapped up, and lists of figures never read calls.

use super::{DatabaseBackend, OrgScope, Store, StoreError, document, now};
use serde_json::Value;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row as _, Transaction};
use std::collections::BTreeMap;
use trunkline_domain::call::Direction;
use trunkline_domain::call_count::{CallCount, ResponseHistogram, rounded_response_ms};
use trunkline_domain::time::UnixMs;

/// Calls that are counted in one transaction, of those that were there before they were counted at their end.
const BACKLOG_BATCH: i64 = 200;
/// A call that ended and was not wrapped up in this time is counted without its report.
const GIVE_UP_MS: i64 = 600_000;

/// What the day of a call is a row of.
struct DayKey {
    organization: String,
    day: String,
    agent: String,
    direction: String,
    stt: String,
    llm: String,
    tts: String,
}

/// What one call adds to its day.
#[derive(Default)]
struct DayChange {
    calls: i64,
    answered: i64,
    failed: i64,
    seconds: i64,
    micros: i64,
    judged: i64,
    successes: i64,
    cut_offs: i64,
    failovers: i64,
}

fn text(row: &AnyRow, name: &str) -> Result<String, StoreError> {
    Ok(row.try_get::<Option<String>, _>(name)?.unwrap_or_default())
}

/// The key of a call's day; its providers are already columns of it.
fn key(row: &AnyRow, count: &CallCount) -> Result<DayKey, StoreError> {
    let name = |one: &Option<String>| one.clone().unwrap_or_default();
    Ok(DayKey {
        organization: row.try_get("organization_id")?,
        day: UnixMs(row.try_get("started_at")?).day(),
        agent: text(row, "agent_id")?,
        direction: row.try_get("direction")?,
        stt: name(&count.stt),
        llm: name(&count.llm),
        tts: name(&count.tts),
    })
}

async fn add_to_day(
    transaction: &mut Transaction<'_, Any>, key: &DayKey, end_reason: &str, change: &DayChange,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO call_days (organization_id, day, agent_id, direction, stt, llm, tts, end_reason, calls, answered, \
         failed, seconds, micros, judged, successes, cut_offs, failovers) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
         ON CONFLICT (organization_id, day, agent_id, direction, stt, llm, tts, end_reason) DO UPDATE SET \
         calls = call_days.calls + excluded.calls, answered = call_days.answered + excluded.answered, \
         failed = call_days.failed + excluded.failed, seconds = call_days.seconds + excluded.seconds, \
         micros = call_days.micros + excluded.micros, judged = call_days.judged + excluded.judged, \
         successes = call_days.successes + excluded.successes, cut_offs = call_days.cut_offs + excluded.cut_offs, \
         failovers = call_days.failovers + excluded.failovers",
    )
    .bind(&key.organization)
    .bind(&key.day)
    .bind(&key.agent)
    .bind(&key.direction)
    .bind(&key.stt)
    .bind(&key.llm)
    .bind(&key.tts)
    .bind(end_reason)
    .bind(change.calls)
    .bind(change.answered)
    .bind(change.failed)
    .bind(change.seconds)
    .bind(change.micros)
    .bind(change.judged)
    .bind(change.successes)
    .bind(change.cut_offs)
    .bind(change.failovers)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn add_responses(transaction: &mut Transaction<'_, Any>, key: &DayKey, times: &[i64]) -> Result<(), StoreError> {
    // In order: two calls that are counted at once never wait for each other in a circle.
    let mut histogram = ResponseHistogram::new();
    times.iter().for_each(|ms| *histogram.entry(rounded_response_ms(*ms)).or_default() += 1);
    for (ms, answers) in histogram {
        sqlx::query(
            "INSERT INTO response_days (organization_id, day, agent_id, direction, stt, llm, tts, response_ms, answers) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (organization_id, day, agent_id, direction, stt, llm, tts, response_ms) DO UPDATE SET \
             answers = response_days.answers + excluded.answers",
        )
        .bind(&key.organization)
        .bind(&key.day)
        .bind(&key.agent)
        .bind(&key.direction)
        .bind(&key.stt)
        .bind(&key.llm)
        .bind(&key.tts)
        .bind(ms)
        .bind(answers)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Counts a call that is over, once.
pub(super) async fn count_call(transaction: &mut Transaction<'_, Any>, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT organization_id, agent_id, direction, status, end_reason, started_at, answered_at, ended_at, metrics, \
         assistant, report, billed_micros FROM calls WHERE id = $1 AND counted IS NULL AND ended_at IS NOT NULL",
    )
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(()) };
    // A document that cannot be read counts as none: figures of a call never hold up its end.
    let json = |name: &str| text(&row, name).map(|text| document::<Value>(&text).unwrap_or_default());
    let mut count = CallCount::of(&json("metrics")?, &json("assistant")?, &json("report")?);
    if text(&row, "direction")? == Direction::Chat.name() {
        // What the agent would hear and speak with has no part in what is written.
        (count.stt, count.tts) = (None, None);
    }
    let times = count.response_times.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let claimed = sqlx::query(
        "UPDATE calls SET counted = 1, stt_provider = $1, llm_provider = $2, tts_provider = $3, success = $4, \
         response_times = $5 WHERE id = $6 AND counted IS NULL",
    )
    .bind(&count.stt)
    .bind(&count.llm)
    .bind(&count.tts)
    .bind(count.success.map(i64::from))
    .bind(times)
    .bind(id)
    .execute(&mut **transaction)
    .await?;
    if claimed.rows_affected() == 0 {
        return Ok(());
    }
    let (answered, ended): (Option<i64>, i64) = (row.try_get("answered_at")?, row.try_get("ended_at")?);
    let change = DayChange {
        calls: 1,
        answered: answered.is_some().into(),
        failed: (text(&row, "status")? == "failed").into(),
        seconds: answered.map_or(0, |at| (ended - at + 500) / 1_000),
        micros: row.try_get::<Option<i64>, _>("billed_micros")?.unwrap_or(0),
        judged: count.success.is_some().into(),
        successes: (count.success == Some(true)).into(),
        cut_offs: count.cut_offs,
        failovers: count.failovers,
    };
    let key = key(&row, &count)?;
    add_to_day(transaction, &key, &text(&row, "end_reason")?, &change).await?;
    add_responses(transaction, &key, &count.response_times).await
}

/// A call that was analysed again: the day that it was counted in gets the difference. Call it before the call's own
/// row is changed, or after it: what it compares with is its own column.
pub(super) async fn recount_outcome(
    transaction: &mut Transaction<'_, Any>, id: &str, success: Option<bool>, added_micros: i64,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT organization_id, agent_id, direction, end_reason, started_at, stt_provider, llm_provider, tts_provider, \
         success FROM calls WHERE id = $1 AND counted = 1",
    )
    .bind(id)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let provider = |name: &str| row.try_get::<Option<String>, _>(name);
    let count = CallCount {
        stt: provider("stt_provider")?,
        llm: provider("llm_provider")?,
        tts: provider("tts_provider")?,
        ..CallCount::default()
    };
    let before = row.try_get::<Option<i64>, _>("success")?;
    let change = DayChange {
        micros: added_micros,
        judged: i64::from(success.is_some()) - i64::from(before.is_some()),
        successes: i64::from(success == Some(true)) - i64::from(before == Some(1)),
        ..DayChange::default()
    };
    sqlx::query("UPDATE calls SET success = $1 WHERE id = $2")
        .bind(success.map(i64::from))
        .bind(id)
        .execute(&mut **transaction)
        .await?;
    add_to_day(transaction, &key(&row, &count)?, &text(&row, "end_reason")?, &change).await
}

/// What figures are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureGroup {
    /// Days in UTC.
    Day,
    /// Agents.
    Agent,
    /// Providers of speech recognition.
    Stt,
    /// Providers of models.
    Llm,
    /// Providers of voices.
    Tts,
    /// Reasons of the end; without times of answers.
    EndReason,
}

impl FigureGroup {
    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Agent => "agent_id",
            Self::Stt => "stt",
            Self::Llm => "llm",
            Self::Tts => "tts",
            Self::EndReason => "end_reason",
        }
    }
}

/// Which calls are summed.
#[derive(Clone, Debug, Default)]
pub struct FigureFilter {
    /// First day, `2026-03-27`.
    pub first: String,
    /// Last day, included.
    pub last: String,
    /// Only calls of this agent. `None`: of any, or none.
    pub agent: Option<String>,
    /// Only calls that this provider had a part in. `None`: any.
    pub provider: Option<String>,
    /// Only calls in this direction. `None`: any.
    pub direction: Option<String>,
}

/// Sums of the calls of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFigureSums {
    /// Calls that are over.
    pub calls: i64,
    /// Of these, calls that were answered.
    pub answered: i64,
    /// Of all, calls that failed.
    pub failed: i64,
    /// Seconds between answer and end.
    pub seconds: i64,
    /// Cost in millionths of the price table's currency.
    pub micros: i64,
    /// Calls that an analysis has judged.
    pub judged: i64,
    /// Of these, successes.
    pub successes: i64,
    /// Turns that were taken for finished although the caller went on.
    pub cut_offs: i64,
    /// Providers that another one stood in for.
    pub failovers: i64,
    /// Answers by how long they took.
    pub responses: ResponseHistogram,
}

impl CallFigureSums {
    /// Adds another group's sums.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.failed += other.failed;
        self.seconds += other.seconds;
        self.micros += other.micros;
        self.judged += other.judged;
        self.successes += other.successes;
        self.cut_offs += other.cut_offs;
        self.failovers += other.failovers;
        other.responses.iter().for_each(|(ms, answers)| *self.responses.entry(*ms).or_default() += answers);
    }
}

/// The condition of a filter, and its values from `$1` on.
fn condition(scope: OrgScope, filter: &FigureFilter) -> (String, Vec<String>) {
    let mut binds = vec![scope.organization().to_string(), filter.first.clone(), filter.last.clone()];
    let mut sql = "organization_id = $1 AND day >= $2 AND day <= $3".to_owned();
    for (column, value) in [("agent_id", &filter.agent), ("direction", &filter.direction)] {
        if let Some(value) = value {
            binds.push(value.clone());
            sql += &format!(" AND {column} = ${}", binds.len());
        }
    }
    if let Some(provider) = &filter.provider {
        binds.push(provider.clone());
        let at = binds.len();
        sql += &format!(" AND (stt = ${at} OR llm = ${at} OR tts = ${at})");
    }
    (sql, binds)
}

impl Store {
    async fn figure_rows(&self, sql: String, binds: &[String]) -> Result<Vec<AnyRow>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        let query = binds.iter().fold(query, |query, value| query.bind(value.clone()));
        Ok(query.fetch_all(&self.lists).await?)
    }

    /// Sums of the organization's calls by group; the key of a group is a day, an id or a name, and empty for none.
    pub async fn call_figures(
        &self, scope: OrgScope, filter: &FigureFilter, group: FigureGroup,
    ) -> Result<BTreeMap<String, CallFigureSums>, StoreError> {
        let (which, binds) = condition(scope, filter);
        let column = group.column();
        let names =
            ["calls", "answered", "failed", "seconds", "micros", "judged", "successes", "cut_offs", "failovers"];
        let sums = names.map(|name| format!("CAST(SUM({name}) AS BIGINT) AS {name}")).join(", ");
        let sql = format!("SELECT {column} AS name, {sums} FROM call_days WHERE {which} GROUP BY {column}");
        let mut groups = BTreeMap::new();
        for row in self.figure_rows(sql, &binds).await? {
            let sum = |name: &str| row.try_get::<i64, _>(name);
            let sums = CallFigureSums {
                calls: sum("calls")?,
                answered: sum("answered")?,
                failed: sum("failed")?,
                seconds: sum("seconds")?,
                micros: sum("micros")?,
                judged: sum("judged")?,
                successes: sum("successes")?,
                cut_offs: sum("cut_offs")?,
                failovers: sum("failovers")?,
                responses: ResponseHistogram::new(),
            };
            groups.insert(row.try_get("name")?, sums);
        }
        if group == FigureGroup::EndReason {
            return Ok(groups);
        }
        let sql = format!(
            "SELECT {column} AS name, response_ms, CAST(SUM(answers) AS BIGINT) AS answers FROM response_days \
             WHERE {which} GROUP BY {column}, response_ms"
        );
        for row in self.figure_rows(sql, &binds).await? {
            let name: String = row.try_get("name")?;
            let group = groups.entry(name).or_default();
            group.responses.insert(row.try_get("response_ms")?, row.try_get("answers")?);
        }
        Ok(groups)
    }

    /// Counts calls that ended before they were counted at their end, or whose report was given up. Returns how many
    /// there were; none: that was all.
    pub async fn count_backlog(&self) -> Result<i64, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM calls WHERE counted IS NULL AND ended_at IS NOT NULL \
             AND (wrap_up IS NULL OR wrap_up <> 'pending' OR ended_at < $1) ORDER BY ended_at LIMIT $2",
        )
        .bind(now().0 - GIVE_UP_MS)
        .bind(BACKLOG_BATCH)
        .fetch_all(&self.lists)
        .await?;
        // Rows of several days are locked in no order that others keep to: on PostgreSQL each call is on its own.
        let at_once = if self.backend == DatabaseBackend::Sqlite { ids.len().max(1) } else { 1 };
        for some in ids.chunks(at_once) {
            let mut transaction = self.write.begin().await?;
            for id in some {
                count_call(&mut transaction, id).await?;
            }
            transaction.commit().await?;
        }
        Ok(ids.len() as i64)
    }
}
