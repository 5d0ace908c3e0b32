use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A line in Batch format: `custom_id`, `method`, `url`, `body`.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) custom_id: String,
    pub(crate) url: String,
    pub(crate) model: String,
    /// As it stands in the line, or else as it had to be written anew.
    pub(crate) body: Result<&'a [u8], String>,
}

/// Why a line holds no request.
#[derive(Debug)]
pub(crate) struct Bad {
    /// Its name, if it has one.
    pub(crate) custom_id: Option<String>,
    /// What is wrong and what is expected.
    pub(crate) reason: String,
}

/// Everything optional, so that each missing part is named rather than the first byte it was missed at.
#[derive(Deserialize)]
struct Parts<'a> {
    custom_id: Option<Value>,
    method: Option<Value>,
    url: Option<Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body {
    model: Option<Value>,
    stream: Option<Value>,
}

impl<'a> Line<'a> {
    /// Reads a line. A body without a model gets `model`, if there is one.
    pub(crate) fn read(line: &'a [u8], model: Option<&str>) -> Result<Self, Bad> {
        let parts: Parts<'a> = serde_json::from_slice(line).map_err(|error| Bad {
            custom_id: None,
            reason: format!("is not a JSON object in Batch format: {error}"),
        })?;
        let custom_id = match parts.custom_id {
            Some(Value::String(id)) if !id.is_empty() => id,
            Some(_) => {
                return Err(Bad {
                    custom_id: None,
                    reason: "custom_id must be a string of at least one character".to_owned(),
                });
            }
            None => {
                return Err(Bad {
                    custom_id: None,
                    reason: "has no custom_id".to_owned(),
                });
            }
        };
        let bad = |reason: &str| Bad {
            custom_id: Some(custom_id.clone()),
            reason: reason.to_owned(),
        };

        if parts.method.is_none_or(|method| method != "POST") {
            return Err(bad("method must be \"POST\""));
        }
        let url = match parts.url {
            Some(Value::String(url)) if is_path(&url) => url,
            _ => return Err(bad("url must be a path such as \"/v1/chat/completions\"")),
        };
        let Some(body) = parts
            .body
            .map(RawValue::get)
            .filter(|body| body.starts_with('{'))
        else {
            return Err(bad("body must be a JSON object"));
        };
        let Ok(top) = serde_json::from_str::<Body>(body) else {
            return Err(bad("body names its model, or whether to stream, twice"));
        };
        if top
            .stream
            .is_some_and(|stream| stream != Value::Bool(false))
        {
            return Err(bad(
                "body asks for a stream, which a batch does not keep; remove \"stream\"",
            ));
        }
        match (top.model, model) {
            (Some(Value::String(model)), _) => Ok(Self {
                custom_id,
                url,
                model,
                body: Ok(body.as_bytes()),
            }),
            (None, Some(model)) => {
                let rest = body[1..].trim_start();
                let comma = if rest.starts_with('}') { "" } else { "," };
                let body = format!("{{\"model\":{}{comma}{rest}", Value::from(model));
                Ok(Self {
                    custom_id,
                    url,
                    model: model.to_owned(),
                    body: Err(body),
                })
            }
            (Some(_), _) => Err(bad("the body's model must be a string")),
            (None, None) => Err(bad("the body names no model; name it there or by --model")),
        }
    }
}

fn is_path(url: &str) -> bool {
    url.starts_with('/') && !url.starts_with("//") && url.parse::<http::uri::PathAndQuery>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(line: &'a str, model: Option<&str>) -> Result<Line<'a>, Bad> {
        Line::read(line.as_bytes(), model)
    }

    #[test]
    fn each_missing_part_is_named() {
        let good = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#;
        assert!(read(good, None).is_ok());
        for (from, to, named) in [
            ("}}", "}", "Batch format"),
            (r#""custom_id":"a","#, "", "no custom_id"),
            (r#":"a""#, ":7", "custom_id must"),
            (r#":"a""#, r#":"""#, "custom_id must"),
            ("POST", "GET", "method"),
            (r#""method":"POST","#, "", "method"),
            ("/v1/chat", "http://h/chat", "url"),
            ("/v1/chat", "//h/chat", "url"),
            (r#"{"model":"m"}"#, "[]", "JSON object"),
            (r#","body":{"model":"m"}"#, "", "JSON object"),
            (r#""m"}"#, "7}", "must be a string"),
            (r#"{"model":"m"}"#, "{}", "--model"),
            (r#""m"}"#, r#""m","stream":true}"#, "stream"),
        ] {
            let line = good.replacen(from, to, 1);
            let reason = read(&line, None).unwrap_err().reason;
            assert!(reason.contains(named), "{line}: {reason}");
        }
    }

    #[test]
    fn a_body_without_a_model_gets_one() {
        for (body, expected) in [
            ("{}", r#"{"model":"m"}"#),
            (r#"{ "a":1}"#, r#"{"model":"m","a":1}"#),
            (r#"{"model":"own"}"#, r#"{"model":"own"}"#),
        ] {
            let line =
                format!(r#"{{"custom_id":"a","method":"POST","url":"/v1/x","body":{body}}}"#);
            let line = read(&line, Some("m")).unwrap();
            let found = line.body.map_or_else(
                |text| text,
                |found| String::from_utf8(found.to_vec()).unwrap(),
            );
            assert_eq!(found, expected);
        }
    }
}
