use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::json;

use crate::line::{self, Line};

/// The prompts that ship with the example, in Batch format.
const PROMPTS: &[u8] = include_bytes!("prompts.jsonl");

/// What the models are asked if neither the input nor the caller names one.
pub(crate) const MODEL: &str = "qwen3-max";

/// Where chat requests go.
const CHAT: &str = "/v1/chat/completions";

/// A request of the batch.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its place in the input, from 1.
    pub(crate) line: usize,
    pub(crate) custom_id: String,
    pub(crate) url: String,
    pub(crate) model: String,
    /// A JSON object, sent as it was found.
    pub(crate) body: Bytes,
}

/// A line that holds no request.
#[derive(Debug)]
pub(crate) struct BadLine {
    /// Its place in the input, from 1.
    pub(crate) line: usize,
    /// The line's own, or `line-N` where it has none that can be used.
    pub(crate) custom_id: String,
    /// A sentence that begins with the line's number.
    pub(crate) reason: String,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) jobs: Vec<Job>,
    pub(crate) bad: Vec<BadLine>,
}

impl Input {
    /// Reads a file: JSONL in Batch format if its first line is an object, else a prompt a line.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or has no line that says anything.
    pub(crate) fn read(path: &Path, model: Option<&str>) -> Result<Self> {
        let file =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let input = Self::parse(&Bytes::from(file), model);
        if input.len() == 0 {
            bail!(
                "{} is empty; put a request in Batch format, or a prompt, on each line",
                path.display()
            );
        }
        Ok(input)
    }

    /// The prompts that ship with the example, the first `requests`, repeated under new
    /// names where there are not enough.
    pub(crate) fn shipped(model: Option<&str>, requests: Option<usize>) -> Self {
        let mut input = Self::parse(&Bytes::from_static(PROMPTS), model);
        let shipped = input.jobs.len();
        for index in shipped..requests.unwrap_or(shipped) {
            let mut job = input.jobs[index % shipped].clone();
            job.line = index + 1;
            job.custom_id = format!("{}-{}", job.custom_id, index / shipped + 1);
            input.jobs.push(job);
        }
        input.truncate(requests.unwrap_or(usize::MAX));
        input
    }

    /// Keeps the first `requests` lines.
    pub(crate) fn truncate(&mut self, requests: usize) {
        let lines = self
            .jobs
            .iter()
            .map(|job| job.line)
            .chain(self.bad.iter().map(|bad| bad.line));
        let mut lines: Vec<_> = lines.collect();
        if lines.len() > requests {
            lines.sort_unstable();
            let end = lines[requests];
            self.jobs.retain(|job| job.line < end);
            self.bad.retain(|bad| bad.line < end);
        }
    }

    /// How many requests there are, bad ones included.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len() + self.bad.len()
    }

    fn parse(file: &Bytes, model: Option<&str>) -> Self {
        let file = file
            .strip_prefix("\u{feff}".as_bytes())
            .map_or_else(|| file.clone(), |rest| file.slice_ref(rest));
        let mut lines = (1..).zip(file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
        let mut lines = lines
            .by_ref()
            .filter(|(_, line)| !line.is_empty())
            .peekable();
        let is_jsonl = lines.peek().is_some_and(|(_, line)| line.starts_with(b"{"));

        let mut input = Self::default();
        // A line without a name of its own is named by its number, which another may have taken.
        let mut nameless = Vec::new();
        let mut lines_by_id = HashMap::new();
        for (number, line) in lines {
            let read = if is_jsonl {
                Line::read(line, model)
            } else {
                prompt(line, number, model)
            };
            let (custom_id, read) = match read {
                Ok(line) => (Some(line.custom_id.clone()), Ok(line)),
                Err(line::Bad { custom_id, reason }) => (custom_id, Err(reason)),
            };
            let first = custom_id.map(|id| (*lines_by_id.entry(id.clone()).or_insert(number), id));
            match (first, read) {
                (Some((first, id)), _) if first != number => {
                    nameless.push((
                        number,
                        format!("custom_id {id:?} stands on line {first} already"),
                    ));
                }
                (_, Ok(line)) => input.jobs.push(Job {
                    line: number,
                    custom_id: line.custom_id,
                    url: line.url,
                    model: line.model,
                    body: line
                        .body
                        .map_or_else(Bytes::from, |found| file.slice_ref(found)),
                }),
                (Some((_, custom_id)), Err(reason)) => {
                    input.bad.push(BadLine::new(number, custom_id, &reason));
                }
                (None, Err(reason)) => nameless.push((number, reason)),
            }
        }
        for (number, reason) in nameless {
            let mut custom_id = format!("line-{number}");
            while lines_by_id.contains_key(&custom_id) {
                custom_id.push('-');
            }
            input.bad.push(BadLine::new(number, custom_id, &reason));
        }
        input
    }
}

