//! The contract suite accepts correct stores, and fails with the violated clause for each incorrect one.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result, Store, Watch,
    contract,
};
use cached_tests::map_store::{Entry, MapStore};
use tokio::task::yield_now;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_correct_store_passes() {
    contract::check(&MapStore::default()).await;
}

#[tokio::test]
async fn a_correct_store_passes_in_real_time_and_twice_at_once() {
    let store = MapStore::default();
    tokio::join!(contract::check(&store), contract::check(&store));
}

#[tokio::test(start_paused = true)]
async fn a_store_with_a_clock_of_whole_seconds_passes() {
    contract::check(&Seconds(MapStore::default())).await;
}

/// Expands each way to violate the contract to a test: the whole suite fails, and the group of the clause fails with
/// its message.
macro_rules! violations {
    ($($flaw:ident: $group:ident, $clause:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "the variants name the tests")]
        enum Flaw { $($flaw),* }

        mod a_store_fails_if {
            use super::*;
            $(
                #[tokio::test(start_paused = true)]
                #[should_panic(expected = $clause)]
                async fn $flaw() {
                    let whole = tokio::spawn(async { contract::check(&Broken::new(Flaw::$flaw)).await });
                    if whole.await.is_err() {
                        contract::$group(&Broken::new(Flaw::$flaw)).await;
                    }
                }
            )*
        }
    };
}

