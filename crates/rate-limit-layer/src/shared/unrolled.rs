/// Repeats what stands between `<<` and `>>` for each limit, and puts numbers and formats where words in capitals
/// stand for them. The comment at the top, which speaks of them, is left out.
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
    text.replace("LAST'", &format!("{}'", NUMBERS + EACH * limits - 1))
        .replace("RINGS", &RINGS.to_string())
        .replace("HEAD'", &format!("{}'", "d".repeat(6 * limits)))
        .replace("ARGS", &"d".repeat(5 * limits))
        .replace("COSTS'", &format!("{}'", "d".repeat(limits)))
}

/// A state is a string: numbers, in so many bytes; more for each limit, with room for the most limits there may be;
/// then the logs.
const NUMBERS: usize = 8 * 19;
const EACH: usize = 8 * 6;
pub(super) const RINGS: usize = NUMBERS + EACH * 8;
