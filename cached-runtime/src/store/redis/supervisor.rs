//! The task that supervises the client of one runtime.
//!
//! The client of `fred` reconnects by itself, with exceptions: it does not notice an unresponsive connection
//! while there is traffic, it blocks forever when the peer stops reading, and it stays with an old primary that still answers. The
//! supervisor notices all three.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use fred::clients::Client;
use fred::error::Error as ClientError;
use fred::interfaces::{ClientLike as _, EventInterface as _, TrackingInterface as _};
use fred::types::config::{Options, Server};
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, Resp3Frame as Frame, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::client_config::MAX_RECONNECT_DELAY_MS;
use super::config::{Settings, Topology};
use super::connection_state::{ConnectionState, SlotGroups};
use super::errors;
use super::sentinels::PrimaryWatch;
use crate::util::random::random;
use crate::{Error, ErrorKind, Result};

/// Runs clients, one after another, until it is aborted.
pub(super) async fn supervise(settings: Arc<Settings>, state: Arc<ConnectionState>) {
    let mut primary = PrimaryWatch::start(settings.sentinels.clone());
    loop {
        let client = state.status.borrow().client.clone();
        run_client(&client, &settings, &state, &mut primary).await;
        loop {
            match build_client(&settings) {
                Ok(client) => {
                    state.status.send_modify(|status| status.client = client);
                    break;
                }
                Err(error) => state.record_attempt(Some(error)),
            }
            sleep(RESTART_DELAY).await;
        }
        state.record_reply(SlotGroups::ALL); // The new client starts without missed replies.
        state.watchers.notify_all();
    }
}

pub(super) fn build_client(settings: &Settings) -> Result<Client> {
    settings.builder.build().map_err(|e| errors::from_client(&e))
}

/// Connects a client and returns when it must be replaced, after its tasks were aborted.
async fn run_client(
    client: &Client,
    settings: &Settings,
    state: &ConnectionState,
    primary: &mut PrimaryWatch,
) {
    let mut errors = client.error_rx();
    let mut reconnections = client.reconnect_rx();
    let mut changes = client.invalidation_rx();
    let mut connected = pin!(client.wait_for_connect());
    // The first poll subscribes. A connection that is established before it would go unnoticed.
    let mut is_connected = poll_fn(|cx| Poll::Ready(connected.as_mut().poll(cx).is_ready())).await;
    let mut task = ClientTask::start(client);

    let max_inactivity = 10 * settings.connect_timeout + MAX_INACTIVITY;
    let mut last_activity = Instant::now();
    let mut next_reconnection_of_replica = Instant::now();
    loop {
        tokio::select! {
            _ = &mut connected, if !is_connected => {
                is_connected = true;
                state.record_attempt(None);
            }
            server = reconnections.recv() => {
                state.watchers.notify_all();
                if let Ok(server) = server {
                    info!(%server, "connected to redis: calls use the shared store");
                    if is_connected {
                        state.record_attempt(None);
                    }
                }
            }
            error = errors.recv() => match error {
                Ok((error, _)) => record_error(settings, state, &error),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return sleep(RESTART_DELAY).await,
            },
            change = changes.recv() => match change {
                Ok(change) => change.keys.iter().for_each(|key| state.watchers.notify(key.as_bytes())),
                Err(RecvError::Lagged(_)) => state.watchers.notify_all(),
                Err(RecvError::Closed) => return sleep(RESTART_DELAY).await,
            },
            result = &mut task.0 => {
                if let Ok(Err(error)) = result {
                    record_error(settings, state, &error);
                }
                return sleep(RESTART_DELAY).await;
            }
            () = state.needs_check.notified() => {
                let mut must_reconnect = false;
                if state.is_demoted.swap(false, Relaxed) && next_reconnection_of_replica <= Instant::now() {
                    // The name of the server may resolve to another one now.
                    next_reconnection_of_replica = Instant::now() + REPLICA_RECONNECT_INTERVAL;
                    must_reconnect = true;
                }
                if state.has_missed_replies() && !state.is_transferring() {
                    let replies = state.replies.load(Relaxed);
                    // A server that replies to others meanwhile is slow, and a new connection would not be faster.
                    must_reconnect |= !is_responsive(client, settings, state.topology).await
                        && state.replies.load(Relaxed) == replies;
                    state.record_reply(SlotGroups::ALL);
                }
                if state.take_mismatch() && !must_reconnect {
                    must_reconnect = !is_in_step(client, settings, state.topology).await;
                }
                if must_reconnect && !reconnect(client, state.topology).await {
                    return;
                }
            }
            () = primary.answered() => {
                if primary.must_reconnect(client) && !reconnect(client, state.topology).await {
                    return;
                }
                continue;
            }
            () = sleep_until(last_activity + max_inactivity), if !client.is_connected() => return,
        }
        last_activity = Instant::now();
    }
}

