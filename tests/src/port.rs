//! Ports that stay free while their server is down.

use std::net::{Ipv4Addr, TcpListener};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns a listener on a free port of the loopback interface.
///
/// The port is below the ephemeral ports (32768 and up on Linux, 49152 and up elsewhere), and concurrent test processes
/// choose from different ranges. So a port that a killed server has freed can be bound again.
pub(crate) fn listener() -> TcpListener {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let next = id().wrapping_mul(PER_PROCESS).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(next % PORTS).expect("there are fewer ports");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener;
        }
    }
    panic!("no port is free");
}

const FIRST: u16 = 10_000;
const PORTS: u32 = 22_000;
const PER_PROCESS: u32 = 110;
