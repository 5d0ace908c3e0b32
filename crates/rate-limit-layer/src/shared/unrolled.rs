/// Repeats what stands between `<<` and `>>` for each limit. The comment at the top, which speaks of them, is
/// left out.
pub(super) fn unrolled(template: &str, limits: usize) -> String {
    let code = template
        .lines()
        .skip_while(|line| line.starts_with("--"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut text = String::new();
    for part in code.split(">>") {
        let Some((once, each)) = part.split_once("<<") else {
            text.push_str(part);
            continue;
        };
        text.push_str(once);
        for limit in 1..=limits {
            text.push_str(&each.replace('@', &limit.to_string()));
        }
    }
    text.replace("HEAD'", &format!("{}'", "d".repeat(7 * limits)))
        .replace("ARGS'", &format!("{}'", "d".repeat(6 * limits)))
        .replace("COSTS'", &format!("{}'", "d".repeat(limits)))
}
