use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What came of one request, in the format in which Batch gives its results.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    id: String,
    custom_id: String,
    response: Option<Answer>,
    error: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Answer {
    status_code: u16,
    request_id: String,
    body: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Failure {
    code: String,
    message: String,
}

impl Record {
    /// A request that was answered, well or not: what is no success also gets an `error`.
    pub(crate) fn answered(
        line: usize,
        custom_id: String,
        status: StatusCode,
        request_id: Option<String>,
        body: &Bytes,
    ) -> Self {
        let error = (!status.is_success()).then(|| Failure::read(status, body));
        let request_id = request_id
            .or_else(|| text(body, &["/request_id", "/id"]))
            .unwrap_or_default();
        let response = Some(Answer {
            status_code: status.as_u16(),
            request_id,
            body: one_line(body),
        });
        Self {
            id: id(line),
            custom_id,
            response,
            error,
        }
    }

    /// A request that has no answer.
    pub(crate) fn failed(line: usize, custom_id: String, code: &str, message: String) -> Self {
        let error = Some(Failure {
            code: code.to_owned(),
            message,
        });
        Self {
            id: id(line),
            custom_id,
            response: None,
            error,
        }
    }

    /// Whether the model answered.
    pub(crate) fn is_completed(&self) -> bool {
        self.error.is_none()
    }

    /// Which it was and why it has no answer, if it has none.
    pub(crate) fn why_failed(&self) -> Option<String> {
        let Failure { code, message } = self.error.as_ref()?;
        Some(format!("{}: {code}: {message}", self.custom_id))
    }

    /// Its line in the output, with its end.
    pub(crate) fn line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// What records of this program begin with.
pub(crate) const BEGIN: &str = r#"{"id":"batch_req_"#;

fn id(line: usize) -> String {
    format!("batch_req_{line}")
}

impl Failure {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let code = text(body, &["/error/code", "/code", "/error/type"]);
        let message = text(body, &["/error/message", "/message"]);
        let reason = status.canonical_reason().unwrap_or("no success");
        Self {
            code: code.unwrap_or_else(|| format!("status_{}", status.as_u16())),
            message: message
                .unwrap_or_else(|| format!("the endpoint answered {} {reason}", status.as_u16())),
        }
    }
}

/// The first text found at one of `places`.
pub(crate) fn text(body: &[u8], places: &[&str]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    places
        .iter()
        .find_map(|place| body.pointer(place)?.as_str().map(str::to_owned))
}

/// `body` as JSON on one line: itself if it is JSON, else its text as a string.
fn one_line(body: &[u8]) -> Box<RawValue> {
    // In valid JSON a line break can only stand between tokens, where a blank says the same.
    let line: Vec<u8> = body
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect();
    let parsed = String::from_utf8(line)
        .ok()
        .and_then(|line| RawValue::from_string(line).ok());
    parsed.unwrap_or_else(|| {
        let text = Value::from(String::from_utf8_lossy(body)).to_string();
        RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &'static str) -> String {
        let body = Bytes::from_static(body.as_bytes());
        let record = Record::answered(
            7,
            "a".to_owned(),
            StatusCode::from_u16(status).unwrap(),
            None,
            &body,
        );
        assert_eq!(record.is_completed(), status == 200);
        String::from_utf8(record.line().unwrap()).unwrap()
    }

    #[test]
    fn an_answer_is_kept_as_it_came_on_one_line() {
        let line = answered(200, "{\n \"id\": \"chat-1\",\r\n \"n\": 1.50}");
        let expected = r#"{"id":"batch_req_7","custom_id":"a","response":{"status_code":200,"request_id":"chat-1","body":{  "id": "chat-1",   "n": 1.50}},"error":null}"#;
        assert_eq!(line, format!("{expected}\n"));
        assert!(line.starts_with(BEGIN));
    }

    #[test]
    fn an_answer_that_is_no_json_becomes_a_string() {
        let line: Value = serde_json::from_str(&answered(502, "<html>\nbad \"gateway\"")).unwrap();
        assert_eq!(line["response"]["body"], "<html>\nbad \"gateway\"");
        assert_eq!(line["error"]["code"], "status_502");
        assert!(
            line["error"]["message"]
                .as_str()
                .unwrap()
                .contains("Bad Gateway")
        );
    }

    #[test]
    fn a_failure_carries_the_endpoints_words() {
        for body in [
            r#"{"error":{"code":"bad_model","message":"no such model"}}"#,
            r#"{"code":"bad_model","message":"no such model"}"#,
        ] {
            let line: Value = serde_json::from_str(&answered(404, body)).unwrap();
            assert_eq!(line["error"]["code"], "bad_model");
            assert_eq!(line["error"]["message"], "no such model");
        }
    }
}
