//! The scripts are unrolled by how many limits a quota has: a real server takes each of them.

use test_support::redis::Server;

use crate::Quota;
use crate::shared::script::body;
use crate::shared::unrolled::RINGS;
use crate::shared::wire::Script;

#[test]
fn a_server_takes_the_script_for_any_quota() {
    let Some(server) = Server::start("") else {
        return;
    };
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    for limits in 1..=Quota::MAX_LIMITS {
        let load = redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg(body(Script::Reserve(limits)))
            .query::<String>(&mut connection);
        assert!(load.is_ok(), "{limits}: {load:?}");
    }
    assert_eq!(RINGS, 8 * (19 + 6 * Quota::MAX_LIMITS));
}
