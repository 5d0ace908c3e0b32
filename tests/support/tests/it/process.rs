use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use test_support::process::{ClosedPort, Program, haproxy, nginx, until};

/// Sends these bytes and returns what comes back until the other side closes.
fn exchange(addr: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    got
}

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn ends_when_dropped(program: Program) {
    let addr = program.addr();
    drop(program);
    nothing_listens(addr);
}

/// Waits, because a process that another test starts holds all that is open here until it has become another program,
/// and because that test may be given the same port.
pub(crate) fn nothing_listens(addr: SocketAddr) {
    until("the end of who listens", || {
        TcpStream::connect(addr).is_err()
    });
}

#[test]
fn nobody_listens_at_a_closed_port_and_nobody_else_can() {
    let closed = ClosedPort::new();
    assert!(TcpStream::connect(closed.addr()).is_err());
    assert!(TcpListener::bind(closed.addr()).is_err());
}

#[test]
fn haproxy_answers_and_ends() {
    let Some(haproxy) = haproxy::start(|port| {
        format!(
            "frontend it\n    bind 127.0.0.1:{port}\n    \
             http-request return status 429 content-type text/plain string slow\n"
        )
    }) else {
        return;
    };
    let answer = exchange(haproxy.addr(), GET);
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.ends_with("slow"), "{answer}");
    ends_when_dropped(haproxy);
}

#[test]
fn nginx_answers_and_ends() {
    let Some(nginx) = nginx::start(|port| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ return 429 slow; }} }}")
    }) else {
        return;
    };
    let answer = exchange(nginx.addr(), GET);
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.ends_with("slow"), "{answer}");
    ends_when_dropped(nginx);
}

#[test]
#[should_panic(expected = "it said")]
fn shows_what_a_program_that_fails_said() {
    let _ = Program::start(|_, _| std::process::Command::new("false"));
}
