use std::net::TcpStream;

use test_support::redis::{Cluster, Server};

use crate::process::nothing_listens;

#[test]
fn a_server_answers_and_ends_when_it_is_dropped() {
    let Some(server) = Server::start("") else {
        return;
    };
    assert_eq!(server.command("PING"), "PONG");
    assert_eq!(server.command("INCRBY n 41"), "41");
    assert_eq!(server.command("MGET n n"), "41\n41");
    assert_eq!(server.command("GET nothing"), "");
    assert_eq!(server.command("MGET n nothing n"), "41\n\n41");
    assert!(server.command("INFO server").contains("redis_version:"));
    let error = server.try_command("NO SUCH").unwrap_err();
    assert!(error.starts_with("-ERR "), "{error}");

    let addr = server.addr();
    drop(server);
    nothing_listens(addr);
}

#[test]
fn a_server_is_configured_and_its_password_used() {
    let config = "requirepass secret\nmaxmemory 5mb\nmaxmemory-policy allkeys-lru";
    let Some(server) = Server::start(config) else {
        return;
    };
    let policy = server.command("CONFIG GET maxmemory-policy");
    assert_eq!(policy, "maxmemory-policy\nallkeys-lru");

    // The password was needed.
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let mut said = [0; 7];
    std::io::Write::write_all(&mut stream, b"PING\r\n").unwrap();
    std::io::Read::read_exact(&mut stream, &mut said).unwrap();
    assert_eq!(&said, b"-NOAUTH");
}

#[test]
fn a_killed_server_comes_back_empty_on_its_port() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let addr = server.addr();
    server.command("SET n 1");
    server.kill();
    assert!(server.try_command("PING").is_err());
    server.restart();
    assert_eq!(server.addr(), addr);
    assert_eq!(server.command("EXISTS n"), "0");
}

#[test]
fn a_frozen_server_accepts_and_says_nothing_until_it_goes_on() {
    let Some(server) = Server::start("") else {
        return;
    };
    server.freeze();
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    std::io::Write::write_all(&mut stream, b"PING\r\n").unwrap();
    let moment = std::time::Duration::from_millis(100);
    stream.set_read_timeout(Some(moment)).unwrap();
    let mut said = [0; 5];
    assert!(std::io::Read::read(&mut stream, &mut said).is_err());

    server.thaw();
    stream.set_read_timeout(None).unwrap();
    std::io::Read::read_exact(&mut stream, &mut said).unwrap();
    assert_eq!(&said, b"+PONG");
}

#[test]
fn a_replica_has_what_its_primary_had_and_takes_over() {
    let Some(mut primary) = Server::start("requirepass secret") else {
        return;
    };
    primary.command("SET n 1");
    let replica = primary.replica();
    assert_eq!(replica.command("GET n"), "1");
    assert!(replica.try_command("SET n 2").is_err());

    primary.kill();
    replica.promote();
    assert_eq!(replica.command("SET n 2"), "OK");
}

#[test]
fn a_cluster_is_whole_and_survives_the_loss_of_a_primary() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    cluster.add_replicas();
    assert_eq!(cluster.urls().len(), 6);
    let holder = cluster.holder("{a}:n");
    for (index, node) in cluster.primaries().iter().enumerate() {
        let set = node.try_command("SET {a}:n 1");
        assert_eq!(set.is_ok(), index == holder, "{set:?}");
    }

    cluster.fail_over(holder);
    let moved = cluster.primaries()[(holder + 1) % 3].try_command("GET {a}:n");
    let moved = moved.unwrap_err(); // -MOVED slot host:port
    let url = format!("redis://{}", moved.rsplit(' ').next().unwrap());
    assert!(cluster.urls()[3..].contains(&url), "{moved}");
}
