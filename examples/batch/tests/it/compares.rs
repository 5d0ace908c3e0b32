use serde_json::Value;

use crate::support::run;

#[tokio::test(flavor = "multi_thread")]
async fn each_strategy_gets_a_row_a_line_and_a_panel() {
    let mut counts = Vec::new();
    // What is sent at once takes its time on a machine that does much else; but not every time.
    for _ in 0..5 {
        let count = compare().await;
        // 24 at once, where 10 a second pass, and 24 that are paced.
        if count == [14, 0] {
            return;
        }
        counts.push(count);
    }
    panic!("so many were lost without, and refused with the layers: {counts:?}");
}

/// Compares, and returns how many are lost without any handling and how many are refused with the layers.
async fn compare() -> [u64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("chart.svg");
    let args = ["--compare", "--requests", "24"];
    let run = run(&[&args[..], &["--chart", chart.to_str().unwrap()]].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let lines = run.stdout.lines().filter(|line| line.starts_with('{'));
    let reports: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(reports.len(), 6);
    let svg = std::fs::read_to_string(chart).unwrap();
    for report in &reports {
        let strategy = report["strategy"].as_str().unwrap();
        let row = run.stdout.lines().any(|line| line.starts_with(strategy));
        assert!(row && svg.contains(strategy), "{strategy}");
    }

    assert_eq!(reports[0]["strategy"], "no handling");
    let layers = &reports[5];
    assert_eq!(layers["strategy"], "layers");
    assert_eq!(
        (&layers["completed"], &layers["lost"]),
        (&24.into(), &0.into())
    );
    [&reports[0]["lost"], &layers["refused_429"]].map(|count| count.as_u64().unwrap())
}