violations! {
    get_ignores_the_order: get_and_put, "in the order of the keys";
    get_omits_missing_keys: get_and_put, "must return one value or `None` for one key";
    get_omits_repeated_keys: get_and_put, "for every occurrence of a key";
    get_returns_a_lease_as_a_value: acquire, "a key that is only leased must have no value";
    values_end_at_a_zero: get_and_put, "one byte must be returned unchanged after `put`";
    values_end_at_64_kib: get_and_put, "a value of 100 KiB must be returned unchanged after `put`";
    put_keeps_the_old_value: get_and_put, "`put` must replace the value";
    put_keeps_the_old_ttl: expiry, "`put` without a ttl must not expire";
    put_ignores_the_ttl: expiry, "a value that was `put` must expire after its ttl";
    put_does_not_end_the_lease: fill, "a lease that `put` ended";
    put_reads_long_ttls_as_dates: expiry, "a ttl of 60 days must be present after `put`";
    put_ignores_ttls_below_a_second: expiry, "must expire after its ttl";
    ttls_end_early: expiry, "a value must not expire before its ttl";
    remove_keeps_the_value: get_and_put, "`remove` must remove the value";
    remove_does_not_end_the_lease: fill, "a lease that `remove` ended";
    remove_of_nothing_is_an_error: get_and_put, "`remove` must not fail";
    acquire_is_not_exclusive: acquire, "`acquire` must not grant a lease while another caller holds it";
    acquire_is_not_atomic: acquire, "`acquire` must grant one lease to 64 concurrent callers";
    acquire_if_absent_ignores_the_value: acquire, "`acquire` with `IfAbsent` must not grant the lease of a key that has a value";
    acquire_replace_requires_absence: acquire, "`acquire` with `Replace` must grant the lease of a key that has a value";
    acquire_replace_is_not_exclusive: acquire, "`acquire` with `Replace` must not grant a lease while another caller holds it";
    acquire_if_unchanged_ignores_the_value: acquire, "`acquire` with `IfUnchanged` must not grant the lease of a key that has another value";
    acquire_if_unchanged_requires_absence: acquire, "`acquire` with `IfUnchanged` must grant the lease of a key that has that value";
    acquire_if_unchanged_requires_a_value: acquire, "`acquire` with `IfUnchanged` must grant the lease of a key that has no value";
    acquire_take_over_respects_the_holder: acquire, "`acquire` with `TakeOver` must grant a lease that another caller holds";
    acquire_does_not_say_that_there_is_a_value: acquire, "`acquire` must say that the key has a value";
    acquire_says_that_a_leased_key_has_a_value: acquire, "`acquire` must not say that a key has a value if it is only leased";
    acquire_removes_the_value: acquire, "a value must stay readable while its key is leased";
    acquire_returns_no_holder: lease_ids, "`acquire` must identify the lease that is held";
    acquire_returns_one_holder_for_all_leases: lease_ids, "the identities of successive leases must differ";
    acquire_returns_another_holder_each_time: lease_ids, "the identity of a lease must not change while it is held";
    acquire_returns_a_holder_with_the_lease: lease_ids, "`acquire` must return no holder if it grants the lease";
    acquire_returns_a_holder_with_a_found_value: lease_ids, "if a value is the reason that it grants no lease";
    fill_completes_no_watch: watch, "every watch of a key must complete with the next `fill`";
    release_completes_no_watch: watch, "every watch of a key must complete with the next `release`";
    put_completes_no_watch: watch, "every watch of a key must complete with the next `put`";
    remove_completes_no_watch: watch, "every watch of a key must complete with the next `remove`";
    release_completes_one_of_many_watches: watch, "every watch of a key must complete with the next `release`";
    leases_never_end: lease_expiry, "a lease must end when its term is over";
    leases_end_early: lease_expiry, "a lease must be held until its term is over";
    fill_ignores_the_lease: fill, "`fill` must be rejected";
    fill_ignores_the_term: lease_expiry, "a lease whose term is over";
    fill_accepts_any_lease_while_one_is_held: fill, "a lost lease while another caller holds the next one";
    fill_accepts_the_lease_zero: fill, "a lease that was never granted";
    fill_is_not_atomic: fill, "must win over a concurrent `fill`";
    fill_keeps_the_lease: fill, "`fill` must release the lease";
    fill_ignores_the_ttl: expiry, "a value that was filled must expire after its ttl";
    a_rejected_fill_stores_the_value: fill, "a rejected `fill` must store nothing";
    a_rejected_fill_ends_the_lease: fill, "a rejected `fill` must not end the current lease";
    extend_is_always_true: extend, "`extend` must return false";
    extend_is_always_false: extend, "`extend` must return true while the lease is held";
    extend_does_nothing: extend, "an extended lease must be held for another term";
    extend_revives_the_lease: extend, "`extend` must return false";
    release_does_nothing: release, "a lease that was released";
    release_ends_any_lease: release, "`release` of a lost lease must not end the current lease";
    release_of_a_lost_lease_is_an_error: release, "`release` must not fail";
    release_removes_the_value: release, "`release` must keep the value of the key";
    release_says_nothing_of_the_attempt: last_attempt, "must return what `release` was given last";
    release_of_a_lost_lease_tells_an_attempt: last_attempt, "`release` of a lost lease must say nothing";
    acquire_forgets_the_attempt_while_leased: last_attempt, "also while the next lease is held";
    an_attempt_is_remembered_beyond_a_fill: last_attempt, "`fill` must end what is known of the attempt";
    add_replaces: add, "`add` must return the present value";
    add_returns_its_own_value: add, "`add` must return the present value";
    add_is_not_atomic: add, "`add` must return the same value to all concurrent callers";
    add_is_blocked_by_a_lease: add, "a lease is not a value";
    added_values_expire: add, "a value that was added without a ttl must not expire";
    added_values_ignore_their_ttl: add, "a value that was added with a ttl must expire";
    keys_ignore_the_case: key_isolation, "must grant a lease that is not held";
    keys_are_truncated: key_isolation, "must grant a lease that is not held";
    a_dropped_call_blocks_the_store: cancellation, "must complete in time";
    get_never_completes: cancellation, "must complete in time";
}

