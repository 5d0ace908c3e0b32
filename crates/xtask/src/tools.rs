use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, command, heading, show, succeeds, target};

/// A program that tests run, and the Debian package it is in.
#[derive(Debug)]
struct Tool {
    package: &'static str,
    there: fn() -> bool,
}

const TOOLS: [Tool; 9] = [
    Tool {
        package: "curl",
        there: || on_path("curl"),
    },
    Tool {
        package: "haproxy",
        there: || on_path("haproxy"),
    },
    Tool {
        package: "nginx",
        there: || on_path("nginx"),
    },
    Tool {
        package: "nodejs",
        there: || on_path("node"),
    },
    Tool {
        package: "npm",
        there: || on_path("npm"),
    },
    Tool {
        package: "openssl",
        there: || on_path("openssl"),
    },
    Tool {
        package: "redis-server",
        there: || on_path("redis-server") || on_path("valkey-server"),
    },
    Tool {
        package: "python3",
        there: || on_path("python3"),
    },
    Tool {
        package: "python3-venv",
        there: || succeeds(&mut command("python3", &["-c", "import venv, ensurepip"])),
    },
];

/// What the tests are told of the tools.
#[derive(Debug)]
pub(crate) struct Tools {
    python: PathBuf,
    node_modules: PathBuf,
}

impl Tools {
    /// Sees to it that everything tests run is there.
    pub(crate) fn prepare(install: bool) -> Outcome<Self> {
        heading("test tools");
        let missing = missing();
        if !missing.is_empty() {
            if !install && env::var("CI").as_deref() != Ok("true") {
                return Err(advice(&missing));
            }
            apt_get(&missing)?;
            let still = self::missing();
            if !still.is_empty() {
                return Err(format!("installed, but not found: {}", still.join(", ")));
            }
        }
        let python = python()?;
        println!(
            "curl, haproxy, nginx, openssl, redis-server, python3 and node with openai: there"
        );
        Ok(Self {
            python,
            node_modules: node_modules()?,
        })
    }

    /// The environment the tests run in.
    pub(crate) fn env(&self) -> [(&'static str, OsString); 4] {
        [
            (
                "TEST_NODE_MODULES",
                self.node_modules.clone().into_os_string(),
            ),
            ("TEST_PYTHON", self.python.clone().into_os_string()),
            // A missing tool then fails the test that needs it, which otherwise would pass over it.
            ("TEST_TOOLS", "required".into()),
            ("PATH", path()),
        ]
    }
}

fn missing() -> Vec<&'static str> {
    let missing = TOOLS.iter().filter(|tool| !(tool.there)());
    missing.map(|tool| tool.package).collect()
}

fn advice(missing: &[&str]) -> String {
    format!(
        "the tests need {}: run `cargo xtask test --install`, or as root `apt-get install {}`",
        missing.join(", "),
        missing.join(" ")
    )
}

fn apt_get(packages: &[&str]) -> Outcome {
    if !on_path("apt-get") {
        let packages = packages.join(", ");
        return Err(format!(
            "there is no apt-get here: install {packages} another way"
        ));
    }
    // A new server is not to be started: the tests start their own.
    let quiet = ["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"];
    let mut words = vec!["env"];
    words.extend(quiet);
    words.extend(["-qq", "-o", "Acquire::Retries=3"]);
    if !is_root() {
        if !on_path("sudo") {
            return Err(format!("{}; there is no sudo here", advice(packages)));
        }
        words.splice(0..0, ["sudo", "-n"]);
    }
    println!("apt-get install {}", packages.join(" "));
    let apt_get = |more: &[&str]| {
        let args = [&words[1..], more].concat();
        show(&mut command(words[0], &args))
    };
    apt_get(&["update"])?;
    let install = ["install", "-y", "--no-install-recommends"];
    apt_get(&[&install, packages].concat())
}

fn is_root() -> bool {
    crate::run::read(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// A Python of our own that has the `openai` package, made once.
fn python() -> Outcome<PathBuf> {
    let home = target().join("test-tools/python");
    let python = home.join("bin/python");
    let has_openai = || succeeds(&mut command(&python, &["-c", "import openai"]));
    if !has_openai() {
        println!("pip install openai");
        let mut venv = command("python3", &["-m", "venv", "--clear"]);
        show(venv.arg(&home))?;
        let quiet = ["--quiet", "--disable-pip-version-check", "openai"];
        let mut pip = command(&python, &["-m", "pip", "install"]);
        show(pip.args(quiet))?;
        if !has_openai() {
            return Err(format!("{} cannot import openai", python.display()));
        }
    }
    Ok(python)
}

/// Modules for Node of our own, among them the `openai` package, installed once.
fn node_modules() -> Outcome<PathBuf> {
    let home = target().join("test-tools/node");
    let modules = home.join("node_modules");
    if !modules.join("openai/package.json").is_file() {
        println!("npm install openai");
        fs::create_dir_all(&home)
            .map_err(|error| format!("cannot create {}: {error}", home.display()))?;
        let quiet = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        let mut npm = command("npm", &quiet);
        show(npm.arg(&home).arg("openai"))?;
    }
    Ok(modules)
}

fn on_path(program: &str) -> bool {
    env::split_paths(&path()).any(|dir| is_program(&dir.join(program)))
}

fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// The search path, with where Debian keeps servers: others than root do not look there.
fn path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    let all: Vec<_> = env::split_paths(&path).chain(sbin).collect();
    // Only a path with a separator in it cannot be joined, and these were split at it.
    env::join_paths(all).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_one_line_that_can_be_pasted() {
        let advice = advice(&["nginx", "python3-venv"]);
        assert_eq!(advice.lines().count(), 1);
        assert!(advice.contains("`apt-get install nginx python3-venv`"));
        assert!(advice.contains("`cargo xtask test --install`"));
    }

    #[test]
    fn finds_what_is_on_the_path_only() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program"));
    }

    #[test]
    fn the_path_includes_where_servers_are_kept() {
        assert!(env::split_paths(&path()).any(|dir| dir == Path::new("/usr/sbin")));
    }
}
