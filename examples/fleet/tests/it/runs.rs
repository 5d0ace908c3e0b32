use crate::support::{RUNS, has_store, run};

#[test]
fn processes_share_the_quota_through_a_store_that_is_started() {
    if !has_store() {
        return;
    }
    let mut reports = Vec::new();
    for _ in 0..RUNS {
        // Twenty a second: what it comes to is to be up to the processes, and not to how fast they run.
        let run = run("--instances 3 --seconds 5 --quota 100/5s --json");
        let report = run.report();
        println!("{report}");
        assert_eq!(report["instances"], 3);
        assert_eq!(report["quota"], "100/5s+1200/60s");
        assert_eq!(report["lost"], 0);
        assert_eq!(report["share"].as_array().unwrap().len(), 3);
        if report["utilisation"].as_f64().unwrap() >= 0.9
            && report["refused_429"].as_u64().unwrap() <= 3
            && report["store_calls_per_grant"].as_f64().unwrap() <= 1.2
        {
            return;
        }
        reports.push(report);
    }
    panic!("none of {reports:?}");
}

#[test]
fn in_virtual_time_the_fleet_gets_what_one_client_gets() {
    let run = run("--virtual --seconds 120 --json");
    let report = run.report();
    println!("{report}");
    assert_eq!(report["lost"], 0);
    assert!(
        report["alone"]["ratio"].as_f64().unwrap() >= 0.99,
        "{report}"
    );
    assert!(report["refused_429"].as_u64().unwrap() <= 18, "{report}"); // 0.2 %
}

#[test]
fn an_outage_after_demand_has_moved_wastes_little() {
    // Two seconds before it, what half of the demand is moved to an instance that sent nothing until then.
    let run = run("--virtual --seconds 30 --turn 10 --kill-store-at 12 --json");
    let report = run.report();
    let outage = &report["outage"];
    assert!(outage["utilisation"].as_f64().unwrap() >= 0.78, "{report}");
    assert_eq!(report["lost"], 0);
}

#[test]
fn virtual_time_gives_the_same_every_time() {
    let [once, again] = [(), ()].map(|()| run("--virtual --seconds 20 --instances 3 --json"));
    assert_eq!(once.report(), again.report());
}

#[test]
fn people_are_told_in_sentences() {
    let run = run("--virtual --seconds 40 --kill-store-at 20");
    assert_eq!(run.code, Some(0), "{run:?}");
    for words in [
        "8 instances",
        "500/10s+3000/60s",
        "one client alone",
        "no store",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    assert_eq!(run.stderr, "");
}
