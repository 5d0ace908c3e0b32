use std::collections::BTreeMap;
use std::fmt::Write;

use crate::tally::Report;

/// The table that closes a run.
pub(crate) fn closing(report: &Report, path: Option<&str>) -> String {
    let mut rows = vec![("requests", report.requests.to_string())];
    if report.recorded_before > 0 {
        rows.push(("recorded before", report.recorded_before.to_string()));
    }
    rows.push((
        "completed",
        format!("{}{}", report.completed, split(&report.by_model)),
    ));
    rows.push(("failed", report.failed.to_string()));
    // What a run that was stopped leaves is not lost: the next one does it.
    let rest = if report.lost > 0 {
        "still to do"
    } else {
        "lost"
    };
    rows.push((rest, report.lost.to_string()));
    if !report.by_account.is_empty() {
        rows.push(("accounts", list(&report.by_account)));
    }
    rows.push((
        "sends",
        format!(
            "{}, of which {} refused{}",
            report.sends,
            report.refused_429,
            share(report)
        ),
    ));
    rows.push((
        "time",
        format!("{:.1} s{}", report.elapsed_s, ideal(report)),
    ));
    if let Some(path) = path {
        rows.push(("records", path.to_owned()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut table = String::new();
    for (name, value) in rows {
        let _ = writeln!(table, "{name:width$}  {value}");
    }
    table.pop();
    table
}

fn ideal(report: &Report) -> String {
    match (report.ideal_s, report.utilisation) {
        (Some(ideal), Some(used)) => format!(
            "; the quota allows {ideal:.1} s: {:.0} % of it used",
            used * 100.0
        ),
        _ => String::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn share(report: &Report) -> String {
    if report.refused_429 == 0 {
        return String::new();
    }
    format!(
        " ({:.1} %)",
        report.refused_429 as f64 * 100.0 / report.sends as f64
    )
}

fn split(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        String::new()
    } else {
        format!(" ({})", list(counts))
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    parts.join(", ")
}

/// The table that closes a comparison.
pub(crate) fn comparison<'a>(reports: impl Iterator<Item = &'a Report>) -> String {
    let head = [
        "strategy",
        "answered",
        "lost",
        "sends",
        "refused",
        "time",
        "answered by",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(reports.map(|report| {
        [
            report.strategy.unwrap_or_default().to_owned(),
            report.completed.to_string(),
            report.lost.to_string(),
            report.sends.to_string(),
            format!("{}{}", report.refused_429, share(report)),
            format!("{:.1} s", report.elapsed_s),
            list(&report.by_model),
        ]
    }));
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut line = format!("{:width$}", row[0], width = widths[0]);
            for column in 1..6 {
                let _ = write!(line, "  {:>width$}", row[column], width = widths[column]);
            }
            line + "  " + &row[6]
        })
        .collect();
    lines.join("\n")
}
