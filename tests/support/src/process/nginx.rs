//! nginx.

use std::fs;
use std::process::Command;

use super::{Program, find};

/// Starts nginx, or returns `None` if it is not installed.
///
/// `config` is given the port to listen on at 127.0.0.1, and returns what stands inside `http {
/// }`.
///
/// # Panics
///
/// As [`Program::start`], with what nginx says of the configuration.
pub fn start(mut config: impl FnMut(u16) -> String) -> Option<Program> {
    let nginx = find("nginx")?;
    Some(Program::start(|port, dir| {
        let file = dir.join("nginx.conf");
        let http = config(port);
        let at = dir.display();
        // Where nginx would otherwise write as root only.
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|part| format!("{part}_temp_path {at}/{part};"))
            .join("\n");
        // One process, so that ending it ends all.
        let text = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\n\
             events {{ worker_connections 1000; }}\n\
             http {{\n    access_log off;\n{temp}\n{http}\n}}\n"
        );
        fs::write(&file, text).expect("a file in a new directory");
        let mut command = Command::new(&nginx);
        command.arg("-e").arg("stderr").arg("-p").arg(dir);
        command.arg("-c").arg(file);
        command
    }))
}
