//! The same script over HTTP and in virtual time.

use std::time::Duration;

use http::StatusCode;
use model_studio_sim::{Ask, Charging, Growth, Limits, Partition, Simulator, Stranger, Usage};
use serde_json::json;

use crate::client::{CHAT, Client, prompt};

/// When, how long a prompt, how long an answer at most.
fn script() -> Vec<(Duration, usize, u64)> {
    let mut number: u64 = 7;
    let mut now = Duration::ZERO;
    (0..400)
        .map(|_| {
            // The multiplier of Knuth's MMIX generator.
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let bits = number >> 33;
            if bits % 3 == 0 {
                now += Duration::from_millis(bits % 700);
            }
            (now, 1 + usize::try_from(bits % 60).unwrap(), 1 + bits % 40)
        })
        .collect()
}

fn kinds() -> [(&'static str, Limits); 6] {
    let limits = || {
        Limits::per_minute(100)
            .per_second(4)
            .tokens_per_minute(2500)
    };
    [
        (
            "sliding, refused requests counted",
            limits().count_refused(true),
        ),
        (
            "fixed, charged up front",
            limits().fixed().charging(Charging::MaxUpFront),
        ),
        (
            "two counters, refunded",
            limits().counters().charging(Charging::MaxThenRefund),
        ),
        (
            "bucket, the answer charged later",
            limits().buckets(10).charging(Charging::PromptThenRest),
        ),
        (
            "growth",
            Limits::unlimited().growth(Growth::new(3, 120, Duration::from_secs(2))),
        ),
        (
            "a stranger",
            limits().stranger(Stranger::new(
                Duration::from_secs(5),
                Duration::from_secs(20),
                50,
            )),
        ),
    ]
}

// Under the paused clock the simulator lives in virtual time too: nothing here waits for a timer,
// so time moves only where the script says.
#[tokio::test(start_paused = true)]
async fn http_and_virtual_time_agree_on_the_same_script() {
    for (name, limits) in kinds() {
        let simulator = Simulator::builder()
            .account("a", ["sk-a1"])
            .model("qwen3-max", limits.clone())
            .start()
            .await
            .unwrap();
        let client = Client::new(simulator.addr());
        let mut partition = Partition::new(limits);
        let mut now = Duration::ZERO;
        let mut refused = 0;
        for (at, prompt_words, max_tokens) in script() {
            tokio::time::advance(at.saturating_sub(now)).await;
            now = at;
            let mut body = prompt("qwen3-max", &"four".repeat(prompt_words));
            body["max_tokens"] = json!(max_tokens);
            let answer = client.post(CHAT, &body).await;

            let prompt_tokens = prompt_words as u64 + 4 + 3;
            let arrived = partition.arrive(now, Ask::new(prompt_tokens, max_tokens));
            assert_eq!(
                answer.status == StatusCode::OK,
                arrived.is_ok(),
                "{name} at {at:?}"
            );
            if let Ok(ticket) = arrived {
                let usage = &answer.json()["usage"];
                assert_eq!(usage["prompt_tokens"], prompt_tokens);
                let completion = usage["completion_tokens"].as_u64().unwrap();
                partition.finish(now, ticket, Usage::new(prompt_tokens, completion));
            } else {
                refused += 1;
            }
        }
        let ledger = simulator.ledger();
        assert_eq!(
            ledger.partition("a", "qwen3-max").unwrap().tally,
            partition.tally(),
            "{name}"
        );
        assert!(
            (20..396).contains(&refused),
            "{name}: {refused} of 400 refused"
        );
    }
}
