//! Watches over the client of one runtime, and replaces it when it is past saving.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use fred::clients::Client;
use fred::error::Error as ClientError;
use fred::interfaces::{ClientLike as _, EventInterface as _, TrackingInterface as _};
use fred::types::config::Options;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::config::{Settings, Topology};
use super::errors;
use super::shared::{Regions, Shared};
use crate::{Error, ErrorKind, Result};

/// Keeps the link supplied with a client that works, until it is aborted.
pub(super) async fn supervise(settings: Arc<Settings>, shared: Arc<Shared>) {
    loop {
        let client = shared.state.borrow().client.clone();
        watch_over(&client, &settings, &shared).await;
        loop {
            match build(&settings) {
                Ok(client) => {
                    shared.state.send_modify(|state| state.client = client);
                    break;
                }
                Err(error) => shared.settle(Some(error)),
            }
            sleep(PAUSE).await;
        }
        shared.answered(Regions::ALL);
        shared.watchers.wake_all();
    }
}

/// Connects a client and returns when it is past saving. Its tasks have been told to stop then.
async fn watch_over(client: &Client, settings: &Settings, shared: &Shared) {
    let mut errors = client.error_rx();
    let mut reconnected = client.reconnect_rx();
    let mut changes = client.invalidation_rx();
    let mut connected = pin!(client.wait_for_connect());
    // The first poll subscribes; a connection that is made before would not be seen.
    let mut is_up = poll_fn(|cx| Poll::Ready(connected.as_mut().poll(cx).is_ready())).await;
    let mut task = Task(client.connect());

    let stuck = 10 * settings.connect_timeout + STUCK;
    let mut sign_of_life = Instant::now();
    let mut reconnect_after_demotion = Instant::now();
    loop {
        tokio::select! {
            _ = &mut connected, if !is_up => {
                is_up = true;
                shared.settle(None);
            }
            server = reconnected.recv() => {
                shared.watchers.wake_all();
                if let Ok(server) = server {
                    info!(%server, "connected to redis");
                    if is_up {
                        shared.settle(None);
                    }
                }
            }
            error = errors.recv() => match error {
                Ok((error, _)) => report(settings, shared, &error),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return sleep(PAUSE).await,
            },
            change = changes.recv() => match change {
                Ok(change) => change.keys.iter().for_each(|key| shared.watchers.wake(key.as_bytes())),
                Err(RecvError::Lagged(_)) => shared.watchers.wake_all(),
                Err(RecvError::Closed) => return sleep(PAUSE).await,
            },
            ended = &mut task.0 => {
                if let Ok(Err(error)) = ended {
                    report(settings, shared, &error);
                }
                return sleep(PAUSE).await;
            }
            () = shared.attention.notified() => {
                let mut is_ill = false;
                if shared.demoted.swap(false, Relaxed) && reconnect_after_demotion <= Instant::now() {
                    // Its name may lead to another server by now.
                    reconnect_after_demotion = Instant::now() + DEMOTED;
                    is_ill = true;
                }
                if shared.is_silent() {
                    is_ill |= !answers(client, settings, shared.topology).await;
                    shared.answered(Regions::ALL);
                }
                if is_ill && !reconnects(client, shared.topology).await {
                    return;
                }
            }
            () = sleep_until(sign_of_life + stuck), if !client.is_connected() => return,
        }
        sign_of_life = Instant::now();
    }
}

/// Whether the server still answers on the connection that there is, as far as that can be found out.
async fn answers(client: &Client, settings: &Settings, topology: Topology) -> bool {
    if !client.is_connected() {
        return true; // It is being repaired already.
    }
    if topology == Topology::Cluster {
        return false; // A ping would go to any of them.
    }
    let patience = (2 * settings.deadline).min(REPAIR);
    let options = Options { fail_fast: true, timeout: Some(patience), ..Options::default() };
    let ping = CustomCommand::new_static("PING", ClusterHash::Random, false);
    client.with_options(&options).custom_raw(ping, Vec::<Value>::new()).await.is_ok()
}

/// Whether a client could be brought to connect again.
async fn reconnects(client: &Client, topology: Topology) -> bool {
    match topology {
        // It may never do so: it hangs if the peer has stopped reading.
        Topology::Single => matches!(timeout(REPAIR, client.force_reconnection()).await, Ok(Ok(()))),
        // It would keep the connections to all nodes that are still where they were.
        Topology::Cluster => false,
    }
}

fn report(settings: &Settings, shared: &Shared, error: &ClientError) {
    let said = error.details();
    let trouble = match &settings.password {
        Some(password) if said.contains(password) => {
            Error::new(ErrorKind::Rejected, "the redis server refused to connect")
        }
        _ => errors::failure(error),
    };
    let is_known = shared.state.borrow().trouble.as_ref().is_some_and(|known| known.kind() == trouble.kind());
    if !is_known {
        warn!(servers = settings.servers, error = %trouble, "no connection to redis");
    }
    shared.settle(Some(trouble));
}

/// Never two clients of one link at once.
struct Task(ConnectHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn build(settings: &Settings) -> Result<Client> {
    settings.builder.build().map_err(|e| errors::failure(&e))
}

/// How long a client may take to reconnect before it is replaced.
const REPAIR: Duration = Duration::from_millis(500);
/// Between two clients that ended by themselves.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a client that is not connected may give no sign of trying, besides the time for trying itself.
const STUCK: Duration = Duration::from_secs(5);
/// Between two reconnections because the server is a replica.
const DEMOTED: Duration = Duration::from_secs(5);
