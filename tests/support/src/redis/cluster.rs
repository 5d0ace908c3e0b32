use super::Server;
use crate::process::{free_addr, until};

/// The hash slots of a cluster.
const SLOTS: u32 = 16_384;

/// Three primaries that share the hash slots, and replicas of them.
#[derive(Debug)]
pub struct Cluster {
    primaries: Vec<Server>,
    replicas: Vec<Server>,
    /// Those of the primaries that answer no more.
    lost: Vec<usize>,
}

impl Cluster {
    /// Starts three primaries and waits until each finds the cluster whole, or returns `None` if
    /// neither Redis nor Valkey is installed.
    ///
    /// # Panics
    ///
    /// If one cannot be started, or they do not find together within 60 s.
    #[must_use]
    pub fn start() -> Option<Self> {
        let primaries: Vec<_> = (0..3).map(|_| node()).collect::<Option<_>>()?;
        for (index, primary) in (0..).zip(&primaries) {
            let (first, last) = (SLOTS * index / 3, SLOTS * (index + 1) / 3 - 1);
            primary.command(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
        let cluster = Self {
            primaries,
            replicas: Vec::new(),
            lost: Vec::new(),
        };
        for primary in &cluster.primaries[1..] {
            cluster.meet(primary);
        }
        cluster.wait_until_whole();
        Some(cluster)
    }

    /// Gives every primary a replica and waits until they have all that is in the cluster.
    ///
    /// # Panics
    ///
    /// If one cannot be started, or is not in step within 60 s.
    pub fn add_replicas(&mut self) {
        for primary in &self.primaries {
            let replica = node().expect("a server was installed a moment ago");
            self.meet(&replica);
            let id = primary.command("CLUSTER MYID");
            // It takes a moment until it has heard of all others.
            until("a replica that knows its primary", || {
                replica
                    .try_command(&format!("CLUSTER REPLICATE {id}"))
                    .is_ok()
            });
            until("a replica in step", || {
                let info = replica.command("INFO replication");
                info.contains("master_link_status:up")
            });
            self.replicas.push(replica);
        }
        self.wait_until_whole();
    }

    /// Returns the primaries it was started with.
    #[must_use]
    pub fn primaries(&self) -> &[Server] {
        &self.primaries
    }

    /// Returns which of the primaries holds the key.
    ///
    /// # Panics
    ///
    /// If a primary does not answer.
    #[must_use]
    pub fn holder(&self, key: &str) -> usize {
        let slot = self.primaries[0].command(&format!("CLUSTER KEYSLOT {key}"));
        let slot: u32 = slot.parse().expect("a slot is a number");
        // The slot before the first of the next, as they were dealt out.
        (0..3)
            .rev()
            .find(|&index| slot >= SLOTS * index / 3)
            .unwrap_or(0) as usize
    }

    /// Kills a primary and lets its replica take over, without asking the others: their vote takes
    /// seconds.
    ///
    /// # Panics
    ///
    /// If there are no replicas, or the others do not hear of it within 60 s.
    pub fn fail_over(&mut self, primary: usize) {
        self.primaries[primary].kill();
        self.take_over(primary);
    }

    /// As [`fail_over`](Self::fail_over), from a primary that stands still: its connections stay open, and nobody
    /// answers.
    ///
    /// # Panics
    ///
    /// As [`fail_over`](Self::fail_over).
    pub fn fail_over_silently(&mut self, primary: usize) {
        self.primaries[primary].freeze();
        self.take_over(primary);
    }

    fn take_over(&mut self, primary: usize) {
        self.lost.push(primary);
        let replica = &self.replicas[primary];
        replica.command("CLUSTER FAILOVER TAKEOVER");
        let id = replica.command("CLUSTER MYID");
        until("the news of a new primary", || {
            self.alive().all(|node| {
                let nodes = node.command("CLUSTER NODES");
                let replica = nodes.lines().find(|line| line.starts_with(&id));
                replica.is_some_and(|line| line.contains("master"))
                    && node.command("CLUSTER INFO").contains("cluster_state:ok")
            })
        });
    }

    /// Returns the addresses of all nodes, as clients take them.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.primaries
            .iter()
            .chain(&self.replicas)
            .map(Server::url)
            .collect()
    }

    fn meet(&self, node: &Server) {
        let addr = node.addr();
        let bus = node.command("CONFIG GET cluster-port");
        let bus = bus.lines().last().unwrap_or_default();
        self.primaries[0].command(&format!("CLUSTER MEET {} {} {bus}", addr.ip(), addr.port()));
    }

    fn wait_until_whole(&self) {
        let known = format!(
            "cluster_known_nodes:{}\r",
            self.primaries.len() + self.replicas.len()
        );
        until("a whole cluster", || {
            self.alive().all(|node| {
                let info = node.command("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains(&known)
            })
        });
    }

    fn alive(&self) -> impl Iterator<Item = &Server> {
        let primaries = (0..).zip(&self.primaries);
        let alive = primaries.filter(|(index, _)| !self.lost.contains(index));
        alive.map(|(_, node)| node).chain(&self.replicas)
    }
}

fn node() -> Option<Server> {
    // The default, 10 000 above the port, may not be one.
    let bus = free_addr().port();
    Server::start(&format!(
        "cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000\n\
         cluster-config-file nodes.conf\n"
    ))
}
