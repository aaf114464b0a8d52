//! Numbers that an organization never calls.

use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, now, parsed, storable_or_none};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::ids::DoNotCallId;
use trunkline_domain::phone_number::PhoneNumber;
use trunkline_domain::time::UnixMs;

/// Numbers on one list at most.
const NUMBERS_MAX: i64 = 1_000_000;

/// A number that is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoNotCallEntry {
    /// Chosen when the number is added.
    pub id: DoNotCallId,
    /// The number, in E.164.
    pub number: PhoneNumber,
    /// Why it is not called, in the customer's words.
    pub reason: Option<String>,
    /// When it was added.
    pub created_at: UnixMs,
}

fn entry(row: &AnyRow) -> Result<DoNotCallEntry, StoreError> {
    Ok(DoNotCallEntry {
        id: parsed(DoNotCallId::parse(row.try_get("id")?), "do_not_call.id")?,
        number: parsed(PhoneNumber::parse(row.try_get("number")?), "do_not_call.number")?,
        reason: row.try_get("reason")?,
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

impl Store {
    /// Adds numbers, all or none; how many were not there before. A number that is there keeps its reason and time.
    /// Fails with `QuotaExceeded` if the list has too many.
    pub async fn add_do_not_call(
        &self, scope: OrgScope, numbers: &[PhoneNumber], reason: Option<&String>,
    ) -> Result<u64, StoreError> {
        let organization = scope.organization().to_string();
        let reason = storable_or_none(reason);
        // Counted before the transaction: nobody else's write waits for it.
        let held: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM do_not_call WHERE organization_id = $1")
            .bind(&organization)
            .fetch_one(&self.lists)
            .await?;
        if held + numbers.len() as i64 > NUMBERS_MAX {
            return Err(StoreError::QuotaExceeded { limit: "do_not_call_numbers", max: NUMBERS_MAX });
        }
        let mut transaction = self.write.begin().await?;
        let mut added = 0;
        for number in numbers {
            let done = sqlx::query(
                "INSERT INTO do_not_call (id, organization_id, number, reason, created_at) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (organization_id, number) DO NOTHING",
            )
            .bind(DoNotCallId::new().to_string())
            .bind(&organization)
            .bind(number.as_str())
            .bind(&reason)
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
            added += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(added)
    }

    /// Returns a page of the list, newest first, and the number of all. `None` as a filter: every number.
    pub async fn do_not_call(
        &self, scope: OrgScope, number: Option<&PhoneNumber>, page: PageRequest,
    ) -> Result<(Vec<DoNotCallEntry>, i64), StoreError> {
        let binds = [
            BindValue::Text(scope.organization().to_string()),
            BindValue::MaybeText(number.map(|number| number.as_str().to_owned())),
        ];
        let from = "FROM do_not_call WHERE organization_id = $1 AND ($2 IS NULL OR number = $2)";
        self.list("*", from, "created_at DESC, id DESC", &binds, page, entry).await
    }

    /// True when the number is on the list.
    pub async fn is_not_to_be_called(&self, scope: OrgScope, number: &PhoneNumber) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 AS one FROM do_not_call WHERE organization_id = $1 AND number = $2")
            .bind(scope.organization().to_string())
            .bind(number.as_str())
            .fetch_optional(&self.read)
            .await?;
        Ok(row.is_some())
    }

    /// Takes a number off the list; false when it is not on it.
    pub async fn delete_do_not_call(&self, scope: OrgScope, number: &PhoneNumber) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM do_not_call WHERE organization_id = $1 AND number = $2")
            .bind(scope.organization().to_string())
            .bind(number.as_str())
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
