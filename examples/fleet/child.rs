use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::word::{Said, Told};

/// Processes of this program in its other role. They end when this is dropped, and when this process ends without doing
/// so, for then their standard input does.
#[derive(Debug)]
pub(crate) struct Children {
    inputs: Vec<Option<ChildStdin>>,
    heard: mpsc::UnboundedReceiver<(usize, Heard)>,
    /// Owns the processes.
    _listeners: JoinSet<()>,
}

/// What is heard of one of them.
#[derive(Debug)]
pub(crate) enum Heard {
    Said(Said),
    /// It has ended.
    Gone(std::io::Result<ExitStatus>),
}

impl Children {
    /// Starts one for each list of arguments.
    ///
    /// # Errors
    ///
    /// A process cannot be started.
    pub(crate) fn start(all: impl IntoIterator<Item = Vec<String>>) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let (tell, heard) = mpsc::unbounded_channel();
        let mut listeners = JoinSet::new();
        let mut inputs = Vec::new();
        for (index, args) in all.into_iter().enumerate() {
            let mut child = Command::new(&program)
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                // Ctrl-C on a terminal is for its foreground group, and so for this process alone, which decides what it
                // means.
                .process_group(0)
                .spawn()
                .context("cannot start an instance")?;
            inputs.push(child.stdin.take());
            listeners.spawn(listen(index, child, tell.clone()));
        }
        Ok(Self {
            inputs,
            heard,
            _listeners: listeners,
        })
    }

    /// What is heard next, and of which.
    ///
    /// # Errors
    ///
    /// All of them have ended, and that has been heard.
    ///
    /// # Cancel safety
    ///
    /// Nothing is missed if this is dropped.
    pub(crate) async fn hear(&mut self) -> Result<(usize, Heard)> {
        let Some(heard) = self.heard.recv().await else {
            bail!("every instance has ended");
        };
        if let (index, Heard::Gone(_)) = &heard {
            self.inputs[*index] = None;
        }
        Ok(heard)
    }

    /// Tells all that are there.
    pub(crate) async fn tell(&mut self, word: Told) {
        for input in self.inputs.iter_mut().flatten() {
            // One that has ended is heard of.
            let _ = input
                .write_all(format!("{}\n", word.as_str()).as_bytes())
                .await;
        }
    }
}

async fn listen(index: usize, mut child: Child, tell: mpsc::UnboundedSender<(usize, Heard)>) {
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // Anything else on its standard output is none of our words.
            if let Ok(said) = serde_json::from_str(&line) {
                let _ = tell.send((index, Heard::Said(said)));
            }
        }
    }
    let _ = tell.send((index, Heard::Gone(child.wait().await)));
}
