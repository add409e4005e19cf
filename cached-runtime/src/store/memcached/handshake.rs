//! Connecting to the server, with authentication and a check of its version.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::config::{Address, Credentials};
use super::connection::{Settings, connection_lost};
use super::pending_replies::BUFFER_BYTES;
use super::protocol::{self, Epoch, Parsed};
use crate::util::random;
use crate::{Error, ErrorKind, Result};

pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Connects to the server within the timeout, and returns the stream after a successful handshake.
pub(super) async fn connect(settings: &Settings) -> Result<(Stream, Epoch)> {
    let connected = async {
        let unreachable =
            |e: io::Error| Error::new(ErrorKind::Unreachable, "cannot connect to memcached").with_source(e);
        match &settings.address {
            // The name is resolved for each attempt, because servers move.
            Address::Tcp { host, port } => {
                let mut stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                let epoch = shake_hands(&mut stream, settings.credentials.as_ref()).await?;
                Ok((Stream::Tcp(stream), epoch))
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let mut stream = UnixStream::connect(path).await.map_err(unreachable)?;
                let epoch = shake_hands(&mut stream, settings.credentials.as_ref()).await?;
                Ok((Stream::Unix(stream), epoch))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(Error::new(ErrorKind::Config, "this platform has no unix sockets")),
        }
    };
    timeout(settings.connect_timeout, connected).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Unreachable, "memcached did not complete the handshake in time"))
    })
}

/// Authenticates and asks for the statistics of the server.
///
/// The kernel often accepts connections to a server that is stopped or overloaded; only a reply shows that it
/// works.
async fn shake_hands<S>(stream: &mut S, credentials: Option<&Credentials>) -> Result<Epoch>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
    if let Some(Credentials { user, password }) = credentials {
        let command = protocol::authenticate(user, password);
        request(stream, &mut buffer, &command, protocol::parse_authentication).await?;
    }
    let epoch = request(stream, &mut buffer, protocol::STATS, protocol::parse_stats).await?;
    if !buffer.is_empty() {
        return Err(Error::new(ErrorKind::Protocol, "memcached sent more than it was asked for"));
    }
    // If the server does not say when it was started, a random epoch makes every lease end with the
    // connection.
    Ok(epoch.unwrap_or_else(|| Epoch((random::token() >> 32) as u32)))
}

/// Writes a command and reads until its reply is complete.
async fn request<S, T>(
    stream: &mut S,
    buffer: &mut BytesMut,
    command: &[u8],
    parse: fn(&mut BytesMut) -> Result<Parsed<T>>,
) -> Result<T>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(command).await.map_err(|e| connection_lost().with_source(e))?;
    loop {
        if let Parsed::Complete(reply) = parse(buffer)? {
            return Ok(reply);
        }
        if stream.read_buf(buffer).await.map_err(|e| connection_lost().with_source(e))? == 0 {
            return Err(connection_lost());
        }
    }
}
