//! The clauses about leases.

use tokio::time::{Instant, sleep, sleep_until};

use super::concurrency::{CROWD, boxed, together};
use super::probe::Probe;
use super::time::{LATE, LONG, Patience, SHORT};
use crate::{Key, Lease, LeaseMode, Store};

/// A lease is given to one caller at a time, and over a value only to those who ask for that.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::acquiring(&MapStore::default()).await;
/// # }
/// ```
pub async fn acquiring(store: &dyn Store) {
    let probe = Probe::new(store, "acquiring");
    let key = probe.key("key");
    let first = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(first.value, None, "`acquire` has to find no value where there is none");
    let lease = first.lease.expect("`acquire` has to give the lease on a key without a value");
    assert_eq!(probe.get(&key).await, None, "a key that is only leased has to have no value");
    for over in [LeaseMode::IfAbsent, LeaseMode::Replace] {
        let second = probe.acquire(&key, LONG, over).await;
        let found = (second.value, second.lease);
        assert_eq!(found, (None, None), "`acquire` has to give no lease while another holds it");
    }

    assert!(probe.fill(&key, lease, b"value", LONG).await, "`fill` has to be taken from the holder");
    let found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(
        found.value.as_deref(),
        Some(&b"value"[..]),
        "`acquire` has to return the value that is there"
    );
    assert_eq!(found.lease, None, "`acquire` over nothing has to give no lease on a key with a value");

    let over_value = probe.acquire(&key, LONG, LeaseMode::Replace).await;
    let value = over_value.value.as_deref();
    assert_eq!(value, Some(&b"value"[..]), "`acquire` over a value has to return the value");
    let lease = over_value.lease.expect("`acquire` over a value has to give the lease");
    assert_eq!(
        probe.get(&key).await.as_deref(),
        Some(&b"value"[..]),
        "a value has to stay readable while it is leased"
    );
    let second = probe.acquire(&key, LONG, LeaseMode::Replace).await;
    assert_eq!(second.lease, None, "`acquire` over a value has to give no lease while another holds it");
    assert_eq!(
        second.value.as_deref(),
        Some(&b"value"[..]),
        "`acquire` has to return the value also when it gives no lease"
    );
    assert!(probe.fill(&key, lease, b"fresh", LONG).await, "`fill` has to be taken from the holder");
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"fresh"[..]), "`fill` has to replace the value");

    for over in [LeaseMode::IfAbsent, LeaseMode::Replace] {
        let keys: Vec<Key> = (0..4).map(|n| probe.key(&format!("crowded {n} {over:?}"))).collect();
        if over == LeaseMode::Replace {
            together(keys.iter().map(|key| boxed(probe.put(key, b"old", LONG))).collect()).await;
        }
        let crowd = keys.iter().flat_map(|key| (0..CROWD).map(|_| boxed(probe.acquire(key, LONG, over))));
        let acquired = together(crowd.collect()).await;
        for crowd in acquired.chunks(CROWD) {
            let leases = crowd.iter().filter(|acquired| acquired.lease.is_some()).count();
            assert_eq!(leases, 1, "`acquire` has to give one lease to {CROWD} who come at once, {over:?}");
        }
    }
}

