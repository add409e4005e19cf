//! The floor: the same reads written by hand, over a client of `fred` and over a socket that tasks share.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf as _, Bytes, BytesMut};
use fred::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::setting::User;

/// Reads by one client of `fred`.
#[derive(Clone)]
pub(crate) struct Fred(Client);

impl Fred {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = fred::types::Builder::from_config(Config::from_url(url).unwrap()).build().unwrap();
        client.init().await.unwrap();
        Self(client)
    }

    pub(crate) async fn store(&self, id: u64, region: &str, user: &User, text: &str) {
        let user = rmp_serde::to_vec_named(user).unwrap();
        let _: () =
            self.0.set(format!("hand:user:{id}:{region}"), user.as_slice(), None, None, false).await.unwrap();
        let text = rmp_serde::to_vec(text).unwrap();
        let _: () = self.0.set(format!("hand:text:{id}"), text.as_slice(), None, None, false).await.unwrap();
    }

    pub(crate) async fn user(&self, id: u64, region: &str) -> User {
        let bytes: Bytes = self.0.get(format!("hand:user:{id}:{region}")).await.unwrap();
        rmp_serde::from_slice(&bytes).unwrap()
    }

    /// Reads a number that is not stored, and stores it.
    pub(crate) async fn fill(&self, number: u64) -> u64 {
        let key = format!("hand:number:{number}");
        let found: Option<Bytes> = self.0.get(&key).await.unwrap();
        if let Some(bytes) = found {
            return rmp_serde::from_slice(&bytes).unwrap();
        }
        let bytes = rmp_serde::to_vec(&number).unwrap();
        let _: () =
            self.0.set(key, bytes.as_slice(), Some(Expiration::EX(3_600)), None, false).await.unwrap();
        number
    }

    pub(crate) async fn text(&self, id: u64) -> String {
        let bytes: Bytes = self.0.get(format!("hand:text:{id}")).await.unwrap();
        rmp_serde::from_slice(&bytes).unwrap()
    }
}

/// Reads by a multiplexed connection of `redis`.
#[derive(Clone)]
pub(crate) struct RedisRs(redis::aio::MultiplexedConnection);

impl RedisRs {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    pub(crate) async fn user(&self, id: u64, region: &str) -> User {
        let mut connection = self.0.clone();
        let bytes: Vec<u8> =
            redis::AsyncCommands::get(&mut connection, format!("hand:user:{id}:{region}")).await.unwrap();
        rmp_serde::from_slice(&bytes).unwrap()
    }
}

/// Reads by one connection to Memcached, on which the requests of all tasks are pipelined.
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

    pub(crate) async fn store(&self, id: u64, region: &str, user: &User, text: &str) {
        let user = rmp_serde::to_vec_named(user).unwrap();
        let text = rmp_serde::to_vec(text).unwrap();
        for (key, value) in [(format!("hand:user:{id}:{region}"), user), (format!("hand:text:{id}"), text)] {
            let mut command = format!("ms {key} {}\r\n", value.len()).into_bytes();
            command.extend_from_slice(&value);
            command.extend_from_slice(b"\r\n");
            self.request(command).await;
        }
    }

    pub(crate) async fn user(&self, id: u64, region: &str) -> User {
        let bytes = self.request(format!("mg hand:user:{id}:{region} v\r\n").into_bytes()).await;
        rmp_serde::from_slice(&bytes).unwrap()
    }

    pub(crate) async fn text(&self, id: u64) -> String {
        let bytes = self.request(format!("mg hand:text:{id} v\r\n").into_bytes()).await;
        rmp_serde::from_slice(&bytes).unwrap()
    }

    async fn request(&self, command: Vec<u8>) -> Bytes {
        let (reply, received) = oneshot::channel();
        self.0.send(Request { command, reply }).await.ok().unwrap();
        received.await.unwrap()
    }
}

/// Takes one reply: `VA <size>` and the value, or `HD`.
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

/// Polls all futures to their ends, in one task.
pub(crate) async fn all<F: Future>(futures: Vec<Pin<Box<F>>>) {
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
