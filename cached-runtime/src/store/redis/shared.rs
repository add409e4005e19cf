//! What the operations and the supervisor of one runtime share.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::util::redis_keyslot;
use tokio::sync::{Notify, watch};

use super::config::Topology;
use super::watchers::Watchers;
use crate::{Error, ErrorKind, Key, Result};

/// What operations and the supervisor of one link tell each other.
pub(super) struct Shared {
    pub(super) topology: Topology,
    pub(super) state: watch::Sender<State>,
    /// How much speaks for the server of each region being silent; nothing as soon as it answers.
    silent: [AtomicU32; Regions::COUNT],
    /// A server said that it is a replica now.
    pub(super) demoted: AtomicBool,
    pub(super) attention: Notify,
    pub(super) watchers: Watchers,
}

pub(super) struct State {
    pub(super) client: Client,
    /// Whether the first attempt to connect is over.
    pub(super) settled: bool,
    /// Why there is no connection; stays until there is one again.
    pub(super) trouble: Option<Error>,
}

impl Shared {
    pub(super) fn new(topology: Topology, client: Client) -> Self {
        Self {
            topology,
            state: watch::Sender::new(State { client, settled: false, trouble: None }),
            silent: [const { AtomicU32::new(0) }; Regions::COUNT],
            demoted: AtomicBool::new(false),
            attention: Notify::new(),
            watchers: Watchers::default(),
        }
    }

    /// The client, if it is connected.
    pub(super) fn client(&self) -> Result<Client> {
        let client = self.state.borrow().client.clone();
        if client.is_connected() {
            return Ok(client);
        }
        Err(self.explain(Error::new(ErrorKind::Unreachable, "there is no connection to the redis server")))
    }

    /// Says why there is no connection, if that is known.
    pub(super) fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Unreachable {
            return error;
        }
        match &self.state.borrow().trouble {
            Some(trouble) if matches!(trouble.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
                error.with_source(trouble.clone())
            }
            Some(trouble) => trouble.clone(),
            None => error,
        }
    }

    pub(super) fn settle(&self, trouble: Option<Error>) {
        self.state.send_modify(|state| {
            state.settled = true;
            state.trouble = trouble;
        });
    }

    /// Takes note of an operation that went without an answer.
    fn silence(&self, regions: Regions, how: Silence) {
        let weight = match (how, self.topology) {
            // One is enough to ask the server whether it is still there.
            (Silence::Deadline, Topology::Single) => PATIENCE,
            (Silence::Deadline, Topology::Cluster) | (Silence::Dropped, Topology::Single) => 1,
            // In a cluster nobody can be asked, so this has to be certain.
            (Silence::Dropped, Topology::Cluster) => return,
        };
        for region in regions.each() {
            // A number that wraps around was large enough long before.
            if self.silent[region].fetch_add(weight, Relaxed).wrapping_add(weight) >= PATIENCE {
                self.attention.notify_one();
            }
        }
    }

    pub(super) fn answered(&self, regions: Regions) {
        for region in regions.each() {
            self.silent[region].store(0, Relaxed);
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.iter().any(|silent| silent.load(Relaxed) >= PATIENCE)
    }

    pub(super) fn demoted(&self) {
        self.demoted.store(true, Relaxed);
        self.attention.notify_one();
    }
}

/// Some of the parts into which the slots of a cluster are divided, as a set of bits.
///
/// A node that is silent must not be overlooked because the others answer. A single server is one region.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regions(u64);

impl Regions {
    const COUNT: usize = 64;
    pub(super) const ALL: Self = Self(u64::MAX);

    pub(super) fn of(keys: &[Key], topology: Topology) -> Self {
        match topology {
            Topology::Single => Self(1),
            // The key is what the braces enclose, so it alone decides on the slot.
            Topology::Cluster => keys
                .iter()
                .map(|key| redis_keyslot(key.as_str().as_bytes()) / SLOTS_PER_REGION)
                .fold(Self(0), |regions, region| Self(regions.0 | 1 << region)),
        }
    }

    fn each(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some(first as usize)
        })
    }
}

const SLOTS_PER_REGION: u16 = 16384 / 64;

/// Why an operation went without an answer.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// The server did not keep the deadline.
    Deadline,
    /// The caller did not wait that long.
    Dropped,
}

/// A command that was sent. Whoever drops it, and be it by giving up, has not heard from the server.
pub(super) struct Unanswered<'a>(pub(super) Option<&'a Shared>, pub(super) Regions);

impl Unanswered<'_> {
    pub(super) fn late(mut self) {
        if let Some(shared) = self.0.take() {
            shared.silence(self.1, Silence::Deadline);
        }
    }

    pub(super) fn answered(mut self) {
        if let Some(shared) = self.0.take() {
            shared.answered(self.1);
        }
    }

    pub(super) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.silence(self.1, Silence::Dropped);
        }
    }
}

/// So many operations in a row without an answer cast doubt on a connection; see [`Shared::silence`].
const PATIENCE: u32 = 3;
