//! Ports that nobody else takes while their server is down.

use std::net::{Ipv4Addr, TcpListener};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

/// A listener on a free port of the loopback.
///
/// The port is below those that kernels give away by themselves (32768 and up on Linux, 49152 and up elsewhere),
/// and tests that run at once in many processes choose from different ones. So it can be freed, as by a killed
/// server, and had again.
pub(crate) fn listener() -> TcpListener {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let next = id().wrapping_mul(PER_PROCESS).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(next % PORTS).expect("there are fewer ports");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener;
        }
    }
    panic!("no port of the loopback is free");
}

const FIRST: u16 = 10_000;
const PORTS: u32 = 22_000;
const PER_PROCESS: u32 = 110;
