use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use super::command;
use crate::process::{Program, find_any, until};

/// A server with nothing in it.
#[derive(Debug)]
pub struct Server {
    program: Program,
    password: Option<String>,
}

impl Server {
    /// Starts one with these lines in its configuration, or returns `None` if neither Redis nor
    /// Valkey is installed. A password set by `requirepass` is used by [`command`](Self::command).
    ///
    /// # Panics
    ///
    /// As [`Program::start`], with what the server says of the configuration.
    #[must_use]
    pub fn start(config: &str) -> Option<Self> {
        let started = Self::try_start(config);
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`start`](Self::start), for a server that a user has installed.
    ///
    /// # Errors
    ///
    /// As [`Program::try_start`].
    ///
    /// # Panics
    ///
    /// As [`Program::try_start`].
    pub fn try_start(config: &str) -> Result<Option<Self>, String> {
        let Some(server) = find_any(&["redis-server", "valkey-server"]) else {
            return Ok(None);
        };
        let program = Program::try_start(|port, dir| {
            let file = dir.join("server.conf");
            let text = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\n\
                 repl-diskless-sync-delay 0\n{config}\n",
                dir.display()
            );
            fs::write(&file, text).expect("a file in a new directory");
            let mut command = Command::new(&server);
            command.arg(file);
            command
        })?;
        let password = config
            .lines()
            .find_map(|line| line.trim().strip_prefix("requirepass "))
            .map(|password| password.trim().to_owned());
        Ok(Some(Self { program, password }))
    }

    /// Starts a replica of this server and waits until it has all that is here.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or is not in step within 60 s.
    #[must_use]
    pub fn replica(&self) -> Self {
        let addr = self.addr();
        let password = self.password.as_ref().map_or_else(String::new, |password| {
            format!("masterauth {password}\nrequirepass {password}\n")
        });
        let config = format!("replicaof {} {}\n{password}", addr.ip(), addr.port());
        let replica = Self::start(&config).expect("a server was installed a moment ago");
        until("a replica in step", || {
            let info = replica.command("INFO replication");
            info.contains("master_link_status:up")
        });
        replica
    }

    /// Makes a replica a primary.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn promote(&self) {
        self.command("REPLICAOF NO ONE");
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.program.addr()
    }

    /// Returns its address as clients take it, without a user or a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// Runs a command, written on a line as for `redis-cli`, and returns the answer: a string as
    /// it is, an array an element a line.
    ///
    /// # Panics
    ///
    /// If the server does not answer, or answers with an error.
    #[allow(clippy::must_use_candidate, reason = "most answers are OK")]
    pub fn command(&self, line: &str) -> String {
        self.try_command(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// As [`command`](Self::command), for a command that may fail.
    ///
    /// # Errors
    ///
    /// The server does not answer, or answers with an error, which begins with `-`.
    pub fn try_command(&self, line: &str) -> Result<String, String> {
        let auth = self
            .password
            .as_ref()
            .map(|password| format!("AUTH {password}"));
        let lines: Vec<_> = auth.as_deref().into_iter().chain([line]).collect();
        command::send(self.addr(), &lines)
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it anew, empty, on the same port.
    ///
    /// # Panics
    ///
    /// As [`Program::restart`].
    pub fn restart(&mut self) {
        self.program.restart();
    }

    /// Stops it where it is: it answers nothing, and its connections stay open.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn freeze(&self) {
        self.program.freeze();
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn thaw(&self) {
        self.program.thaw();
    }
}
