use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::record::{self, Record};

/// Where records go: a file that only ever grows by whole lines, or nowhere.
#[derive(Debug, Default)]
pub(crate) struct Output {
    file: Option<(PathBuf, File)>,
    recorded: HashSet<String>,
    /// Nobody asked for the file, and nothing is in it.
    is_litter: bool,
}

/// What makes a line a record. Only the outline: results are not kept in memory.
#[derive(Deserialize)]
struct Outline {
    custom_id: String,
    response: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

impl Output {
    /// Opens `path`, and takes up what is recorded there.
    ///
    /// A torn last line, which is what a killed run leaves behind, is cut off.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read and written, another run writes to it, or it holds anything but
    /// records: then it is somebody's, and left as it is.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write to {}", path.display());
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path);
        let mut file = file.with_context(cannot)?;
        let mut recorded = HashSet::new();
        // A pipe or /dev/null holds nothing to go on from.
        if file.metadata().with_context(cannot)?.is_file() {
            if !lock(&file) {
                bail!(
                    "{} is being written to by another run; wait for it, or choose another --output",
                    path.display()
                );
            }
            let mut found = Vec::new();
            file.read_to_end(&mut found).with_context(cannot)?;
            let end = take_up(&found, &mut recorded).map_err(|reason| {
                anyhow::anyhow!(
                    "{} is no output of a batch ({reason}); choose another --output",
                    path.display()
                )
            })?;
            match end {
                End::Whole => {}
                End::Unended => file.write_all(b"\n").with_context(cannot)?,
                End::Torn(length) => {
                    file.set_len(length as u64).with_context(cannot)?;
                    file.seek(SeekFrom::End(0)).with_context(cannot)?;
                }
            }
        }
        Ok(Self {
            file: Some((path.to_owned(), file)),
            recorded,
            is_litter: false,
        })
    }

    /// Opens the first of `answers-1.jsonl`, `answers-2.jsonl`, … that does not exist yet.
    ///
    /// # Errors
    ///
    /// Fails if the current folder cannot be written to.
    pub(crate) fn fresh() -> Result<Self> {
        for number in 1_u32.. {
            let path = PathBuf::from(format!("answers-{number}.jsonl"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    lock(&file);
                    return Ok(Self {
                        file: Some((path, file)),
                        recorded: HashSet::new(),
                        is_litter: true,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot write to {}; name a file by --output",
                            path.display()
                        )
                    });
                }
            }
        }
        bail!("all names from answers-1.jsonl on are taken; name a file by --output")
    }

    /// Keeps nothing.
    pub(crate) fn nowhere() -> Self {
        Self::default()
    }

    /// Whether a record of this name was there before.
    pub(crate) fn has(&self, custom_id: &str) -> bool {
        self.recorded.contains(custom_id)
    }

    /// Writes a record, in one piece.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written, for example on a full disk.
    pub(crate) fn write(&mut self, record: &Record) -> Result<()> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        let line = record.line().context("cannot write a record as JSON")?;
        self.is_litter = false;
        file.write_all(&line)
            .with_context(|| format!("cannot write to {}", path.display()))
    }

    /// Asks the system to keep what was written, and returns where it is. A [`fresh`](Self::fresh) file
    /// that nothing was written to is taken away again.
    ///
    /// # Errors
    ///
    /// Fails if the system reports that it could not.
    pub(crate) fn close(self) -> Result<Option<PathBuf>> {
        let Some((path, file)) = self.file else {
            return Ok(None);
        };
        if self.is_litter && std::fs::remove_file(&path).is_ok() {
            return Ok(None);
        }
        match file.sync_data() {
            // Pipes and devices keep nothing.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            other => other.with_context(|| format!("cannot write to {}", path.display()))?,
        }
        Ok(Some(path))
    }
}

/// Keeps other runs from the file for as long as this one lives, however it ends. Returns whether it is
/// this one's; where nobody can tell, it is.
fn lock(file: &File) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{FlockOperation, flock};

        let locked = flock(file, FlockOperation::NonBlockingLockExclusive);
        locked != Err(rustix::io::Errno::WOULDBLOCK)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        true
    }
}

/// How a file of records ends.
enum End {
    /// After a line, or it is empty.
    Whole,
    /// In a whole record that only lacks its line end.
    Unended,
    /// In a part of a record, which begins here.
    Torn(usize),
}

fn take_up(found: &[u8], recorded: &mut HashSet<String>) -> Result<End, String> {
    let whole = found
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    for (number, line) in (1..).zip(found[..whole].split_inclusive(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        recorded.insert(custom_id(line).ok_or_else(|| format!("line {number} is no record"))?);
    }
    let rest = &found[whole..];
    let begin = &rest[..rest.len().min(record::BEGIN.len())];
    if rest.is_empty() {
        Ok(End::Whole)
    } else if let Some(id) = custom_id(rest) {
        recorded.insert(id);
        Ok(End::Unended)
    } else if record::BEGIN.as_bytes().starts_with(begin) {
        Ok(End::Torn(whole))
    } else {
        Err("its last line is no record".to_owned())
    }
}

fn custom_id(line: &[u8]) -> Option<String> {
    let outline: Outline = serde_json::from_slice(line).ok()?;
    (outline.response.is_some() || outline.error.is_some()).then_some(outline.custom_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(custom_id: &str) -> Record {
        Record::failed(1, custom_id.to_owned(), "code", "why".to_owned())
    }

    fn line(custom_id: &str) -> String {
        String::from_utf8(record(custom_id).line().unwrap()).unwrap()
    }

    #[test]
    fn goes_on_behind_the_last_whole_record_wherever_the_line_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let whole = line("a");
        for length in 0..=line("b").len() {
            std::fs::write(&path, format!("{whole}{}", &line("b")[..length])).unwrap();
            let mut output = Output::open(&path).unwrap();
            assert!(output.has("a"));
            if !output.has("b") {
                output.write(&record("b")).unwrap();
            }
            output.write(&record("c")).unwrap();
            output.close().unwrap();
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                whole.clone() + &line("b") + &line("c"),
                "{length}"
            );
        }
    }

    #[test]
    fn somebody_elses_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.txt");
        for text in [
            "A thesis",
            "A thesis\nin lines\n",
            "{\"custom_id\":\"a\",\"body\":{}}\n",
            &(line("a") + "and more"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Output::open(&path).unwrap_err().to_string();
            assert!(
                error.contains("thesis.txt is no output of a batch"),
                "{error}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_file_is_one_runs_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut first = Output::open(&path).unwrap();
        first.write(&record("a")).unwrap();
        let error = Output::open(&path).unwrap_err().to_string();
        assert!(error.contains("another run"), "{error}");
        first.close().unwrap();
        assert!(Output::open(&path).unwrap().has("a"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", Output::open(folder.path()).unwrap_err());
        assert!(
            error.starts_with(&format!("cannot write to {}", folder.path().display())),
            "{error}"
        );
    }
}