/// Who does not get a lease learns who holds it: the same as long as it is held, and another for the next one.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::naming(&MapStore::default()).await;
/// # }
/// ```
pub async fn naming(store: &dyn Store) {
    let probe = Probe::new(store, "naming");
    for there in [None, Some(b"old")] {
        let key = probe.key(&format!("over {there:?}"));
        let mut before = Vec::new();
        for end in ["release", "remove", "put", "fill"] {
            if let Some(value) = there {
                probe.put(&key, value, LONG).await;
            }
            let acquired = probe.acquire(&key, LONG, LeaseMode::Replace).await;
            assert_eq!(acquired.holder, None, "`acquire` has to name no holder when it gives the lease");
            let lease = acquired.lease.expect("`acquire` has to give the lease that nobody holds");

            let holder = probe.holder(&key).await.expect("`acquire` has to name the holder of the lease");
            assert!(!before.contains(&holder), "the next holder has to be another than the one before");
            assert!(probe.extend(&key, lease, LONG).await, "`extend` has to be true while the lease is held");
            let later = probe.holder(&key).await;
            assert_eq!(later, Some(holder), "a holder has to be the same as long as it holds the lease");
            before.push(holder);

            match end {
                "release" => probe.release(&key, lease).await,
                "remove" => probe.remove(&key).await,
                "put" => probe.put(&key, b"put", LONG).await,
                _ => {
                    let filled = probe.fill(&key, lease, b"value", LONG).await;
                    assert!(filled, "`fill` has to be taken from the holder");
                }
            }
            if there.is_none() {
                probe.remove(&key).await;
            }
        }
    }
    let key = probe.key("only a value");
    probe.put(&key, b"value", LONG).await;
    let found = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    assert_eq!(found.holder, None, "`acquire` has to name no holder when a value is the reason for no lease");
}

/// Only the holder of a live lease fills, and whatever changes the key ends the lease.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::filling(&MapStore::default()).await;
/// # }
/// ```
pub async fn filling(store: &dyn Store) {
    let probe = Probe::new(store, "filling");
    let key = probe.key("filled");
    let lease = probe.lease(&key, LONG).await;
    assert!(probe.fill(&key, lease, b"value", LONG).await, "`fill` has to be taken from the holder");
    assert_eq!(probe.get(&key).await.as_deref(), Some(&b"value"[..]), "`fill` has to store the value");
    assert!(!probe.leased(&key).await, "`fill` has to give the lease back");
    refuses(&probe, &key, lease, Some(b"value"), "a lease that was given back by `fill`").await;

    let key = probe.key("removed");
    let lease = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    refuses(&probe, &key, lease, None, "a lease that `remove` ended").await;
    assert!(!probe.leased(&key).await, "`remove` has to end the lease");

    let key = probe.key("removed with a value");
    probe.put(&key, b"old", LONG).await;
    let lease = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    refuses(&probe, &key, lease, None, "a lease over a value that `remove` ended").await;

    let key = probe.key("put");
    let lease = probe.lease(&key, LONG).await;
    probe.put(&key, b"put", LONG).await;
    refuses(&probe, &key, lease, Some(b"put"), "a lease that `put` ended").await;
    assert!(!probe.leased(&key).await, "`put` has to end the lease");

    let key = probe.key("put over a value");
    probe.put(&key, b"old", LONG).await;
    let lease = probe.lease(&key, LONG).await;
    probe.put(&key, b"put", LONG).await;
    refuses(&probe, &key, lease, Some(b"put"), "a lease over a value that `put` ended").await;

    let key = probe.key("taken by another");
    let lost = probe.lease(&key, LONG).await;
    probe.remove(&key).await;
    let lease = probe.lease(&key, LONG).await;
    refuses(&probe, &key, lost, None, "a lease that another holds now").await;
    assert!(probe.leased(&key).await, "a `fill` that is refused has to end nobody's lease");
    assert!(
        probe.fill(&key, lease, b"new", LONG).await,
        "a `fill` that is refused has to harm no other lease"
    );
    refuses(&probe, &key, lost, Some(b"new"), "a lease on a key that another has filled").await;

    let lease = probe.lease(&probe.key("one"), LONG).await;
    refuses(&probe, &probe.key("another"), lease, None, "a lease on another key").await;
    refuses(&probe, &probe.key("nobody's"), Lease::new(0), None, "a lease that was never given").await;
    refuses(&probe, &probe.key("nobody's"), Lease::new(u128::MAX), None, "a lease that was never given")
        .await;

    racing(&probe).await;
}

