//! A server on loopback that limits and answers like Alibaba Model Studio.
//!
//! # Example
//!
//! ```
//! use model_studio_sim::{Limits, RefusalKind, Simulator};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let simulator = Simulator::builder()
//!     .account("a", ["sk-a1", "sk-a2"])
//!     .model("qwen3-max", Limits::per_minute(1))
//!     .start()
//!     .await?;
//!
//! // Any client will do; this one is as small as they come.
//! let body = r#"{"model":"qwen3-max","messages":[{"role":"user","content":"hi"}]}"#;
//! for (key, status) in [("sk-a1", "200 OK"), ("sk-a2", "429 Too Many Requests")] {
//!     let mut stream = TcpStream::connect(simulator.addr()).await?;
//!     let length = body.len();
//!     let head = format!(
//!         "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\
//!          authorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
//!     );
//!     stream.write_all(format!("{head}{body}").as_bytes()).await?;
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer).await?;
//!     assert!(answer.starts_with(&format!("HTTP/1.1 {status}")));
//! }
//! assert_eq!(simulator.ledger().refused(RefusalKind::RequestRate), 1);
//! # Ok(())
//! # }
//! ```
//!
//! The README has the command line, every flag and the ledger.
//!
//! # Two forms, one model
//!
//! [`Limits`] say what one account may ask of one model. A [`Partition`] is such limits at work: pure,
//! in whatever time the caller lives. A [`Simulator`] puts one behind every account and model, and HTTP
//! in front.
//!
//! # What the crate promises
//!
//! * **The counting is exact.** Every kind of window agrees with a brute-force oracle over a million
//!   random arrivals; all arithmetic is in whole nanoseconds and units.
//! * **Both forms agree.** The same script over HTTP and in virtual time gives the same [`Tally`].
//! * **A request passes all windows or none.** A refused one takes nothing, unless told to count.
//! * **Everything is repeatable.** What is drawn depends on the [`seed`](Builder::seed), the request
//!   and its number; the same prompt always gets the same answer, of as many tokens as its `usage` says.
//! * **The words are Model Studio's**, in both of its dialects, and no answer has a `Retry-After`
//!   unless asked for.
//! * **Nothing outlives the handle.** Dropping a [`Simulator`] ends its listener and its connections.
//!
//! # Limits
//!
//! * Not the provider. Its window kinds, its burst rule and whether it charges on arrival are not
//!   published; this has them all and guesses none. `qwen-plus` and `qwen-turbo` of the
//!   [defaults](Builder) have stand-in figures.
//! * No tokenizer: tokens are a rule of thumb. No TLS. Bodies up to 32 MiB.
//! * A request arrives when its body is complete, by tokio's clock. Under a paused clock the simulator
//!   stands still with everything else: move time with `tokio::time::advance`, or use a [`Partition`].
//! * An exact log takes 24 bytes for every request and for every charge at the end, for as long as the
//!   longest window: 600 requests a minute take 29 KB, a flood of 20 000 a second takes 58 MB.
//!
//! # Cancel safety
//!
//! A caller that leaves is charged, as far as the [`Charging`] says, for its prompt and for what it was
//! sent of the answer. A [`Ticket`] that is dropped keeps what it was charged on arrival.

mod limits;
mod server;

pub use limits::{
    Ask, Charging, Counting, Growth, Limits, Partition, Refusal, RefusalKind, Stranger, Tally,
    Ticket, Unit, Usage, Window, WindowTally,
};
pub use server::{Builder, Fault, Latency, Ledger, PartitionLedger, Simulator, When};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
