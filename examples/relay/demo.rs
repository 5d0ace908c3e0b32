use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use model_studio_sim::{Latency, Simulator};

use crate::config::Config;

/// What is relayed to where nothing else is said: a simulator with two accounts.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) simulator: Simulator,
    pub(crate) api_key: String,
    pub(crate) config: Config,
}

impl Demo {
    /// Starts the simulator on a free port.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) async fn start() -> Result<Self> {
        let latency = Latency::uniform(Duration::from_millis(40), Duration::from_millis(120));
        let simulator = Simulator::builder().latency(latency).start().await;
        let simulator =
            simulator.context("cannot start the simulator on a free port of 127.0.0.1")?;
        // The system's randomness, by way of the standard library.
        let random = || RandomState::new().hash_one(0);
        let api_key = format!("sk-relay-{:016x}{:016x}", random(), random());
        let text = include_str!("demo.toml")
            .replace("BASE_URL", simulator.base_url())
            .replace("API_KEY", &api_key);
        let config = Config::parse(&text, Path::new("demo.toml"))?;
        Ok(Self {
            simulator,
            api_key,
            config,
        })
    }
}