/// Whatever comes first, `put` and `remove` have the last word over a `fill` that is under way.
async fn racing(probe: &Probe<'_>) {
    let keys: Vec<Key> = (0..CROWD).map(|n| probe.key(&format!("raced {n}"))).collect();
    let leases = together(keys.iter().map(|key| boxed(probe.lease(key, LONG))).collect()).await;
    let race = async |n: usize, key: &Key, lease: Lease| {
        let change = async {
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            if n.is_multiple_of(2) { probe.remove(key).await } else { probe.put(key, b"new", LONG).await }
        };
        tokio::join!(probe.fill(key, lease, b"old", LONG), change);
    };
    let races = keys.iter().zip(leases).enumerate().map(|(n, (key, lease))| boxed(race(n, key, lease)));
    together(races.collect()).await;
    for (n, value) in probe.get_all(&keys).await.into_iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(value, None, "`remove` has to be final while `fill` is under way");
        } else {
            assert_eq!(
                value.as_deref(),
                Some(&b"new"[..]),
                "`put` has to be final while `fill` is under way"
            );
        }
    }
}

/// The holder can stay the holder, and learns when it is not.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::extending(&MapStore::default()).await;
/// # }
/// ```
pub async fn extending(store: &dyn Store) {
    let probe = Probe::new(store, "extending");
    let [key, over_value] = ["extended", "extended over a value"].map(|name| probe.key(name));
    probe.put(&over_value, b"old", LONG).await;
    let term = 3 * SHORT; // Long enough to be extended in time on a busy machine.
    let leases = [probe.lease(&key, term).await, probe.lease(&over_value, term).await];
    let both = [(&key, leases[0]), (&over_value, leases[1])];
    for (key, lease) in both {
        assert!(probe.extend(key, lease, LONG).await, "`extend` has to be true while the lease is held");
    }
    assert_eq!(probe.get(&key).await, None, "`extend` has to give the key no value");

    for (name, change) in [("remove", None), ("put", Some(b"put"))] {
        let key = probe.key(name);
        let lost = probe.lease(&key, LONG).await;
        match change {
            None => probe.remove(&key).await,
            Some(value) => probe.put(&key, value, LONG).await,
        }
        assert!(!probe.extend(&key, lost, LONG).await, "`extend` has to be false after `{name}`");
        let lease = probe.lease(&key, LONG).await;
        assert!(
            !probe.extend(&key, lost, LONG).await,
            "`extend` has to be false when another holds the lease"
        );
        assert!(probe.extend(&key, lease, LONG).await, "`extend` has to be true for the new holder");
        assert!(probe.fill(&key, lease, b"value", LONG).await, "`extend` has to harm no lease of another");
        assert!(!probe.extend(&key, lease, LONG).await, "`extend` has to be false after `fill`");
    }
    let released = probe.key("released");
    let lease = probe.lease(&released, LONG).await;
    probe.release(&released, lease).await;
    assert!(!probe.extend(&released, lease, LONG).await, "`extend` has to be false after `release`");
    assert!(!probe.leased(&released).await, "`extend` has to bring no lease back");

    sleep(term + LATE).await;
    for (key, lease) in both {
        assert!(probe.leased(key).await, "a lease that was extended has to be held for another term");
        assert!(probe.fill(key, lease, b"value", LONG).await, "`fill` has to be taken after `extend`");
    }
}

