//! Redis, or Valkey where that is installed: a server, a primary with its replica, and a cluster.
//!
//! All keep nothing on disk and end when they are dropped.

mod certificates;
mod cluster;
mod command;
mod server;

pub use self::certificates::Certificates;
pub use self::cluster::Cluster;
pub use self::server::Server;
