//! How a connection is made.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::backoff::random;
use super::config::{Address, Credentials};
use super::connection::{Settings, lost};
use super::pending_replies::BUFFER;
use super::protocol::{self, Epoch, Parsed};
use crate::{Error, ErrorKind, Result};

pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A connection to a server that is known to be one, and to answer.
pub(super) async fn dial(settings: &Settings) -> Result<(Stream, Epoch)> {
    let dial = async {
        let unreachable =
            |e: io::Error| Error::new(ErrorKind::Unreachable, "memcached can not be reached").with_source(e);
        match &settings.address {
            // Names are resolved here, on every dial: servers move.
            Address::Tcp { host, port } => {
                let mut stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                let epoch = greet(&mut stream, settings.credentials.as_ref()).await?;
                Ok((Stream::Tcp(stream), epoch))
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let mut stream = UnixStream::connect(path).await.map_err(unreachable)?;
                let epoch = greet(&mut stream, settings.credentials.as_ref()).await?;
                Ok((Stream::Unix(stream), epoch))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(Error::new(ErrorKind::Config, "this platform has no unix sockets")),
        }
    };
    timeout(settings.connect_timeout, dial)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unreachable, "memcached did not answer when dialled")))
}

/// Makes us known and asks who is there.
///
/// A server that is stopped or overloaded is often still connected to by its kernel: only an answer shows life.
async fn greet<S>(stream: &mut S, credentials: Option<&Credentials>) -> Result<Epoch>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::with_capacity(BUFFER);
    if let Some(Credentials { user, password }) = credentials {
        let command = protocol::authenticate(user, password);
        ask(stream, &mut buffer, &command, protocol::parse_authenticated).await?;
    }
    let epoch = ask(stream, &mut buffer, protocol::GREETING, protocol::parse_greeting).await?;
    if !buffer.is_empty() {
        return Err(Error::new(ErrorKind::Protocol, "memcached said more than it was asked for"));
    }
    // Nothing is known about the life of this server, so that no lease outlives the connection.
    Ok(epoch.unwrap_or_else(|| Epoch((random() >> 32) as u32)))
}

async fn ask<S, T>(
    stream: &mut S,
    buffer: &mut BytesMut,
    question: &[u8],
    parse: fn(&mut BytesMut) -> Result<Parsed<T>>,
) -> Result<T>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(question).await.map_err(|e| lost().with_source(e))?;
    loop {
        if let Parsed::Whole(answer) = parse(buffer)? {
            return Ok(answer);
        }
        if stream.read_buf(buffer).await.map_err(|e| lost().with_source(e))? == 0 {
            return Err(lost());
        }
    }
}