/// A lease that is given back can be taken, and only the holder gives it back.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::releasing(&MapStore::default()).await;
/// # }
/// ```
pub async fn releasing(store: &dyn Store) {
    let probe = Probe::new(store, "releasing");
    let key = probe.key("released");
    let released = probe.lease(&key, LONG).await;
    probe.release(&key, released).await;
    refuses(&probe, &key, released, None, "a lease that was released").await;
    let again = probe.acquire(&key, LONG, LeaseMode::IfAbsent).await;
    let lease = again.lease.expect("`acquire` has to give a lease that was released");

    probe.release(&key, released).await; // It is not an error that it was lost before.
    assert!(probe.leased(&key).await, "`release` of a lost lease has to end nobody else's");
    assert!(probe.fill(&key, lease, b"value", LONG).await, "`release` of a lost lease has to harm no other");
    probe.release(&key, lease).await;
    let value = probe.get(&key).await;
    assert_eq!(value.as_deref(), Some(&b"value"[..]), "`release` of a lost lease has to leave the value");

    let lease = probe.lease(&key, LONG).await;
    probe.release(&key, lease).await;
    let value = probe.get(&key).await;
    assert_eq!(value.as_deref(), Some(&b"value"[..]), "`release` has to leave a value that is there");
    assert!(!probe.leased(&key).await, "`release` has to give the lease over a value back");
}

/// Who holds a lease for longer than its term has lost it, and is replaced.
///
/// # Panics
///
/// If the store breaks a clause; the message says which.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// # use map::MapStore;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// cached_runtime::contract::dying(&MapStore::default()).await;
/// # }
/// ```
pub async fn dying(store: &dyn Store) {
    let probe = Probe::new(store, "dying");
    let names = ["late", "late over a value", "replaced", "late to extend"];
    let [late, late_over_value, replaced, late_to_extend] = names.map(|name| probe.key(name));
    probe.put(&late_over_value, b"old", LONG).await;

    let start = Instant::now();
    let lost = probe.lease(&late, SHORT).await;
    let lost_over_value = probe.lease(&late_over_value, SHORT).await;
    let lost_by_replaced = probe.lease(&replaced, SHORT).await;
    let lost_by_late_to_extend = probe.lease(&late_to_extend, SHORT).await;
    let by = Instant::now() + SHORT + LATE;

    sleep(SHORT / 2).await;
    let during = probe.acquire(&replaced, LONG, LeaseMode::Replace).await;
    if start.elapsed() < SHORT {
        assert_eq!(during.lease, None, "a lease has to be held until its term is over");
    }
    let mut lease = during.lease;
    let mut patience = Patience::new(by, "a lease has to end when its term is over");
    let lease = loop {
        match lease {
            Some(lease) => break lease,
            None => patience.wait().await,
        }
        lease = probe.acquire(&replaced, LONG, LeaseMode::IfAbsent).await.lease;
    };
    refuses(&probe, &replaced, lost_by_replaced, None, "a lease of which another took over the key").await;
    probe.release(&replaced, lost_by_replaced).await;
    assert!(!probe.extend(&replaced, lost_by_replaced, LONG).await, "`extend` has to be false when replaced");
    assert!(
        probe.fill(&replaced, lease, b"new", LONG).await,
        "who replaces a dead holder has to be able to fill"
    );
    refuses(&probe, &replaced, lost_by_replaced, Some(b"new"), "a lease on a key that another has filled")
        .await;

    sleep_until(by).await;
    refuses(&probe, &late, lost, None, "a lease whose term is over").await;
    refuses(&probe, &late_over_value, lost_over_value, Some(b"old"), "a lease whose term is over").await;
    let extended = probe.extend(&late_to_extend, lost_by_late_to_extend, LONG).await;
    assert!(!extended, "`extend` has to be false when the term is over");
    for key in [&late, &late_over_value, &late_to_extend] {
        assert!(!probe.leased(key).await, "a lease whose term is over has to be given to the next");
    }
}

/// A fill with a lost lease is refused and leaves what is there.
async fn refuses(probe: &Probe<'_>, key: &Key, lost: Lease, there: Option<&[u8]>, what: &str) {
    assert!(!probe.fill(key, lost, b"from before", LONG).await, "`fill` has to be refused with {what}");
    let value = probe.get(key).await;
    assert_eq!(value.as_deref(), there, "a `fill` that is refused has to store nothing, with {what}");
}