impl BadLine {
    fn new(line: usize, custom_id: String, reason: &str) -> Self {
        Self {
            line,
            custom_id,
            reason: format!("line {line}: {reason}"),
        }
    }
}

/// A request out of a prompt.
fn prompt<'a>(line: &'a [u8], number: usize, model: Option<&str>) -> Result<Line<'a>, line::Bad> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(line::Bad {
            custom_id: None,
            reason: "is not UTF-8".to_owned(),
        });
    };
    let model = model.unwrap_or(MODEL);
    let body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
    Ok(Line {
        custom_id: format!("line-{number}"),
        url: CHAT.to_owned(),
        model: model.to_owned(),
        body: Err(body.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn parse(text: &str) -> Input {
        Input::parse(&Bytes::copy_from_slice(text.as_bytes()), None)
    }

    fn line(custom_id: &str) -> String {
        format!(
            r#"{{"custom_id":{custom_id:?},"method":"POST","url":"/v1/chat/completions","body":{{"model":"m"}}}}"#
        )
    }

    #[test]
    fn two_hundred_prompts_ship() {
        let input = Input::shipped(None, None);
        assert_eq!((input.jobs.len(), input.bad.len()), (200, 0));
        let input = Input::shipped(None, Some(450));
        let ids: HashSet<_> = input.jobs.iter().map(|job| &job.custom_id).collect();
        assert_eq!((input.jobs.len(), ids.len()), (450, 450));
        assert_eq!(Input::shipped(None, Some(20)).jobs.len(), 20);
    }

    #[test]
    fn a_body_is_sent_as_it_was_found() {
        let body = r#"{ "model":"m",  "seed": 1.0e2, "messages":[] }"#;
        let input = parse(&format!(
            r#"{{"custom_id":"a","method":"POST","url":"/v1/x","body":{body}}}"#
        ));
        assert_eq!(input.jobs[0].body, body);
        assert_eq!(input.jobs[0].url, "/v1/x");
    }

    #[test]
    fn a_text_file_is_a_prompt_a_line() {
        let input = parse("\u{feff}Why?\r\n\n  Say \"no\". \n");
        assert_eq!(input.bad.len(), 0);
        assert_eq!(
            input
                .jobs
                .iter()
                .map(|job| job.custom_id.as_str())
                .collect::<Vec<_>>(),
            ["line-1", "line-3"]
        );
        let body: serde_json::Value = serde_json::from_slice(&input.jobs[1].body).unwrap();
        assert_eq!(body["messages"][0]["content"], "Say \"no\".");
        assert_eq!(body["model"], MODEL);
    }

    #[test]
    fn bad_lines_keep_their_number_and_get_a_name_of_their_own() {
        let text = [
            line("a").as_str(),
            "{torn",
            &line("line-2"),
            &line("a"),
            r#"{"custom_id":"b"}"#,
        ]
        .join("\n");
        let input = parse(&text);
        assert_eq!(
            input.jobs.iter().map(|job| job.line).collect::<Vec<_>>(),
            [1, 3]
        );
        let bad: HashMap<_, _> = input
            .bad
            .iter()
            .map(|bad| (bad.line, (&*bad.custom_id, &*bad.reason)))
            .collect();
        assert_eq!(bad[&2].0, "line-2-");
        assert!(bad[&2].1.starts_with("line 2: "), "{}", bad[&2].1);
        assert_eq!(
            bad[&4],
            ("line-4", "line 4: custom_id \"a\" stands on line 1 already")
        );
        assert_eq!(bad[&5].0, "b");
    }

    #[test]
    fn the_first_requests_are_kept() {
        let mut input = parse(&[&line("a"), "{torn", &line("b"), &line("c")].join("\n\n"));
        input.truncate(3);
        assert_eq!((input.jobs.len(), input.bad.len()), (2, 1));
        input.truncate(9);
        assert_eq!(input.len(), 3);
    }

    #[test]
    fn an_empty_file_and_a_missing_one_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.jsonl");
        assert!(format!("{:#}", Input::read(&path, None).unwrap_err()).contains("in.jsonl"));
        std::fs::write(&path, "\n \n").unwrap();
        assert!(
            Input::read(&path, None)
                .unwrap_err()
                .to_string()
                .contains("is empty")
        );
    }
}
