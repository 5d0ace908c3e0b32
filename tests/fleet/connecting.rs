use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rate_limit_layer::shared::{ConnectError, SharedStore};
use test_support::Proxy;
use test_support::process::{ClosedPort, free_addr};
use test_support::redis::{Certificates, Cluster, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::instance::{Instance, LIMIT, until};
use crate::upstream::Upstream;

async fn refused(url: &str) -> ConnectError {
    let connected = timeout(Duration::from_secs(60), SharedStore::connect(url)).await;
    let error = connected.unwrap().map(drop).unwrap_err();
    let sentence = error.to_string();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    assert!(!sentence.contains("secret"), "{sentence}");
    println!("{sentence}");
    error
}

#[tokio::test]
async fn a_user_who_may_do_what_is_said_and_a_password_are_enough() {
    let may =
        "+info +eval +evalsha +time +getrange +setrange +del +pexpire +hget +hset +hgetall +hdel";
    let users = format!("user fleet on >secret ~{{rate-limit:* {may}\nuser default off\n");
    let Some(server) = Server::start(&users) else {
        return;
    };
    let upstream = Upstream::new();
    let url = format!("redis://fleet:secret@{}", server.addr());
    let instance = Instance::connect(&url, &upstream).await.busy(10);
    instance.answers(LIMIT).await;
    assert_eq!(instance.finish().await, 0);
}

/// A server that listens over TLS as well, and where.
fn over_tls(config: &str) -> Option<(Certificates, Server, String)> {
    let certificates = Certificates::make()?;
    let addr = free_addr();
    let server = Server::start(&(certificates.config(addr.port()) + config))?;
    Some((certificates, server, format!("rediss://{addr}")))
}

#[tokio::test]
async fn over_tls_both_ends_show_who_they_are() {
    let Some((certificates, _server, url)) = over_tls("tls-auth-clients yes\n") else {
        return;
    };
    let [certificate, key] = certificates.certificate();
    let connected = SharedStore::builder()
        .root_certificates(certificates.authority())
        .client_certificate(certificate, key)
        .connect(&url)
        .await;
    let upstream = Upstream::new();
    let instance = Instance::new(connected.unwrap(), &upstream).busy(10);
    instance.answers(LIMIT).await;
    assert_eq!(instance.finish().await, 0);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_one_sentence() {
    let Some((_certificates, _server, url)) = over_tls("tls-auth-clients no\n") else {
        return;
    };
    let error = refused(&url).await;
    assert!(error.is_certificate(), "{error:?}");
}

#[tokio::test]
async fn a_wrong_password_is_one_sentence() {
    let Some(server) = Server::start("requirepass hidden") else {
        return;
    };
    let addr = server.addr();
    for url in [
        format!("redis://:secret@{addr}"),
        format!("redis://nobody:secret@{addr}"),
        format!("redis://{addr}"),
    ] {
        assert!(refused(&url).await.is_auth(), "{url}");
    }
}

#[tokio::test]
async fn a_store_that_may_forget_anything_is_refused() {
    for policy in ["allkeys-lru", "allkeys-random"] {
        let Some(server) = Server::start(&format!("maxmemory 50mb\nmaxmemory-policy {policy}"))
        else {
            return;
        };
        let error = refused(&server.url()).await;
        assert!(error.is_eviction_policy());
        assert!(error.to_string().contains(policy), "{error}");
    }
}

#[tokio::test]
async fn one_node_of_a_cluster_that_may_forget_anything_is_enough() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let connected = async || SharedStore::builder().connect_cluster(cluster.urls()).await;
    for node in cluster.primaries() {
        node.command("CONFIG SET maxmemory-policy allkeys-lfu");
        let error = connected().await.map(drop).unwrap_err();
        assert!(error.is_eviction_policy(), "{error:?}");
        node.command("CONFIG SET maxmemory-policy noeviction");
    }
    drop(connected().await.unwrap());
}

#[tokio::test]
async fn a_wrong_password_of_a_cluster_is_one_sentence() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    for node in cluster.primaries() {
        node.command("CONFIG SET requirepass hidden");
    }
    for user in ["", ":secret@", "nobody:secret@"] {
        let urls = cluster.urls();
        let urls = urls
            .iter()
            .map(|url| url.replace("//", &format!("//{user}")));
        let connected = SharedStore::builder().connect_cluster(urls).await;
        let error = connected.map(drop).unwrap_err();
        assert!(error.is_auth(), "{user}: {error:?}");
        assert!(!format!("{error}").contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_user_who_may_call_no_script_is_refused_in_one_sentence() {
    for denied in ["-evalsha", "resetkeys ~other:*"] {
        let Some(server) = Server::start("") else {
            return;
        };
        server.command(&format!("ACL SETUSER fleet on >secret ~* +@all {denied}"));
        let error = refused(&format!("redis://fleet:secret@{}", server.addr())).await;
        assert!(error.is_auth(), "{error:?}");
    }
}

/// A server that knows INFO and nothing else, and says that it is of this version.
async fn says_it_is(version: &str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let info = format!("redis_version:{version}\r\n");
    let info = format!("${}\r\n{info}\r\n", info.len());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reads, mut writes) = stream.into_split();
        let mut lines = BufReader::new(reads).lines();
        let mut words = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            // Commands are arrays, of which the first word says what is wanted.
            if line.starts_with('*') {
                words = 0;
            } else if !line.starts_with('$') {
                words += 1;
            }
            if words == 1 && !line.starts_with('$') {
                let answer = if line == "INFO" { &info } else { "-ERR no\r\n" };
                writes.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    addr
}

#[tokio::test]
async fn a_store_that_is_too_old_is_one_sentence() {
    let error = refused(&format!("redis://{}", says_it_is("5.0.14").await)).await;
    assert!(error.is_too_old(), "{error:?}");
    assert!(error.to_string().contains("5.0.14"), "{error}");
}

/// Longer than a store may take once it is connected to, and less than it may take until then.
const SLOW: Duration = Duration::from_millis(750);

#[tokio::test]
async fn a_store_that_is_slow_at_first_is_waited_for() {
    let Some(server) = Server::start("") else {
        return;
    };
    let proxy = Proxy::start(server.addr()).await.unwrap();
    proxy.set_latency(SLOW);
    let upstream = Upstream::new();
    let instance = Instance::connect(&format!("redis://{}", proxy.addr()), &upstream).await;
    proxy.set_latency(Duration::ZERO);
    let instance = instance.busy(10);
    instance.answers(LIMIT).await;
    assert_eq!(instance.finish().await, 0);
}

#[tokio::test]
async fn a_store_that_starts_later_is_found() {
    let Some(server) = Server::start("") else {
        return;
    };
    let nobody = ClosedPort::new();
    let proxy = Proxy::start(nobody.addr()).await.unwrap();
    let url = format!("redis://{}", proxy.addr());
    let connecting = tokio::spawn(async move { SharedStore::connect(&url).await });
    until("some attempts", || proxy.connections() >= 3).await;
    proxy.lead_to(server.addr());
    drop(connecting.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_store_that_is_not_ready_is_waited_for_and_says_so() {
    let config = format!(
        "cluster-enabled yes\ncluster-node-timeout 500\ncluster-port {}\n",
        free_addr().port()
    );
    let Some(server) = Server::start(&config) else {
        return;
    };
    let proxy = Proxy::start(server.addr()).await.unwrap();
    let url = format!("redis://{}", proxy.addr());
    let error = refused(&url).await;
    assert!(error.is_unreachable(), "{error:?}");
    assert!(error.to_string().contains("CLUSTERDOWN"), "{error}");

    let before = proxy.connections();
    let connecting = tokio::spawn(async move { SharedStore::connect(&url).await });
    until("some attempts", || proxy.connections() >= before + 2).await;
    server.command("CLUSTER ADDSLOTSRANGE 0 16383");
    drop(connecting.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_not_there_is_one_sentence() {
    let nobody = ClosedPort::new();
    let url = format!("redis://:secret@{}", nobody.addr());
    assert!(refused(&url).await.is_unreachable());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_one_sentence() {
    let Some(server) = Server::start("") else {
        return;
    };
    server.freeze();
    assert!(refused(&server.url()).await.is_unreachable());
}

#[tokio::test]
async fn what_is_no_address_is_one_sentence() {
    refused("http://:secret@example.com").await;
}
