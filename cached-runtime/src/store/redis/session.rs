//! The commands of one operation.

use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::interfaces::ClientLike as _;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, FromValue, Resp3Frame as Frame, Value};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use super::config::Settings;
use super::connection_state::{ConnectionState, PendingReply, SlotGroups};
use super::errors;
use super::scripts::Script;
use crate::{Error, ErrorKind, Result};

/// The use of a connection by one operation.
pub(super) struct Session<'a> {
    pub(super) client: Client,
    pub(super) state: &'a ConnectionState,
    pub(super) settings: &'a Settings,
    pub(super) slot_groups: SlotGroups,
    pub(super) deadline: Instant,
}

impl Session<'_> {
    /// Sends one command, whose first argument is a key, and returns its reply, which may be an error of the
    /// server.
    pub(super) async fn command(&self, name: &'static str, arguments: Vec<Value>) -> Result<Frame> {
        self.send(CustomCommand::new_static(name, ClusterHash::FirstKey, false), arguments).await
    }

    /// Runs a script and returns its reply. The script's source is sent only if the server does not have it.
    pub(super) async fn script(
        &self,
        script: &Script,
        keys: [Value; 2],
        arguments: &[Value],
    ) -> Result<Frame> {
        // The `evalsha` of fred ignores the timeout in the options.
        let command = |name| CustomCommand::new_static(name, ClusterHash::Offset(2), false);
        let [value, lease] = keys;
        let mut all = vec![script.digest(), Value::from_static_str("2"), value, lease];
        all.extend_from_slice(arguments);

        let reply = self.send(command("EVALSHA"), all.clone()).await?;
        if !errors::message_of(&reply).is_some_and(|message| message.starts_with("NOSCRIPT")) {
            return Ok(reply);
        }
        all[0] = script.source();
        self.send(command("EVAL"), all).await
    }

    /// Reads keys that may be on different servers, by one command for each key, all sent at once.
    pub(super) async fn get_each(&self, keys: Vec<Value>) -> Result<Vec<Result<Option<Bytes>>>> {
        let commands = keys.into_iter().map(|key| ("GET", vec![key])).collect();
        let value = |reply: Result<_, ClientError>| match reply {
            Err(e) if errors::code(e.details()) == "WRONGTYPE" => Ok(None),
            reply => reply.map_err(|e| errors::from_client(&e)),
        };
        Ok(self.pipeline(commands).await?.into_iter().map(value).collect())
    }

    /// Returns a receiver that is completed or closed when a value or its lease changes; `None` if the server
    /// refuses to notify.
    ///
    /// Each call enables tracking (`CLIENT TRACKING`), so that it works on any connection, also after a
    /// reconnection. The server stops tracking a key with its first change, and tracking costs it nothing
    /// while no key is watched.
    pub(super) async fn watch(&self, keys: [Value; 2]) -> Result<Option<oneshot::Receiver<()>>> {
        let name = keys[0].as_bytes().unwrap_or_default();
        // Subscribed before the server tracks the key, so that no notification is missed.
        let Some(changed) = self.state.watchers.subscribe(name) else { return Ok(None) };
        let arguments =
            |words: &[&'static str]| words.iter().map(|word| Value::from_static_str(word)).collect();
        let commands = vec![
            ("CLIENT", arguments(&["TRACKING", "ON", "OPTIN"])),
            // Applies to the next command, which reads no value but makes the server track both keys.
            ("CLIENT", arguments(&["CACHING", "YES"])),
            ("EXISTS", keys.into()),
        ];
        for reply in self.pipeline::<Value>(commands).await? {
            if let Err(error) = reply {
                let error = errors::from_client(&error);
                if error.kind() != ErrorKind::Rejected {
                    return Err(error);
                }
                debug!(
                    servers = self.settings.servers,
                    ?error,
                    "redis refused `CLIENT TRACKING`: calls that wait for another process poll instead of \
                     being notified; permit the user `client|tracking`, `client|caching` and `exists`"
                );
                self.state.watchers.record_refusal();
                return Ok(None);
            }
        }
        Ok(Some(changed))
    }

    /// Sends commands in one pipeline, and returns the reply to each.
    async fn pipeline<T: FromValue>(
        &self,
        commands: Vec<(&'static str, Vec<Value>)>,
    ) -> Result<Vec<Result<T, ClientError>>> {
        let count = commands.len();
        // `with_options` must come after `pipeline`, which discards earlier options.
        let pipeline = self.client.pipeline().with_options(&self.options()?);
        for (name, arguments) in commands {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            pipeline.custom::<(), _>(command, arguments).await.map_err(|e| errors::from_client(&e))?;
        }
        let pending = PendingReply::new(self.state, self.slot_groups);
        let replies = pipeline.try_all().await;
        let first_error = replies.iter().find_map(|reply| reply.as_ref().err());
        if replies.len() != count || first_error.is_some_and(|e| *e.kind() == Cause::Timeout) {
            let error = first_error
                .cloned()
                .unwrap_or_else(|| ClientError::new(Cause::Protocol, "fewer replies than commands"));
            return Err(self.fail(pending, &error));
        }
        pending.replied();
        Ok(replies)
    }

    async fn send(&self, command: CustomCommand, arguments: Vec<Value>) -> Result<Frame> {
        let client = self.client.with_options(&self.options()?);
        let pending = PendingReply::new(self.state, self.slot_groups);
        match client.custom_raw(command, arguments).await {
            Ok(reply) => {
                pending.replied();
                if errors::message_of(&reply).is_some_and(|message| errors::code(message) == "READONLY") {
                    self.state.record_demotion();
                }
                Ok(reply)
            }
            Err(error) => Err(self.fail(pending, &error)),
        }
    }

    /// Records a failed command and returns its error.
    fn fail(&self, pending: PendingReply<'_>, error: &ClientError) -> Error {
        if *error.kind() == Cause::Timeout {
            pending.timed_out();
            return timed_out();
        }
        pending.dismiss();
        self.state.with_connect_error(errors::from_client(error))
    }

    /// Returns the options of a command that must finish within the deadline.
    fn options(&self) -> Result<Options> {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(timed_out()); // To fred, a timeout of zero means none.
        }
        debug_assert!(remaining <= self.settings.deadline);
        Ok(Options { fail_fast: true, timeout: Some(remaining), ..Options::default() })
    }
}

fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "redis did not reply within the deadline")
}
