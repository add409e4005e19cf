//! By hand, by one connection to Memcached, on which the requests of all tasks are pipelined.

use std::collections::VecDeque;
use std::io::Write as _;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::Client;
use crate::setting::{LIFETIME, REGION, User, text};

#[derive(Clone)]
pub(crate) struct Socket(mpsc::Sender<Request>);

struct Request {
    command: Vec<u8>,
    reply: oneshot::Sender<Bytes>,
}

/// How the task of a [`Socket`] groups the requests that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// Each by a system call of its own: the simplest client.
    Single,
    /// All that are queued by one system call.
    Combined,
}

impl Socket {
    pub(crate) async fn connect(addr: &str, grouping: Grouping) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (requests, mut queue) = mpsc::channel::<Request>(1_024);
        let at_once = if grouping == Grouping::Single { 1 } else { 128 };
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            let (mut output, mut input) = (BytesMut::new(), BytesMut::with_capacity(1 << 16));
            let mut waiting: VecDeque<oneshot::Sender<Bytes>> = VecDeque::new();
            let mut taken = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    written = writer.write_buf(&mut output), if !output.is_empty() => drop(written.unwrap()),
                    read = reader.read_buf(&mut input) => {
                        if read.unwrap() == 0 {
                            return;
                        }
                        while let Some(value) = take_value(&mut input) {
                            let _ = waiting.pop_front().unwrap().send(value);
                        }
                    }
                    count = queue.recv_many(&mut taken, at_once), if output.is_empty() || grouping == Grouping::Combined => {
                        if count == 0 {
                            return;
                        }
                        for Request { command, reply } in taken.drain(..) {
                            output.extend_from_slice(&command);
                            waiting.push_back(reply);
                        }
                    }
                }
            }
        });
        Self(requests)
    }

    async fn get_or_set<V: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        id: u64,
        new: impl FnOnce() -> V,
    ) -> V {
        let mut command = Vec::with_capacity(64);
        let _ = write!(command, "mg hand:{kind}:{id}:{REGION} v\r\n");
        let found = self.request(command).await;
        if !found.is_empty() {
            return rmp_serde::from_slice(&found).unwrap();
        }
        let value = new();
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        let mut command =
            format!("ms hand:{kind}:{id}:{REGION} {} T{LIFETIME}\r\n", bytes.len()).into_bytes();
        command.extend_from_slice(&bytes);
        command.extend_from_slice(b"\r\n");
        self.request(command).await;
        value
    }

    async fn request(&self, command: Vec<u8>) -> Bytes {
        let (reply, received) = oneshot::channel();
        self.0.send(Request { command, reply }).await.ok().unwrap();
        received.await.unwrap()
    }
}

impl Client for Socket {
    async fn user(&self, id: u64) -> User {
        self.get_or_set("user", id, || User::new(id, REGION)).await
    }

    async fn text(&self, id: u64) -> String {
        self.get_or_set("text", id, || text(id)).await
    }

    async fn number(&self, number: u64) -> u64 {
        self.get_or_set("number", number, || number).await
    }
}

/// Takes one reply: `VA <size>` and the value, or `HD` and `EN`, which have none.
fn take_value(input: &mut BytesMut) -> Option<Bytes> {
    let end = input.iter().position(|&byte| byte == b'\n')?;
    let size = match &input[..end] {
        [b'V', b'A', b' ', size @ .., b'\r'] => std::str::from_utf8(size).unwrap().parse::<usize>().unwrap(),
        _ => {
            input.advance(end + 1);
            return Some(Bytes::new());
        }
    };
    if input.len() < end + 1 + size + 2 {
        input.reserve(end + 1 + size + 2 - input.len());
        return None;
    }
    input.advance(end + 1);
    let value = input.split_to(size).freeze();
    input.advance(2);
    Some(value)
}
