//! Checks and hashes passwords: few at a time, on blocking threads, and only as often as [`LoginThrottle`] allows.

use super::error::ApiError;
use super::login_throttle::{LoginAttempt, LoginThrottle, ThrottleDecision};
use super::rate_limit::unix_s;
use crate::domain::ids::OrganizationId;
use crate::domain::login_address::LoginAddress;
use crate::domain::password::{self, HashParams};
use crate::domain::secret::Secret;
use crate::store::{LoginAccount, Store, User};
use crate::supervision;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Passwords hashed at once: each takes a core and 19 MiB.
const HASHES_MAX: usize = 2;
/// Separate limit for people who log in from a known source, so that a flood of guesses does not delay them.
const FAMILIAR_HASHES_MAX: usize = 1;
/// Queue length of each of the two, running hashes included: a second or two of work. More are answered 503.
const PLACES_MAX: usize = 64;
/// Of these, of one source.
const PLACES_PER_SOURCE_MAX: u32 = 16;

/// A queue for hashes.
#[derive(Debug)]
struct HashQueue {
    places: Semaphore,
    running: Arc<Semaphore>,
    by_source: Mutex<HashMap<IpAddr, u32>>,
}

/// A place in the queue; at most [`PLACES_MAX`] sources, so the table is bounded.
struct HashQueuePlace<'a> {
    queue: &'a HashQueue,
    source: IpAddr,
    _place: tokio::sync::SemaphorePermit<'a>,
}

impl Drop for HashQueuePlace<'_> {
    fn drop(&mut self) {
        let mut sources = self.queue.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

fn overloaded() -> ApiError {
    metrics::counter!("trunkline_queue_overflows_total", "queue" => "passwords").increment(1);
    let mut error = ApiError::unavailable("overloaded", "Too many people log in at once");
    error.details["retry_after_seconds"] = 1.into();
    error
}

impl HashQueue {
    fn new(hashes_max: usize) -> Self {
        Self {
            places: Semaphore::new(PLACES_MAX),
            running: Arc::new(Semaphore::new(hashes_max)),
            by_source: Mutex::default(),
        }
    }

    fn reserve_place(&self, source: IpAddr) -> Option<HashQueuePlace<'_>> {
        let place = self.places.try_acquire().ok()?;
        let mut sources = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= PLACES_PER_SOURCE_MAX {
            return None;
        }
        *count += 1;
        Some(HashQueuePlace { queue: self, source, _place: place })
    }

    async fn run_hash<T: Send + 'static>(
        &self, source: IpAddr, work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _place = self.reserve_place(source).ok_or_else(overloaded)?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| overloaded())?;
        // The permit stays with the hash: a client that disconnects does not start another hash early.
        let work = move || {
            let worked = work();
            drop(running);
            worked
        };
        let worked = supervision::spawn_blocking("password", work).await;
        worked.map_err(|_| overloaded())?.map_err(|_| ApiError::internal())
    }
}

/// An attempt to log in.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub address: LoginAddress,
    pub password: Secret,
    /// The account of this one alone.
    pub organization: Option<OrganizationId>,
}

/// Where passwords are tried.
#[derive(Clone, Debug)]
pub(super) struct PasswordService {
    strangers: Arc<HashQueue>,
    familiar: Arc<HashQueue>,
    throttle: Arc<Mutex<LoginThrottle>>,
}

impl Default for PasswordService {
    fn default() -> Self {
        Self {
            strangers: Arc::new(HashQueue::new(HASHES_MAX)),
            familiar: Arc::new(HashQueue::new(FAMILIAR_HASHES_MAX)),
            throttle: Arc::default(),
        }
    }
}

fn is_unreadable(error: &str) -> ApiError {
    tracing::error!(%error, "cannot hash a password");
    ApiError::internal()
}

