use std::time::Duration;

use tower::BoxError;

use crate::client::Client;
use crate::row::Row;
use crate::run::Trial;
use crate::server::Server;

/// Fifty callers who want all they can get: the quota, not they, is what limits.
const WORKERS: u64 = 50;

/// Lets `client` work against `server` for so long in virtual time.
///
/// # Errors
///
/// As [`Trial::measure`].
pub(crate) fn measure(
    server: Server,
    client: Client,
    seeds: u64,
    length: Duration,
) -> Result<Row, BoxError> {
    let trial = Trial {
        server: server.name(),
        client: client.name(),
        quota: server.quota(),
        limits: &|seed| server.limits(seed),
        states_wait: server.states_wait(),
        workload: server.workload(),
        workers: WORKERS,
        caller: &|network| client.caller(server.quota(), network),
    };
    trial.measure(seeds, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(server: Server, client: Client, minutes: u64) -> Row {
        measure(server, client, 1, Duration::from_secs(60 * minutes)).unwrap()
    }

    #[test]
    fn backing_off_without_pacing_is_refused_every_other_time() {
        let row = minutes(Server::A, Client::Naive, 5);
        assert!((0.4..0.7).contains(&row.refused), "{row}");
        assert!(row.sends_per_success > 1.7, "{row}");
    }

    #[test]
    fn backing_off_collapses_where_refused_requests_count() {
        let row = minutes(Server::G, Client::Naive, 5);
        assert!(row.utilisation < 0.1, "{row}");
        assert!(row.lost > 0.5, "{row}");
    }

    #[test]
    fn pacing_without_a_guard_is_refused_by_exact_windows_and_not_by_buckets() {
        for client in [Client::Interval, Client::Governor] {
            let row = minutes(Server::A, client, 5);
            assert!((0.04..0.15).contains(&row.refused), "{row}");
            let row = minutes(Server::D, client, 5);
            assert!(row.refused < 0.01, "{row}");
        }
    }

    #[test]
    fn windows_that_begin_with_the_client_are_refused_by_windows_that_do_not() {
        for client in [Client::Tower, Client::Resilience] {
            let row = minutes(Server::A, client, 5);
            assert!((0.1..0.25).contains(&row.refused), "{row}");
        }
    }

    #[test]
    fn our_limiter_is_hardly_refused_by_any_way_of_counting() {
        for server in [
            Server::A,
            Server::B,
            Server::C,
            Server::D,
            Server::E,
            Server::G,
            Server::H,
        ] {
            let row = minutes(server, Client::Own, 3);
            assert!(row.refused < 0.01, "{row}");
            assert!(row.lost < 1e-9, "{row}");
            assert!(row.utilisation > 0.8, "{row}");
        }
    }

    #[test]
    fn a_fixed_guard_is_never_refused_by_minute_windows() {
        for client in [Client::OwnFixedGuard, Client::OwnBurstsFixedGuard] {
            let row = minutes(Server::J, client, 5);
            assert!(row.refused < 1e-9, "{row}");
            assert!(row.utilisation > 0.95, "{row}");
        }
    }

    #[test]
    fn the_same_run_gives_the_same_row() {
        for client in [Client::Naive, Client::Own] {
            assert_eq!(minutes(Server::A, client, 2), minutes(Server::A, client, 2));
        }
    }
}
