use std::path::PathBuf;

use clap::Parser;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use throttle_signal::Profile;

use crate::key::Key;
use crate::quota::Quota;

/// Sends a batch of prompts to a rate-limited endpoint and finishes inside its quota.
///
/// Without --base-url a Model Studio simulator is started on loopback: no account, key or network
/// is needed. With it, requests go to a real OpenAI-compatible endpoint, keys by --key or
/// DASHSCOPE_API_KEYS (KEY or KEY@ACCOUNT, separated by commas), else DASHSCOPE_API_KEY, answers to OUT.
///
/// Run again with the same OUT to go on where a run was stopped or killed.
#[allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "shown on the terminal, where Markdown is noise"
)]
#[derive(Debug, Parser)]
#[command(name = "batch", after_help = EXIT)]
pub struct Args {
    /// Requests: JSONL in the OpenAI / Model Studio Batch format, or a prompt a line [default: 200 prompts that come along]
    pub(crate) input: Option<PathBuf>,

    /// Where records go, in the Batch output format; what is recorded there is skipped [default: nowhere, or with --base-url the first free of answers-1.jsonl, answers-2.jsonl, …]
    #[arg(short, long, value_name = "OUT.jsonl")]
    pub(crate) output: Option<PathBuf>,

    /// The endpoint, such as https://dashscope.aliyuncs.com/compatible-mode/v1 [default: a simulator]
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// How the endpoint words its refusals [default: by its host]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Profile::names()))]
    pub(crate) profile: Option<String>,

    /// A key, and the account whose quota it draws on; repeat for more
    // `Key` is read without fail: a message of clap's would repeat the value.
    #[arg(long = "key", value_name = "KEY[@ACCOUNT]", value_parser = clap::value_parser!(Key))]
    pub(crate) keys: Vec<Key>,

    /// The model to ask, whatever the input names; repeat for those to fall back to, in order
    #[arg(long = "model", value_name = "M", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) models: Vec<String>,

    /// Ask the next model when this one would have no room for so long; until then wait
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(..=31_536_000))]
    pub(crate) patience: u64,

    /// Requests under way at once, those that wait for their turn included [default: 30 s of the quota]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) concurrency: Option<usize>,

    /// Send N requests: the first N of INPUT, or the prompts that come along, repeated as needed
    #[arg(long, value_name = "N", value_parser = at_most_a_million)]
    pub(crate) requests: Option<usize>,

    /// End stdout with a JSON object of what was done
    #[arg(long)]
    pub(crate) json: bool,

    /// Does the work once by the layers and once each as people do it by hand, every time on a fresh simulator
    #[arg(long, conflicts_with_all = ["base_url", "output"])]
    pub(crate) compare: bool,

    /// Draws the comparison
    #[arg(long, value_name = "FILE.svg", requires = "compare")]
    pub(crate) chart: Option<PathBuf>,

    #[command(
        flatten,
        next_help_heading = "Quota [default: what Model Studio publishes for the model]"
    )]
    pub(crate) quota: Quota,
}

const EXIT: &str = "\
Exit status: 0 when every request is recorded, completed or failed; 1 when the run could not be
started or had to end early; 2 for a wrong command line; 130 after Ctrl-C.";

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be a whole number from 1".to_owned()),
    }
}

/// All of them are in memory at once, so a slip of the finger must not fill it.
fn at_most_a_million(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        _ => Err("must be a whole number from 1 to 1000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn numbers_are_bounded() {
        for (flag, bad) in [
            ("--requests", "1000001"),
            ("--requests", "0"),
            ("--concurrency", "0"),
            ("--concurrency", "many"),
        ] {
            let error = Args::try_parse_from(["batch", flag, bad]).unwrap_err();
            assert!(error.to_string().contains("whole number from 1"), "{error}");
        }
        assert!(Args::try_parse_from(["batch", "--requests", "1000000"]).is_ok());
    }

    #[test]
    fn no_key_is_shown() {
        let args = Args::parse_from(["batch", "--key", "sk-hidden@a"]);
        assert!(!format!("{args:?}").contains("hidden"));
    }
}
