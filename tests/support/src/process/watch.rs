use std::process::{Child, Command, Stdio};

use super::own_group;

/// A shell that ends a process if this one is gone without having done so, as after `kill -9`: it waits for the end of
/// its standard input, which is when nobody holds the other end any more.
#[derive(Debug)]
pub(super) struct Watch {
    shell: Option<Child>,
}

const WAIT: &str = "read -r _; kill -9 \"$0\"";

impl Watch {
    /// Watches over the process of this id.
    pub(super) fn over(id: u32) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", WAIT, &id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        own_group(&mut shell);
        // Without a shell it is as it would be without this.
        Self {
            shell: shell.spawn().ok(),
        }
    }

    /// Watches no more. It comes before the end of the process, whose id may be another's after that.
    pub(super) fn end(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}
