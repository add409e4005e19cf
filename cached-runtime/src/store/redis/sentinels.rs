//! Which server is the primary, as the sentinels say.
//!
//! A client of Redis Sentinel asks for the primary when it connects
//! (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>). That is not enough here: after a failover the old primary may
//! go on answering for ten seconds and more, until a sentinel makes it a replica, and knows nothing of what is invalidated on
//! the new one. So a sentinel is asked all the time, and a client leaves a server that is not the primary any more.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::Error as ClientError;
use fred::interfaces::ClientLike as _;
use fred::types::config::{Config, Server, ServerConfig};
use fred::types::{Builder, ClusterHash, CustomCommand};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::client_config::builder;
use super::supervisor::ClientTask;
use crate::util::aborting::Aborting;

/// How to ask the sentinels.
pub(super) struct Sentinels {
    /// The builder of a client for each of them.
    builders: Vec<Builder>,
    /// What they call the primary.
    service: String,
    max_response_time: Duration,
}

impl Sentinels {
    /// Returns `None` if the configuration names no sentinels.
    pub(super) fn new(config: &Config, deadline: Duration, connect_timeout: Duration) -> Option<Self> {
        let ServerConfig::Sentinel { hosts, service_name, .. } = &config.server else { return None };
        let builder_for = |server: &Server| {
            let server = ServerConfig::Centralized { server: server.clone() };
            // A sentinel has no databases.
            builder(Config { server, database: None, ..config.clone() }, deadline, connect_timeout)
        };
        Some(Self {
            builders: hosts.iter().map(builder_for).collect(),
            service: service_name.clone(),
            max_response_time: deadline.max(connect_timeout),
        })
    }

    /// Asks one sentinel after the other, until the task is aborted.
    async fn ask(&self, primary: &watch::Sender<Option<Server>>) {
        loop {
            for builder in &self.builders {
                // One that fails is asked again after the others.
                let _ = self.ask_one(builder, primary).await;
                sleep(INTERVAL).await;
            }
        }
    }

    /// Asks one sentinel until it fails.
    async fn ask_one(
        &self,
        builder: &Builder,
        primary: &watch::Sender<Option<Server>>,
    ) -> Result<(), ClientError> {
        let client = builder.build()?;
        let _task = ClientTask::start(&client);
        let Ok(connected) = timeout(self.max_response_time, client.wait_for_connect()).await else {
            return Ok(());
        };
        connected?;
        while let Ok(asked) = timeout(self.max_response_time, self.primary(&client)).await {
            let answer = asked?;
            primary.send_replace(Some(answer));
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    async fn primary(&self, client: &Client) -> Result<Server, ClientError> {
        let command = CustomCommand::new_static("SENTINEL", ClusterHash::Random, false);
        let arguments = vec!["GET-MASTER-ADDR-BY-NAME", &self.service];
        let (host, port): (String, u16) = client.custom(command, arguments).await?;
        Ok(Server::new(host, port))
    }
}

/// Notices that a client is connected to a server that is not the primary any more.
pub(super) struct PrimaryWatch {
    /// The last answer of a sentinel.
    primary: watch::Receiver<Option<Server>>,
    reconnected: Option<Reconnected>,
    /// `None` if there are no sentinels.
    task: Option<Aborting<()>>,
}

/// When a client was told to reconnect.
struct Reconnected {
    /// The server that it was connected to.
    from: Server,
    primary: Server,
    at: Instant,
    /// How long to wait before it is told so for the same servers: sentinels may call one server by different names.
    pause: Duration,
}

impl PrimaryWatch {
    /// Starts a task that asks the sentinels, if there are any.
    pub(super) fn start(sentinels: Option<Arc<Sentinels>>) -> Self {
        let (sender, primary) = watch::channel(None);
        let task = sentinels
            .map(|sentinels| Aborting::new(tokio::spawn(async move { sentinels.ask(&sender).await })));
        Self { primary, reconnected: None, task }
    }

    /// Waits for the next answer of a sentinel.
    pub(super) async fn answered(&mut self) {
        if self.task.is_none() || self.primary.changed().await.is_err() {
            pending::<()>().await;
        }
    }

    /// Returns `true` if a client is connected to another server than the primary, and is to reconnect.
    pub(super) fn must_reconnect(&mut self, client: &Client) -> bool {
        let primary = self.primary.borrow_and_update().clone();
        let (Some(primary), Some(from)) = (primary, client.active_connections().pop()) else { return false };
        if is_same(&primary, &from) {
            self.reconnected = None;
            return false;
        }
        let now = Instant::now();
        let pause = match &self.reconnected {
            Some(last) if is_same(&last.from, &from) && is_same(&last.primary, &primary) => {
                if now < last.at + last.pause {
                    return false;
                }
                (2 * last.pause).min(MAX_PAUSE)
            }
            _ => INTERVAL,
        };
        self.reconnected = Some(Reconnected { from, primary, at: now, pause });
        true
    }
}

fn is_same(one: &Server, other: &Server) -> bool {
    (&one.host, one.port) == (&other.host, other.port)
}

/// How often a sentinel is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// The longest pause between two reconnections because of the same servers.
const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);
