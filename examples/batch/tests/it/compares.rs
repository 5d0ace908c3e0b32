use serde_json::Value;

use crate::support::run;

#[tokio::test(flavor = "multi_thread")]
async fn each_strategy_gets_a_row_a_line_and_a_panel() {
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

    // 24 at once, where 10 a second pass.
    assert_eq!(reports[0]["strategy"], "no handling");
    assert_eq!(reports[0]["lost"], 14, "{}", reports[0]);
    let layers = &reports[5];
    assert_eq!(layers["strategy"], "layers");
    assert_eq!(
        (&layers["completed"], &layers["lost"]),
        (&24.into(), &0.into())
    );
    assert_eq!(layers["refused_429"], 0, "{layers}");
}