/// A store that is correct except for one flaw.
struct Broken {
    correct: MapStore,
    flaw: Flaw,
    /// Set while a call is in progress, for flaws that block.
    stuck: AtomicBool,
    /// Counts calls, for flaws that depend on their number.
    calls: AtomicU64,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flaw.fmt(f)
    }
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        Self { correct: MapStore::default(), flaw, stuck: AtomicBool::new(false), calls: AtomicU64::new(0) }
    }

    fn with<T>(&self, key: &Key, change: impl FnOnce(&mut Entry) -> T) -> T {
        self.correct.with(&self.key(key), change)
    }

    fn notify_unless(&self, flaw: Flaw, key: &Key) {
        if self.flaw != flaw {
            self.correct.notify(&self.key(key));
        }
    }

    fn key(&self, key: &Key) -> Key {
        let text = key.as_str();
        match self.flaw {
            // Keys of one namespace differ in the digest only.
            Flaw::keys_are_truncated => Key::new(&text[..text.len() - 32], "").unwrap(),
            Flaw::keys_ignore_the_case => {
                Key::new(&text.rsplit_once(':').unwrap().0.to_lowercase(), "").unwrap()
            }
            _ => key.clone(),
        }
    }

    fn stored(&self, value: Bytes) -> Bytes {
        match self.flaw {
            Flaw::values_end_at_a_zero => value.split(|byte| *byte == 0).next().unwrap().to_vec().into(),
            Flaw::values_end_at_64_kib => value.slice(..value.len().min(64 << 10)),
            _ => value,
        }
    }
}

