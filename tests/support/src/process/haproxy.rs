//! HAProxy.

use std::fs;
use std::process::Command;

use super::{Program, find};

/// Starts HAProxy, or returns `None` if it is not installed.
///
/// `config` is given the port to bind on 127.0.0.1, and returns the `frontend`, `backend` and
/// `listen` sections. Before them come defaults for HTTP with short timeouts.
///
/// # Panics
///
/// As [`Program::start`], with what HAProxy says of the configuration.
pub fn start(mut config: impl FnMut(u16) -> String) -> Option<Program> {
    let haproxy = find("haproxy")?;
    Some(Program::start(|port, dir| {
        let file = dir.join("haproxy.cfg");
        let sections = config(port);
        let text = format!(
            "global\n    maxconn 1000\n    nbthread 1\n\
             defaults\n    mode http\n    timeout connect 5s\n\
             \x20   timeout client 30s\n    timeout server 30s\n\
             {sections}\n"
        );
        fs::write(&file, text).expect("a file in a new directory");
        let mut command = Command::new(&haproxy);
        command.arg("-db").arg("-f").arg(file); // in the foreground
        command
    }))
}
