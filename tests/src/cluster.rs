//! A Redis Cluster of a test's own: masters that share the slots, each with its replicas.

use std::thread;
use std::time::{Duration, Instant};

use crate::server::RedisServer;

/// Several redis-servers that form a cluster. They are killed when this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<RedisServer>,
    replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts so many masters, each with so many replicas, and waits until every node serves the whole cluster.
    ///
    /// A master that is gone for [`NODE_TIMEOUT`] is replaced by a replica, if it has one.
    #[must_use]
    pub fn start(masters: usize, replicas_of_each: usize) -> Self {
        let start = |_| {
            RedisServer::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                NODE_TIMEOUT,
                "--cluster-require-full-coverage",
                "no",
                "--repl-diskless-sync-delay",
                "0",
            ])
        };
        let masters: Vec<_> = (0..masters).map(start).collect();
        let replicas: Vec<_> = (0..masters.len() * replicas_of_each).map(start).collect();
        let cluster = Self { masters, replicas };
        cluster.assign_slots();
        cluster.introduce();
        cluster.attach_replicas();
        cluster
    }

    /// `redis-cluster://127.0.0.1:1?node=127.0.0.1:2`, with all masters.
    #[must_use]
    pub fn url(&self) -> String {
        let mut url = String::new();
        for (index, master) in self.masters.iter().enumerate() {
            url += match index {
                0 => "redis-cluster://",
                1 => "?node=",
                _ => "&node=",
            };
            url += &master.addr();
        }
        url
    }

    /// The nodes that have been masters from the start.
    #[must_use]
    pub fn masters(&self) -> &[RedisServer] {
        &self.masters
    }

    /// One of the nodes that have been masters from the start.
    pub fn master_mut(&mut self, index: usize) -> &mut RedisServer {
        &mut self.masters[index]
    }

    /// The nodes that have been replicas from the start: first one for each master, in their order.
    #[must_use]
    pub fn replicas(&self) -> &[RedisServer] {
        &self.replicas
    }

    /// Waits until a node is a master.
    pub fn wait_for_master(node: &RedisServer) {
        wait(node, "INFO", "replication", |info| info.contains("role:master"));
    }

    fn nodes(&self) -> impl Iterator<Item = &RedisServer> {
        self.masters.iter().chain(&self.replicas)
    }

    /// Gives every master an equal part of the slots, by the command that Redis 6.2 has too.
    fn assign_slots(&self) {
        for (index, master) in self.masters.iter().enumerate() {
            assert_eq!(master.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]), "OK");
            let end = |index| SLOTS * index / self.masters.len();
            let slots: Vec<_> = (end(index)..end(index + 1)).map(|slot| slot.to_string()).collect();
            let words: Vec<_> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            assert_eq!(master.command(&words), "OK");
        }
    }

    /// Makes all nodes known to each other.
    fn introduce(&self) {
        for node in self.nodes().skip(1) {
            let port = self.masters[0].port().to_string();
            assert_eq!(node.command(&["CLUSTER", "MEET", "127.0.0.1", &port]), "OK");
        }
        let known = format!("cluster_known_nodes:{}", self.nodes().count());
        for node in self.nodes() {
            wait(node, "CLUSTER", "INFO", |info| {
                info.contains("cluster_state:ok")
                    && info.contains("cluster_slots_ok:16384")
                    && info.contains(&known)
            });
        }
    }

    fn attach_replicas(&self) {
        for (index, replica) in self.replicas.iter().enumerate() {
            let master = &self.masters[index % self.masters.len()];
            assert_eq!(
                replica.command(&["CLUSTER", "REPLICATE", &master.command(&["CLUSTER", "MYID"])]),
                "OK"
            );
            wait(replica, "INFO", "replication", |info| info.contains("master_link_status:up"));
        }
        // A node that does not know a replica yet would not let it be elected.
        for node in self.nodes() {
            wait(node, "CLUSTER", "NODES", |nodes| nodes.matches("slave").count() == self.replicas.len());
        }
    }
}

/// How long a node must be gone before the others replace it, in milliseconds.
pub const NODE_TIMEOUT: &str = "1500";

const SLOTS: usize = 16384;

/// Asks a node again and again until its reply is as expected.
fn wait(node: &RedisServer, command: &str, argument: &str, is_expected: impl Fn(&str) -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let reply = node.command(&[command, argument]);
        if is_expected(&reply) {
            return;
        }
        assert!(Instant::now() < until, "{command} {argument} of {}: {reply}", node.addr());
        thread::sleep(Duration::from_millis(10));
    }
}
