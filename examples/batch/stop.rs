use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::progress::note;

/// Whether to send nothing more. Ctrl-C sets it; a second one leaves the program at once, in which
/// records are whole, too.
#[derive(Debug)]
pub(crate) struct Stop {
    set: watch::Sender<bool>,
    listening: AbortHandle,
}

impl Stop {
    /// Listens for Ctrl-C until it is dropped.
    pub(crate) fn on_ctrl_c() -> Self {
        let set = watch::Sender::new(false);
        let listening = tokio::spawn(listen(set.clone())).abort_handle();
        Self { set, listening }
    }

    /// Sends nothing more from now on.
    pub(crate) fn set(&self) {
        self.set.send_replace(true);
    }

    /// Whether it is set.
    pub(crate) fn is_set(&self) -> bool {
        *self.set.borrow()
    }

    /// A view of it.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.set.subscribe()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(set: watch::Sender<bool>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if set.send_replace(true) {
            std::process::exit(130);
        }
        note("\nstopping: what was sent is waited for; press Ctrl-C again to leave at once");
    }
}
