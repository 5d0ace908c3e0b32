use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing::subscriber::DefaultGuard;

/// What is told by `tracing` on this thread, while it lives.
///
/// Whether anybody listens to an event is remembered for all threads, and tests to which nobody
/// listens run in them. So a test that listens is `#[ignore]`d, and another runs it [`alone`].
#[derive(Debug)]
pub struct Events {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Events {
    /// Listens to events of `level` and above.
    #[must_use]
    pub fn listen(level: Level) -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// All that was told so far.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&lines).into_owned()
    }

    /// Of that the lines that name `target`, in their order.
    #[must_use]
    pub fn of(&self, target: &str) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(target));
        lines.map(ToOwned::to_owned).collect()
    }
}

/// Runs an ignored test of the same binary in a process of its own.
///
/// # Panics
///
/// If it fails, or there is none of this name.
pub fn alone(test: &str) {
    let program = std::env::current_exe().expect("the test itself runs");
    let alone = Command::new(program)
        .args([test, "--exact", "--ignored", "--nocapture"])
        .output()
        .expect("a program that runs can be run again");
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(
        alone.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