impl Store for Broken {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(async move {
            match self.flaw {
                Flaw::a_dropped_call_blocks_the_store => {
                    if self.stuck.swap(true, Ordering::Relaxed) {
                        std::future::pending::<()>().await;
                    }
                    yield_now().await;
                    self.stuck.store(false, Ordering::Relaxed);
                }
                Flaw::get_never_completes => std::future::pending().await,
                _ => {}
            }
            let read = |key: &Key| {
                self.with(key, |entry| match &entry.value {
                    None if self.flaw == Flaw::get_returns_a_lease_as_a_value && entry.lease.is_some() => {
                        Some(Bytes::new())
                    }
                    value => value.clone(),
                })
            };
            let mut values: Vec<_> = keys.iter().map(read).collect();
            match self.flaw {
                Flaw::get_ignores_the_order => values.reverse(),
                Flaw::get_omits_missing_keys => values.retain(Option::is_some),
                Flaw::get_omits_repeated_keys => {
                    let mut seen = std::collections::HashSet::new();
                    let mut keys = keys.iter();
                    values.retain(|_| seen.insert(keys.next().unwrap()));
                }
                _ => {}
            }
            Ok(values)
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        Box::pin(async move {
            let is_unchanged = matches!(mode, LeaseMode::IfUnchanged(_));
            let mode = match self.flaw {
                Flaw::acquire_if_absent_ignores_the_value => LeaseMode::Replace,
                Flaw::acquire_replace_requires_absence if mode == LeaseMode::Replace => LeaseMode::IfAbsent,
                Flaw::acquire_if_unchanged_ignores_the_value if is_unchanged => LeaseMode::Replace,
                Flaw::acquire_if_unchanged_requires_absence if is_unchanged => LeaseMode::IfAbsent,
                Flaw::acquire_take_over_respects_the_holder if mode == LeaseMode::TakeOver => {
                    LeaseMode::Replace
                }
                _ => mode,
            };
            let term = match self.flaw {
                Flaw::leases_never_end => Duration::from_secs(3600),
                Flaw::leases_end_early => term / 4,
                _ => term,
            };
            let before = self.with(key, |entry| entry.clone());
            match self.flaw {
                Flaw::acquire_is_not_exclusive => self.with(key, |entry| entry.lease = None),
                Flaw::acquire_replace_is_not_exclusive
                    if before.value.is_some() && mode == LeaseMode::Replace =>
                {
                    self.with(key, |entry| entry.lease = None);
                }
                Flaw::acquire_is_not_atomic if before.lease.is_none() => {
                    yield_now().await;
                    self.with(key, |entry| entry.lease = None);
                }
                _ => {}
            }
            let mut acquired = self.correct.acquire(&self.key(key), lease, term, mode).await?;
            match self.flaw {
                Flaw::acquire_does_not_say_that_there_is_a_value => acquired.is_filled = false,
                Flaw::acquire_if_unchanged_requires_a_value if is_unchanged && before.value.is_none() => {
                    acquired.is_granted = false;
                }
                Flaw::acquire_returns_no_holder => acquired.holder = None,
                Flaw::acquire_returns_one_holder_for_all_leases => {
                    acquired.holder = acquired.holder.map(|_| LeaseId::new(0));
                }
                Flaw::acquire_returns_another_holder_each_time => {
                    let calls = self.calls.fetch_add(1, Ordering::Relaxed);
                    acquired.holder = acquired.holder.map(|_| LeaseId::new(calls.into()));
                }
                Flaw::acquire_returns_a_holder_with_the_lease if acquired.is_granted => {
                    acquired.holder = Some(LeaseId::new(0));
                }
                Flaw::acquire_returns_a_holder_with_a_found_value if !acquired.is_granted => {
                    acquired.holder = acquired.holder.or(Some(LeaseId::new(0)));
                }
                Flaw::acquire_says_that_a_leased_key_has_a_value
                    if !acquired.is_granted && before.lease.is_some() =>
                {
                    acquired.is_filled = true;
                }
                Flaw::acquire_forgets_the_attempt_while_leased if !acquired.is_granted => {
                    acquired.last_attempt = LastAttempt::Unknown;
                }
                Flaw::acquire_removes_the_value if acquired.is_granted => {
                    self.with(key, |entry| entry.value = None);
                }
                _ => {}
            }
            Ok(acquired)
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            match self.flaw {
                Flaw::extend_is_always_false => return Ok(false),
                Flaw::extend_does_nothing => return Ok(self.with(key, |entry| entry.holds(*lease))),
                Flaw::extend_revives_the_lease => self.with(key, |entry| {
                    if entry.lease.is_none() {
                        entry.lease = Some((*lease, Instant::now() + term));
                    }
                }),
                _ => {}
            }
            let held = self.correct.extend(&self.key(key), lease, term).await?;
            Ok(held || self.flaw == Flaw::extend_is_always_true)
        })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let value = self.stored(value);
            let ttl = match self.flaw {
                Flaw::fill_ignores_the_ttl => Duration::from_secs(3600),
                Flaw::ttls_end_early => ttl / 4,
                _ => ttl,
            };
            let held = self.with(key, |entry| match self.flaw {
                Flaw::fill_ignores_the_lease => true,
                Flaw::fill_ignores_the_term => {
                    entry.holds(lease) || (entry.lease.is_none() && entry.value.is_none())
                }
                Flaw::fill_accepts_any_lease_while_one_is_held => entry.lease.is_some(),
                Flaw::fill_accepts_the_lease_zero => lease.token() == 0 || entry.holds(lease),
                _ => entry.holds(lease),
            });
            if self.flaw == Flaw::fill_is_not_atomic {
                yield_now().await;
            }
            self.with(key, |entry| match self.flaw {
                Flaw::fill_keeps_the_lease if held => {
                    let lease = entry.lease;
                    entry.set(value, Some(ttl));
                    entry.lease = lease;
                }
                Flaw::a_rejected_fill_stores_the_value => entry.set(value, Some(ttl)),
                Flaw::a_rejected_fill_ends_the_lease if !held => entry.lease = None,
                Flaw::an_attempt_is_remembered_beyond_a_fill if held => {
                    let last_attempt = entry.last_attempt;
                    entry.set(value, Some(ttl));
                    entry.last_attempt = last_attempt;
                }
                _ if held => entry.set(value, Some(ttl)),
                _ => {}
            });
            self.notify_unless(Flaw::fill_completes_no_watch, key);
            Ok(held)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match self.flaw {
                Flaw::release_does_nothing => return Ok(()),
                Flaw::release_ends_any_lease => self.with(key, |entry| entry.lease = None),
                Flaw::release_of_a_lost_lease_is_an_error if !self.with(key, |entry| entry.holds(lease)) => {
                    return Err(Error::new(ErrorKind::Rejected, "the lease was lost"));
                }
                Flaw::release_of_a_lost_lease_tells_an_attempt
                    if !self.with(key, |entry| entry.holds(lease)) =>
                {
                    let ends = Instant::now() + Duration::from_secs(10);
                    self.with(key, |entry| entry.last_attempt = Some((attempt, ends)));
                }
                Flaw::release_removes_the_value if self.with(key, |entry| entry.holds(lease)) => {
                    self.with(key, |entry| entry.value = None);
                }
                Flaw::release_completes_no_watch => {
                    self.with(key, |entry| entry.lease = entry.lease.filter(|(held, _)| *held != lease));
                    return Ok(());
                }
                _ => {}
            }
            let attempt = match self.flaw {
                Flaw::release_says_nothing_of_the_attempt => LastAttempt::Unknown,
                _ => attempt,
            };
            self.correct.release(&self.key(key), lease, attempt).await
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let value = self.stored(value);
            let before = self.with(key, |entry| entry.clone());
            let ttl = match self.flaw {
                Flaw::put_ignores_the_ttl => None,
                Flaw::put_ignores_ttls_below_a_second => ttl.filter(|ttl| ttl.as_secs() > 0),
                Flaw::ttls_end_early => ttl.map(|ttl| ttl / 4),
                Flaw::put_reads_long_ttls_as_dates => {
                    ttl.map(|ttl| if ttl.as_secs() > 30 * 24 * 3600 { Duration::ZERO } else { ttl })
                }
                _ => ttl,
            };
            self.with(key, |entry| {
                entry.set(value, ttl);
                match self.flaw {
                    Flaw::put_keeps_the_old_value if before.value.is_some() => entry.value = before.value,
                    Flaw::put_keeps_the_old_ttl if before.value.is_some() => entry.expires = before.expires,
                    Flaw::put_does_not_end_the_lease => entry.lease = before.lease,
                    _ => {}
                }
            });
            self.notify_unless(Flaw::put_completes_no_watch, key);
            Ok(())
        })
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            let before = self.with(key, |entry| entry.clone());
            match self.flaw {
                Flaw::add_replaces => self.with(key, |entry| entry.set(value.clone(), ttl)),
                Flaw::add_is_not_atomic if before.value.is_none() => {
                    yield_now().await;
                    self.with(key, |entry| entry.set(value.clone(), ttl));
                }
                Flaw::add_is_blocked_by_a_lease if before.lease.is_some() => return Ok(Bytes::new()),
                _ => {}
            }
            let there = self.correct.add(&self.key(key), value.clone(), ttl).await?;
            if self.flaw == Flaw::added_values_ignore_their_ttl {
                self.with(key, |entry| entry.expires = None);
            }
            if self.flaw == Flaw::added_values_expire {
                self.with(key, |entry| entry.expires = Some(Instant::now() + Duration::from_secs(1)));
            }
            Ok(if self.flaw == Flaw::add_returns_its_own_value { value } else { there })
        })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let before = self.with(key, |entry| entry.clone());
            if self.flaw == Flaw::remove_of_nothing_is_an_error && before.value.is_none() {
                return Err(Error::new(ErrorKind::Rejected, "there is nothing to remove"));
            }
            if self.flaw == Flaw::remove_completes_no_watch {
                self.with(key, |entry| *entry = Entry::default());
                return Ok(());
            }
            self.correct.remove(&self.key(key)).await?;
            self.with(key, |entry| match self.flaw {
                Flaw::remove_keeps_the_value => entry.value = before.value,
                Flaw::remove_does_not_end_the_lease => entry.lease = before.lease,
                _ => {}
            });
            Ok(())
        })
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(async move {
            let calls = self.calls.fetch_add(1, Ordering::Relaxed);
            if self.flaw == Flaw::release_completes_one_of_many_watches && !calls.is_multiple_of(3) {
                return Ok(Some(Watch::new(std::future::pending())));
            }
            self.correct.watch(&self.key(key)).await
        })
    }
}

/// A correct store that rounds time as a server with a clock of whole seconds has to.
#[derive(Debug)]
struct Seconds(MapStore);

/// Rounds up to whole seconds and adds another one, because the current second has already begun.
fn seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_nanos().div_ceil(1_000_000_000).try_into().unwrap_or(u64::MAX))
        .saturating_add(Duration::from_millis(999))
}

impl Store for Seconds {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.0.get(keys)
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        self.0.acquire(key, lease, seconds(term), mode)
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.0.extend(key, lease, seconds(term))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.0.fill(key, lease, value, seconds(ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        self.0.release(key, lease, attempt)
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.0.put(key, value, ttl.map(seconds))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.0.add(key, value, ttl.map(seconds))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.0.remove(key)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.0.watch(key)
    }
}