impl PasswordService {
    /// Counts a guess. The second value says that only familiar accounts may be tried.
    fn begin(&self, account: &str, source: IpAddr) -> Result<(LoginAttempt, bool), ApiError> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        match throttle.begin(account, source, unix_s()) {
            ThrottleDecision::Try(guess) => Ok((guess, false)),
            ThrottleDecision::TryIfFamiliar(guess) => Ok((guess, true)),
            ThrottleDecision::Refuse { wait_s } => Err(ApiError::login_throttled(wait_s)),
        }
    }

    fn take_back(&self, guess: &LoginAttempt) {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).take_back(guess);
    }

    /// The accounts that a password opens, at least one. Timing and error are the same whether or not the address has
    /// accounts.
    pub(super) async fn accounts_for_password(
        &self, store: &Store, credentials: Credentials, source: IpAddr,
    ) -> Result<Vec<LoginAccount>, ApiError> {
        let (guess, familiar_only) = self.begin(credentials.address.as_str(), source)?;
        let opened = self.accounts(store, credentials, source, familiar_only.then_some(guess.wait_s)).await;
        match opened {
            Ok(accounts) if accounts.is_empty() => Err(ApiError::wrong_password()),
            // A right one, or one that was not tried.
            opened => {
                self.take_back(&guess);
                opened
            }
        }
    }

    async fn accounts(
        &self, store: &Store, credentials: Credentials, source: IpAddr, familiar_or_wait_s: Option<u64>,
    ) -> Result<Vec<LoginAccount>, ApiError> {
        let Credentials { address, password, organization } = credentials;
        let familiar = store.familiar_accounts(&address, source).await?;
        if let Some(wait_s) = familiar_or_wait_s.filter(|_| familiar.is_empty()) {
            return Err(ApiError::login_throttled(wait_s));
        }
        let recipes = store.password_recipes(&address).await?;
        let queue = if familiar.is_empty() { &self.strangers } else { &self.familiar };
        let hash = move || recipes.iter().map(|recipe| recipe.hash(password.expose())).collect::<Result<Vec<_>, _>>();
        let hashes = queue.run_hash(source, hash).await?.map_err(|error| is_unreadable(&error))?;
        let mut accounts = store.accounts(&address, &hashes, organization).await?;
        if familiar_or_wait_s.is_some() {
            accounts.retain(|account| familiar.contains(&account.user.id));
        }
        Ok(accounts)
    }

    /// Whether this is the password of a user who is logged in.
    pub(super) async fn is_right(
        &self, store: &Store, user: &User, password: Secret, source: IpAddr,
    ) -> Result<bool, ApiError> {
        let (guess, familiar_only) = self.begin(&user.id.to_string(), source)?;
        if familiar_only {
            return Err(ApiError::login_throttled(guess.wait_s));
        }
        let hash = store.password_hash(user).await?.ok_or_else(ApiError::session_over)?;
        let right = self.strangers.run_hash(source, move || password::verify(password.expose(), &hash)).await;
        if !matches!(right, Ok(false)) {
            self.take_back(&guess);
        }
        right
    }

    /// The hash of a new password.
    pub(super) async fn hash(
        &self, store: &Store, address: &LoginAddress, password: Secret, source: IpAddr,
    ) -> Result<String, ApiError> {
        let recipe: HashParams = store.password_recipe(address).await?;
        let hashed = self.strangers.run_hash(source, move || recipe.hash(password.expose())).await?;
        hashed.map_err(|error| is_unreadable(&error))
    }
}

#[expect(clippy::disallowed_methods, reason = "those who ask are tasks, and a hash holds its thread")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn source(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn few_passwords_are_hashed_at_once_also_when_those_who_asked_go_away() {
        let queue = Arc::new(HashQueue::new(2));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let mut asked = Vec::new();
        for n in 0..32 {
            let (queue, now, most, pair) = (queue.clone(), now.clone(), most.clone(), pair.clone());
            asked.push(tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // The first waits for a second, so both places are taken at the same time.
                    let (begun, another) = &*pair;
                    let mut begun = begun.lock().unwrap();
                    *begun += 1;
                    another.notify_all();
                    let waited = another.wait_timeout_while(begun, Duration::from_secs(20), |begun| *begun < 2);
                    drop(waited);
                    // A third one would be seen meanwhile.
                    (0..1_000).for_each(|_| std::thread::yield_now());
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                queue.run_hash(source(n), work).await
            }));
        }
        for (n, asked) in asked.into_iter().enumerate() {
            if n % 2 == 0 {
                asked.abort();
            }
            let _ = asked.await;
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert!(queue.by_source.lock().unwrap().is_empty());
        assert_eq!(queue.places.available_permits(), PLACES_MAX);
    }

    #[test]
    fn one_source_does_not_fill_the_queue_and_the_queue_is_bounded() {
        let queue = HashQueue::new(2);
        let mut held: Vec<_> = (0..100).filter_map(|_| queue.reserve_place(source(1))).collect();
        assert_eq!(held.len(), PLACES_PER_SOURCE_MAX as usize);
        held.extend((0..100).filter_map(|n| queue.reserve_place(source(2 + n))));
        assert_eq!(held.len(), PLACES_MAX);
        drop(held);
        assert!(queue.reserve_place(source(1)).is_some() && queue.by_source.lock().unwrap().is_empty());
    }
}
