use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take on a busy machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// Waits until something can be seen from outside: what runs on other threads tells nobody.
pub(crate) async fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let end = Instant::now() + LONGEST;
    while !seen() {
        assert!(Instant::now() < end, "{what}: not in {LONGEST:?}");
        sleep(Duration::from_millis(2)).await;
    }
}
