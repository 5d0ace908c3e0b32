//! Real programs, started on free ports of the loopback and ended by their id.

pub mod haproxy;
pub mod nginx;
mod watch;

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpSocket;

use self::watch::Watch;

/// How long a program may take until it accepts connections: 3000 looks, 20 ms apart.
const LOOKS: u32 = 3000;
const PAUSE: Duration = Duration::from_millis(20);

/// A port that was free may be taken before the program binds it.
const TRIES: u32 = 3;

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Program {
    command: Box<Command>, // large, and seldom asked for
    child: Child,
    watch: Watch,
    addr: SocketAddr,
    dir: TempDir,
}

impl Program {
    /// Starts what `command` says and waits until it accepts connections.
    ///
    /// `command` is given a port that is free now and a directory that lives as long as the
    /// program. The program has no standard input; its output goes to a file there and is shown if
    /// it fails. It must not fork into the background: only the process started here is ended. It is ended also if
    /// this process is, however that comes.
    ///
    /// # Panics
    ///
    /// If it cannot be started, ends by itself, or accepts no connection within 60 s.
    pub fn start(command: impl FnMut(u16, &Path) -> Command) -> Self {
        Self::try_start(command).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`start`](Self::start), for a program that a user has installed.
    ///
    /// # Errors
    ///
    /// It ends by itself, or accepts no connection within 60 s; with what it said.
    ///
    /// # Panics
    ///
    /// If it cannot be started at all.
    pub fn try_start(mut command: impl FnMut(u16, &Path) -> Command) -> Result<Self, String> {
        let mut said = String::new();
        for _ in 0..TRIES {
            let dir = tempfile::tempdir().expect("a directory for temporary files");
            let addr = free_addr();
            let command = command(addr.port(), dir.path());
            let mut program = Self::spawn(command, addr, dir);
            if program.accepts() {
                return Ok(program);
            }
            said = program.output();
        }
        Err(format!(
            "the program does not accept connections; it said:\n{said}"
        ))
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the address of a path, such as `/v1/models`, over plain HTTP.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Returns its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it at once, as `kill -9` does. Its port and its directory stay as they are.
    pub fn kill(&mut self) {
        self.watch.end();
        // It fails only if the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it at once if it runs, starts it anew on the same port, and waits until it accepts
    /// connections.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..TRIES {
            self.child = spawn(&mut self.command);
            self.watch = Watch::over(self.child.id());
            if self.accepts() {
                return;
            }
        }
        let said = self.output();
        panic!("the program does not accept connections any more; it said:\n{said}");
    }

    /// Stops it where it is: it answers nothing, and its connections stay open.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Returns what it has written so far, to standard output and standard error.
    #[must_use]
    pub fn output(&self) -> String {
        let written = fs::read(self.dir.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&written).into_owned()
    }

    fn spawn(mut command: Command, addr: SocketAddr, dir: TempDir) -> Self {
        let output = File::create(dir.path().join("output")).expect("a file in a new directory");
        let also = output.try_clone().expect("a second handle of an open file");
        command.stdin(Stdio::null()).stdout(output).stderr(also);
        own_group(&mut command);
        let child = spawn(&mut command);
        Self {
            command: command.into(),
            watch: Watch::over(child.id()),
            child,
            addr,
            dir,
        }
    }

    fn signal(&self, name: &str) {
        // A shell has `kill` built in; the program of that name need not be there.
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").arg("-c").arg(kill).status();
        assert!(status.is_ok_and(|status| status.success()), "SIG{name}");
    }

    fn accepts(&mut self) -> bool {
        for _ in 0..LOOKS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if TcpStream::connect_timeout(&self.addr, PAUSE).is_ok() {
                // Had another program taken the port, this one would be about to fail.
                pause();
                return matches!(self.child.try_wait(), Ok(None));
            }
            pause();
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(command: &mut Command) -> Child {
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// Ctrl-C on a terminal is for all of its foreground group. This is not: whoever started it ends it.
fn own_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Returns an address of the loopback that nothing listens on now.
///
/// # Panics
///
/// If no port is free.
#[must_use]
pub fn free_addr() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

/// A port of the loopback at which nobody listens as long as this lives: it is taken, and not given to anyone else.
#[derive(Debug)]
pub struct ClosedPort {
    addr: SocketAddr,
    _bound: TcpSocket,
}

impl ClosedPort {
    /// Takes one.
    ///
    /// # Panics
    ///
    /// If no port is free.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a port is nobody's default")]
    pub fn new() -> Self {
        let bound = TcpSocket::new_v4().expect("a socket");
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        bound.bind(free).expect("a free port");
        Self {
            addr: bound.local_addr().expect("it is bound"),
            _bound: bound,
        }
    }

    /// Returns where nobody listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Returns where a program is installed, or `None`, in which case a test may pass over what it
/// needs it for.
///
/// # Panics
///
/// As [`find_any`].
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    find_any(&[name])
}

/// Returns where the first of these programs that is installed is, or `None`.
///
/// # Panics
///
/// If none is there and the environment says `TEST_TOOLS=required`, as `cargo xtask test` does:
/// there, no test is passed over.
#[must_use]
pub fn find_any(names: &[&str]) -> Option<PathBuf> {
    // Debian keeps servers where only root looks for them.
    let sbin = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = env::split_paths(&path).chain(sbin).collect();
    let mut files = names
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    let found = files.find(|file| file.is_file());
    let required = env::var_os("TEST_TOOLS").is_some_and(|value| value == "required");
    assert!(
        found.is_some() || !required,
        "{} is not installed",
        names.join(" or ")
    );
    found
}

/// Looks until `true` is seen.
///
/// # Panics
///
/// If it is not within 60 s, naming `what` was waited for.
pub fn until(what: &str, mut seen: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if seen() {
            return;
        }
        pause();
    }
    panic!("waited 60 s for {what}");
}

#[allow(clippy::disallowed_methods, reason = "real programs live in real time")]
fn pause() {
    thread::sleep(PAUSE);
}
