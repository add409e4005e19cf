//! The commands of one operation.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, Pipeline, WithOptions};
use fred::error::{Error as ClientError, ErrorKind as Cause};
use fred::interfaces::{ClientLike as _, KeysInterface as _};
use fred::types::config::Options;
use fred::types::{
    ClusterHash, CustomCommand, Expiration, FromValue, Key as Name, Resp3Frame as Frame, Value,
};
use tokio::time::Instant;

use super::config::Settings;
use super::connection_state::{ConnectionState, PendingReply, SlotGroups};
use super::scripts::{STAGED_MILLIS, Script, ScriptText};
use super::server_ids::ServerId;
use super::{errors, replies};
use crate::store::deadline::{self, Elapsed};
use crate::util::random::random;
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
    /// Reads keys of one server by one command.
    pub(super) async fn get_all(&self, names: Vec<Name>) -> Result<Vec<Option<Bytes>>> {
        let count = names.len();
        let client = self.client.with_options(&options());
        let pending = PendingReply::new(self.state, self.slot_groups);
        // Unlike custom commands, these are not flushed alone.
        let reply: Result<Value, _> = match <[Name; 1]>::try_from(names) {
            Ok([name]) => {
                let reply = self.in_time(pin!(client.get(name))).await;
                reply.map(|value| Value::Array(vec![value]))
            }
            Err(names) => self.in_time(pin!(client.mget(names))).await,
        };
        let reply = match reply {
            Ok(reply) => {
                pending.replied();
                reply
            }
            Err(error) if errors::is_wrong_type(&error) => {
                pending.replied();
                return Ok(vec![None]);
            }
            Err(error) => return Err(self.fail(pending, &error)),
        };
        self.state.record_unverified_reply();
        replies::values(reply, count)
    }

    /// Stores a value under a name that no other operation uses, for some time.
    pub(super) async fn set(&self, name: Name, value: Value) -> Result<()> {
        let client = self.client_in_time()?;
        let pending = PendingReply::new(self.state, self.slot_groups);
        let expiration = Some(Expiration::PX(STAGED_MILLIS));
        match self.in_time(pin!(client.set::<(), _, _>(name, value, expiration, None, false))).await {
            Ok(()) => {
                pending.replied();
                Ok(())
            }
            Err(error) => Err(self.fail(pending, &error)),
        }
    }

    /// Returns the length of a string in bytes.
    pub(super) async fn length(&self, name: Name) -> Result<usize> {
        let client = self.client_in_time()?;
        let pending = PendingReply::new(self.state, self.slot_groups);
        match self.in_time(pin!(client.strlen(name))).await {
            Ok(length) => {
                pending.replied();
                self.state.record_unverified_reply();
                Ok(length)
            }
            Err(error) => Err(self.fail(pending, &error)),
        }
    }

    /// Runs a script on keys of one slot and returns its result, which may be an error of the server.
    ///
    /// `names` returns the names of the keys; its argument is what the names contain of the server's identity.
    pub(super) async fn script(
        &self,
        script: &Script,
        slot: u16,
        names: impl Fn(&str) -> Vec<Value>,
        arguments: &[Value],
    ) -> Result<Frame> {
        let Some(servers) = &self.state.server_ids else {
            let text = script.text(|script| &script.plain);
            return match self.run(text, slot, names(""), &[], arguments).await? {
                ScriptReply::Result(result) => Ok(result),
                ScriptReply::OtherServer(_) => Err(replies::malformed()),
            };
        };
        let text = script.text(|script| &script.of_one_server);
        for _ in 0..MAX_SERVERS_PER_OPERATION {
            let id = servers.get(slot).unwrap_or_else(|| ServerId::new(""));
            let expected = [Value::from(&*id.text)];
            match self.run(text, slot, names(&id.name), &expected, arguments).await? {
                ScriptReply::Result(result) => return Ok(result),
                ScriptReply::OtherServer(id) => servers.set(slot, id),
            }
        }
        Err(Error::new(ErrorKind::Unreachable, "the redis server was replaced too often"))
    }

    /// Sends a script. Its source is sent only if the server does not have it.
    async fn run(
        &self,
        text: &ScriptText,
        slot: u16,
        names: Vec<Value>,
        first_arguments: &[Value],
        arguments: &[Value],
    ) -> Result<ScriptReply> {
        // The `evalsha` of fred ignores the timeout in the options, and fred hashes the digest unless the slot is given.
        let command = |name| CustomCommand::new_static(name, ClusterHash::Custom(slot), false);
        let nonce = format!("{:016x}", random());
        let mut all = vec![text.digest.clone(), Value::from(names.len().to_string())];
        all.extend(names);
        all.push(Value::from(nonce.as_str()));
        all.extend_from_slice(first_arguments);
        all.extend_from_slice(arguments);

        let mut reply = self.send(command("EVALSHA"), all.clone()).await?;
        if errors::message_of(&reply).is_some_and(|message| message.starts_with("NOSCRIPT")) {
            all[0] = text.source.clone();
            reply = self.send(command("EVAL"), all).await?;
        }
        let reply = ScriptReply::parse(reply, &nonce)?;
        self.state.record_verified_reply();
        Ok(reply)
    }

    /// Reads keys that may be on different servers, by one command for each key, all sent at once.
    pub(super) async fn get_each(&self, names: Vec<Name>) -> Result<Vec<Result<Option<Bytes>>>> {
        let count = names.len();
        let pipeline = self.pipeline()?;
        for name in names {
            pipeline.get::<(), _>(name).await.map_err(|e| errors::from_client(&e))?;
        }
        let value = |reply: Result<_, ClientError>| match reply {
            Err(e) if errors::is_wrong_type(&e) => Ok(None),
            reply => reply.map_err(|e| errors::from_client(&e)),
        };
        let replies = self.replies(&pipeline, count).await?;
        self.state.record_unverified_reply();
        Ok(replies.into_iter().map(value).collect())
    }

    /// Returns a pipeline, unless the deadline has passed.
    pub(super) fn pipeline(&self) -> Result<WithOptions<Pipeline<Client>>> {
        self.check_deadline()?;
        // `with_options` must come after `pipeline`, which discards earlier options.
        Ok(self.client.pipeline().with_options(&options()))
    }

    /// Returns the client, unless the deadline has passed: the command may follow another one of the operation.
    fn client_in_time(&self) -> Result<WithOptions<Client>> {
        self.check_deadline()?;
        Ok(self.client.with_options(&options()))
    }

    fn check_deadline(&self) -> Result<()> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(timed_out()) }
    }

    /// Sends the commands of a pipeline, and returns the reply to each.
    pub(super) async fn replies<T: FromValue>(
        &self,
        pipeline: &Pipeline<Client>,
        count: usize,
    ) -> Result<Vec<Result<T, ClientError>>> {
        let pending = PendingReply::new(self.state, self.slot_groups);
        let replies = self.in_time(pin!(async { Ok(pipeline.try_all().await) })).await;
        let replies = replies.unwrap_or_else(|error| vec![Err(error)]);
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
        let client = self.client_in_time()?;
        let pending = PendingReply::new(self.state, self.slot_groups);
        match self.in_time(pin!(client.custom_raw(command, arguments))).await {
            Ok(reply) => {
                pending.replied();
                if errors::is_read_only(&reply) {
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
        if errors::is_reply(error) {
            pending.replied();
            return errors::from_client(error);
        }
        pending.dismiss();
        self.state.with_connect_error(errors::from_client(error))
    }

    /// Runs a command within the deadline.
    async fn in_time<T>(
        &self,
        command: Pin<&mut impl Future<Output = Result<T, ClientError>>>,
    ) -> Result<T, ClientError> {
        match deadline::within(self.deadline, command).await {
            Ok(result) => result,
            Err(Elapsed) => Err(ClientError::new(Cause::Timeout, "")),
        }
    }
}

/// Returns the options of a command. Its deadline is [`Session::deadline`]; to fred, a timeout of zero means none.
fn options() -> Options {
    Options { fail_fast: true, timeout: Some(Duration::ZERO), ..Options::default() }
}

/// The reply to a script.
enum ScriptReply {
    /// The result of the script, or an error of the server.
    Result(Frame),
    /// The script was not run, because the server is this one.
    OtherServer(ServerId),
}

impl ScriptReply {
    /// Returns an error if it is the reply to another command than the one with this nonce.
    fn parse(reply: Frame, nonce: &str) -> Result<Self> {
        if errors::message_of(&reply).is_some() {
            return Ok(Self::Result(reply));
        }
        let is_nonce =
            |frame: &Frame| matches!(frame, Frame::BlobString { data, .. } if data == nonce.as_bytes());
        match reply {
            Frame::Array { mut data, .. } if data.first().is_some_and(is_nonce) => {
                let result = data.pop().ok_or_else(replies::malformed)?;
                match (data.get(1), &result) {
                    (Some(Frame::Number { data: 1, .. }), _) => Ok(Self::Result(result)),
                    (Some(Frame::Number { data: 0, .. }), Frame::BlobString { data: id, .. }) => {
                        let id = std::str::from_utf8(id).map_err(|_| replies::malformed())?;
                        Ok(Self::OtherServer(ServerId::new(id)))
                    }
                    _ => Err(replies::malformed()),
                }
            }
            _ => Err(Error::new(ErrorKind::Protocol, "redis replied to another command")),
        }
    }
}

/// How many servers one operation asks: the first reply tells which server it is, and it may be replaced once.
const MAX_SERVERS_PER_OPERATION: usize = 3;

fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "redis did not reply within the deadline")
}
