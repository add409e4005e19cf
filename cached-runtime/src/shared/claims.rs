//! Which instances of this process use which namespace in shared stores.
//!
//! The namespace of an instance is a name, and names repeat: two functions in two blocks of one function have one path.
//! Each would then get the values of the other. The second claim to a namespace is noticed before its instance reads
//! anything; from then on all its instances compute without the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::{InstanceName, Policy};

/// The use of a namespace by one instance.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    is_ambiguous: Arc<AtomicBool>,
}

/// All claims to one namespace.
#[derive(Default)]
struct NamespaceClaims {
    is_ambiguous: Arc<AtomicBool>,
    claimants: Vec<Claimant>,
}

#[derive(Clone, Copy)]
struct Claimant {
    policy: &'static Policy,
    /// Whether the attribute of the function gives the name.
    is_named: bool,
}

/// By the namespace with its version. It has as many elements as the program has instances.
static NAMESPACES: Mutex<BTreeMap<String, NamespaceClaims>> = Mutex::new(BTreeMap::new());

impl Claim {
    /// Claims a namespace for one instance of a function, once for each instance.
    ///
    /// Functions that have a name in their attribute may share a namespace: their authors have decided so. The store of a
    /// function does not count, because two stores may be on one server.
    pub(super) fn new(namespace: &str, name: &InstanceName, policy: &'static Policy) -> Self {
        if name.has_local_type {
            tracing::error!(
                namespace,
                function = %policy.location,
                "an instance of a cached function is not cached, because one of its types is a closure or is declared in \
                 a function or a block: the name of such a type does not identify it in a shared store. Use a type of a \
                 module, or cache in memory"
            );
            return Self { is_ambiguous: Arc::new(AtomicBool::new(true)) };
        }
        let mut namespaces = NAMESPACES.lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = namespaces.entry(namespace.to_owned()).or_default();
        let claimant = Claimant { policy, is_named: name.is_named };
        let rival =
            claimed.claimants.iter().find(|other| !may_share(**other, claimant)).map(|other| other.policy);
        claimed.claimants.push(claimant);
        let is_ambiguous = Arc::clone(&claimed.is_ambiguous);
        let is_noticed = rival.is_some() && !is_ambiguous.swap(true, Ordering::Relaxed);
        drop(namespaces);
        if let (Some(rival), true) = (rival, is_noticed) {
            report(namespace, rival, policy);
        }
        Self { is_ambiguous }
    }

    /// Returns `true` if a value in the namespace may be that of another function or type.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous.load(Ordering::Relaxed)
    }
}

fn may_share(one: Claimant, other: Claimant) -> bool {
    one.is_named && other.is_named && !std::ptr::eq(one.policy, other.policy)
}

fn report(namespace: &str, one: &'static Policy, other: &'static Policy) {
    if std::ptr::eq(one, other) {
        tracing::error!(
            namespace,
            function = %one.location,
            "two instances of a cached function have types of one name, so that a shared store cannot tell their values \
             apart: from now on they are not cached. Use types whose paths differ, or cache in memory"
        );
    } else {
        tracing::error!(
            namespace,
            one = %one.location,
            other = %other.location,
            "two cached functions have one path, so that a shared store cannot tell their values apart: from now on they \
             are not cached. Give one of them another namespace, by `name = \"...\"`"
        );
    }
}
