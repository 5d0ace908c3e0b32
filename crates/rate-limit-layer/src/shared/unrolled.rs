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
            text.push_str(&repeated(each, limit, limits));
        }
    }
    text.replace("HEAD'", &format!("{}'", "d".repeat(7 * limits)))
        .replace("ARGS", &"d".repeat(6 * limits))
        .replace("COSTS'", &format!("{}'", "d".repeat(limits)))
}

/// One repetition. Behind its numbers a state has for each limit the last entries of its log, and then for each a
/// block from the log's end: 128 bytes each.
fn repeated(each: &str, limit: usize, limits: usize) -> String {
    let tops = 153 + 56 * limits;
    let top = tops + 128 * (limit - 1);
    let block = tops + 128 * (limits + limit - 1);
    // What stands between this one's entries and the next one's is written as it was.
    let fill = if limit < limits {
        format!(" .. sub(old, {top} + #(pre@ or '') + #top@, {})", top + 127)
    } else {
        String::new()
    };
    each.replace("FILL@", &fill)
        .replace("TOP@", &top.to_string())
        .replace("BLOCK@", &block.to_string())
        .replace('@', &limit.to_string())
}
