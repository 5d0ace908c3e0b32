use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::unrolled::unrolled;
use super::wire;

/// The scripts as the server gets them.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    made: Mutex<HashMap<wire::Script, Arc<Text>>>,
}

/// A script, and the name by which the server knows it once it has seen it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) body: String,
    pub(super) sha: String,
}

/// Part of every key. It changes whenever what the scripts keep does, or what it means, so that during an upgrade
/// none misreads what another wrote.
pub(super) const VERSION: &str = "v3";

impl Scripts {
    pub(super) fn get(&self, script: wire::Script) -> Arc<Text> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = made.entry(script);
        Arc::clone(entry.or_insert_with(|| {
            let body = body(script);
            let sha = redis::Script::new(&body).get_hash().to_owned();
            Arc::new(Text { body, sha })
        }))
    }
}

/// The text of a script.
pub(super) fn body(script: wire::Script) -> String {
    match script {
        wire::Script::Sync => include_str!("script/sync.lua").to_owned(),
        wire::Script::Reserve(limits) => unrolled(include_str!("script/reserve.lua"), limits),
    }
}
