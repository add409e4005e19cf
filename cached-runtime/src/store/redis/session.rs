//! The commands of one operation.

use fred::clients::Client;
use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::interfaces::ClientLike as _;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, FromValue, Resp3Frame as Frame, Value};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use super::config::Settings;
use super::errors;
use super::scripts::Script;
use super::shared::{Regions, Shared, Unanswered};
use crate::{Error, ErrorKind, Result};

/// One operation's use of the connection.
pub(super) struct Session<'a> {
    pub(super) client: Client,
    pub(super) shared: &'a Shared,
    pub(super) settings: &'a Settings,
    pub(super) regions: Regions,
    pub(super) until: Instant,
}

impl Session<'_> {
    /// Sends one command, whose first argument is a key, and returns the answer, which may be an error.
    pub(super) async fn command(&self, name: &'static str, arguments: Vec<Value>) -> Result<Frame> {
        self.send(CustomCommand::new_static(name, ClusterHash::FirstKey, false), arguments).await
    }

    /// Runs a script. The server is sent its text only if it does not know it.
    pub(super) async fn script(
        &self,
        script: &Script,
        keys: [Value; 2],
        arguments: &[Value],
    ) -> Result<Frame> {
        // Not fred's own `evalsha`: that one ignores the deadline.
        let command = |name| CustomCommand::new_static(name, ClusterHash::Offset(2), false);
        let [value, lease] = keys;
        let mut all = vec![script.digest(), Value::from_static_str("2"), value, lease];
        all.extend_from_slice(arguments);

        let answer = self.send(command("EVALSHA"), all.clone()).await?;
        if !errors::error_of(&answer).is_some_and(|message| message.starts_with("NOSCRIPT")) {
            return Ok(answer);
        }
        all[0] = script.text();
        self.send(command("EVAL"), all).await
    }

    /// Reads keys that may lie on different servers, each with a command of its own, all sent at once.
    pub(super) async fn read_apart(&self, keys: Vec<Value>) -> Result<Vec<Result<Option<bytes::Bytes>>>> {
        let commands = keys.into_iter().map(|key| ("GET", vec![key])).collect();
        let value = |answer: Result<_, ClientError>| match answer {
            Err(e) if errors::code(e.details()) == "WRONGTYPE" => Ok(None),
            answer => answer.map_err(|e| errors::failure(&e)),
        };
        Ok(self.at_once(commands).await?.into_iter().map(value).collect())
    }

    /// Has the server say when a value or its lease changes; `None` if it will not do that.
    ///
    /// Tracking is turned on each time: so it does not matter which connection this is, and what became of the one
    /// before. It is forgotten with the first change, and costs the server nothing until someone waits.
    pub(super) async fn watch(&self, keys: [Value; 2]) -> Result<Option<oneshot::Receiver<()>>> {
        let name = keys[0].as_bytes().unwrap_or_default();
        // Before the server is asked, so that nobody misses what it says.
        let Some(told) = self.shared.watchers.add(name) else { return Ok(None) };
        let words = |words: &[&'static str]| words.iter().map(|word| Value::from_static_str(word)).collect();
        let commands = vec![
            ("CLIENT", words(&["TRACKING", "ON", "OPTIN"])),
            // Holds for the next command, which reads neither key but makes the server remember both.
            ("CLIENT", words(&["CACHING", "YES"])),
            ("EXISTS", keys.into()),
        ];
        for answer in self.at_once::<Value>(commands).await? {
            if let Err(error) = answer {
                let error = errors::failure(&error);
                if error.kind() != ErrorKind::Rejected {
                    return Err(error);
                }
                debug!(servers = self.settings.servers, ?error, "redis does not tell when keys change");
                self.shared.watchers.refused();
                return Ok(None);
            }
        }
        Ok(Some(told))
    }

    /// Sends commands in one piece, and returns the answer to each.
    async fn at_once<T: FromValue>(
        &self,
        commands: Vec<(&'static str, Vec<Value>)>,
    ) -> Result<Vec<Result<T, ClientError>>> {
        let count = commands.len();
        // The options must come after the pipeline, they are lost before it.
        let pipeline = self.client.pipeline().with_options(&self.options()?);
        for (name, arguments) in commands {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            pipeline.custom::<(), _>(command, arguments).await.map_err(|e| errors::failure(&e))?;
        }
        let unanswered = Unanswered(Some(self.shared), self.regions);
        let answers = pipeline.try_all().await;
        let first_error = answers.iter().find_map(|answer| answer.as_ref().err());
        if answers.len() != count || first_error.is_some_and(|e| *e.kind() == Cause::Timeout) {
            let error = first_error.cloned().unwrap_or_else(|| ClientError::new(Cause::Protocol, "too few"));
            return Err(self.fail(unanswered, &error));
        }
        unanswered.answered();
        Ok(answers)
    }

    async fn send(&self, command: CustomCommand, arguments: Vec<Value>) -> Result<Frame> {
        let client = self.client.with_options(&self.options()?);
        let unanswered = Unanswered(Some(self.shared), self.regions);
        match client.custom_raw(command, arguments).await {
            Ok(answer) => {
                unanswered.answered();
                if errors::error_of(&answer).is_some_and(|message| errors::code(message) == "READONLY") {
                    self.shared.demoted();
                }
                Ok(answer)
            }
            Err(error) => Err(self.fail(unanswered, &error)),
        }
    }

    fn fail(&self, unanswered: Unanswered<'_>, error: &ClientError) -> Error {
        if *error.kind() == Cause::Timeout {
            unanswered.late();
            return late();
        }
        unanswered.forget();
        self.shared.explain(errors::failure(error))
    }

    fn options(&self) -> Result<Options> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late()); // To fred no time means no limit.
        }
        debug_assert!(left <= self.settings.deadline);
        Ok(Options { fail_fast: true, timeout: Some(left), ..Options::default() })
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the redis server did not answer in time")
}