/// Returns `false` if the server does not respond on its connection, as far as that can be determined.
async fn is_responsive(client: &Client, settings: &Settings, topology: Topology) -> bool {
    if !client.is_connected() {
        return true; // The client is reconnecting already.
    }
    if topology == Topology::Cluster {
        return false; // Which node has missed replies is not known.
    }
    echo(client, settings, None).await == Echo::Repeated
}

/// Returns `false` if the replies on a connection are not those to the commands before them: a reply was lost or
/// repeated on the way. A server that is only slow is in step.
async fn is_in_step(client: &Client, settings: &Settings, topology: Topology) -> bool {
    if !client.is_connected() {
        return true; // The client is reconnecting already.
    }
    match topology {
        Topology::Single => echo(client, settings, None).await != Echo::Other,
        Topology::Cluster => {
            for node in client.active_connections() {
                if echo(client, settings, Some(node)).await == Echo::Other {
                    return false;
                }
            }
            true
        }
    }
}

/// Asks a server to repeat a random text.
async fn echo(client: &Client, settings: &Settings, cluster_node: Option<Server>) -> Echo {
    let max_response_time = (2 * settings.deadline).min(MAX_RECONNECT_TIME);
    let options =
        Options { fail_fast: true, timeout: Some(max_response_time), cluster_node, ..Options::default() };
    let echo = CustomCommand::new_static("ECHO", ClusterHash::Random, false);
    let text = format!("{:016x}", random());
    match client.with_options(&options).custom_raw(echo, vec![Value::from(text.as_str())]).await {
        Ok(Frame::BlobString { data, .. }) if data == text.as_bytes() => Echo::Repeated,
        // The user may lack the permission; which command the error belongs to is not known then.
        Ok(reply) if errors::message_of(&reply).is_some_and(|message| errors::code(message) == "NOPERM") => {
            Echo::Repeated
        }
        Ok(_) => Echo::Other,
        Err(_) => Echo::Missing,
    }
}

/// The reply to an `ECHO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    Repeated,
    /// The reply to another command.
    Other,
    /// There was none in time.
    Missing,
}

/// Makes a client reconnect, and returns `false` if it must be replaced instead.
async fn reconnect(client: &Client, topology: Topology) -> bool {
    match topology {
        // It may never complete: the client hangs if the peer has stopped reading.
        Topology::Single => {
            matches!(timeout(MAX_RECONNECT_TIME, client.force_reconnection()).await, Ok(Ok(())))
        }
        // The client would keep the connections to all nodes that have not moved.
        Topology::Cluster => false,
    }
}

/// Records an error while connecting. It is logged unless the previous one was of the same kind.
fn record_error(settings: &Settings, state: &ConnectionState, error: &ClientError) {
    let details = error.details();
    let error =
        if settings.passwords.iter().any(|password| !password.is_empty() && details.contains(password)) {
            Error::new(ErrorKind::Rejected, "redis rejected the connection")
        } else {
            errors::from_client(error)
        };
    let is_logged =
        state.status.borrow().connect_error.as_ref().is_some_and(|last| last.kind() == error.kind());
    if !is_logged {
        warn!(
            servers = settings.servers,
            %error,
            "cannot connect to redis: calls compute without the shared store, and connecting is retried at \
             least every {MAX_RECONNECT_DELAY_MS} ms; check the server, its address and the credentials"
        );
    }
    state.record_attempt(Some(error));
}

/// The tasks of a client. Dropping it aborts them, so that no runtime has two clients at once.
pub(super) struct ClientTask(ConnectHandle);

impl ClientTask {
    /// Connects a client.
    pub(super) fn start(client: &Client) -> Self {
        Self(client.connect())
    }
}

impl Drop for ClientTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long a client may take to reconnect before it is replaced.
const MAX_RECONNECT_TIME: Duration = Duration::from_millis(500);
/// The delay before a client is replaced that has ended by itself.
const RESTART_DELAY: Duration = Duration::from_millis(500);
/// How long a client that is not connected may do nothing, in addition to ten attempts to connect.
const MAX_INACTIVITY: Duration = Duration::from_secs(5);
/// The minimum interval between reconnections because the server is a read-only replica.
const REPLICA_RECONNECT_INTERVAL: Duration = Duration::from_secs(5);
