use std::path::Path;

use secrecy::SecretString;

/// Looks up a key: as it stands, `env:NAME`, or `file:PATH` relative to the configuration.
///
/// # Errors
///
/// The variable or file is not there, or empty. The message names no secret.
pub(super) fn look_up(given: &str, config: &Path) -> Result<SecretString, String> {
    let found = if let Some(name) = given.strip_prefix("env:") {
        std::env::var(name).map_err(|_| format!("there is no environment variable `{name}`"))?
    } else if let Some(file) = given.strip_prefix("file:") {
        let path = config.parent().unwrap_or(Path::new("")).join(file);
        std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read the key in `{file}`: {error}"))?
    } else {
        given.to_owned()
    };
    let key = found.trim();
    if key.is_empty() {
        return Err("the key is empty".to_owned());
    }
    if !key.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
        return Err("the key holds characters that cannot stand in a header".to_owned());
    }
    Ok(SecretString::from(key))
}
