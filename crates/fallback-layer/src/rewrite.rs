use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, HOST, HeaderName, PROXY_AUTHORIZATION,
};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use throttle_signal::RequestFacts;

use crate::Candidate;

/// Digests of a body that has changed.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// What tells one host who the caller is, and is no other's business; and so is whatever is marked
/// sensitive.
const SECRETS: [HeaderName; 6] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The same in a query.
const QUERY_SECRETS: [&str; 5] = ["key", "api_key", "api-key", "apikey", "access_token"];

/// The request cannot be made one for this candidate.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct NotForThis;

/// Makes a request one for `candidate`: changes its head, and returns its new body if that changes.
///
/// `body` is the whole body, where it is at hand. An error leaves the head as it was.
pub(crate) fn rewrite(
    candidate: &Candidate,
    base_path: &str,
    parts: &mut Parts,
    body: Option<&Bytes>,
) -> Result<Option<Bytes>, NotForThis> {
    let named = RequestFacts::get(&parts.extensions).and_then(RequestFacts::model);
    let is_there = candidate.model.is_some() && named == candidate.model.as_ref();
    let elsewhere = candidate.model.as_deref().filter(|_| !is_there);
    let in_path = elsewhere.and_then(|model| with_model(parts.uri.path(), model));
    let mut changed = None;
    let nothing = candidate.edits.is_empty() || (is_there && candidate.edits.is_model_only());
    if !nothing {
        let encoded = parts
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| encoding != "identity");
        let spliced = body
            .filter(|_| !encoded)
            .and_then(|body| candidate.edits.splice(body));
        match spliced {
            Some(spliced) if spliced.named || in_path.is_some() || candidate.model.is_none() => {
                changed = Some(Bytes::from(spliced.body)).filter(|spliced| Some(spliced) != body);
            }
            None if in_path.is_some() && candidate.edits.is_model_only() => {}
            _ => return Err(NotForThis),
        }
    }
    let uri = destination(candidate, base_path, &parts.uri, in_path.as_deref())?;

    if let Some(uri) = uri {
        if uri.authority() != parts.uri.authority() {
            parts.headers.remove(HOST); // the client sets it from the URI
            keep_secrets(&mut parts.headers);
        }
        parts.uri = uri;
    }
    if let Some(changed) = &changed {
        if parts.headers.contains_key(CONTENT_LENGTH) {
            parts.headers.insert(CONTENT_LENGTH, changed.len().into());
        }
        for digest in DIGESTS {
            parts.headers.remove(digest);
        }
    }
    for (name, value) in &candidate.headers {
        parts.headers.insert(name.clone(), value.clone());
    }
    if let Some(facts) = RequestFacts::get_mut(&mut parts.extensions) {
        if candidate.model.is_some() && !is_there {
            facts.set_model(candidate.model.clone());
        }
        if let Some(changed) = &changed {
            let mut demand = *facts.demand();
            demand.input_bytes = changed.len() as u64;
            facts.set_demand(demand);
        }
    }
    Ok(changed)
}

/// Drops what is meant for the host before.
fn keep_secrets(headers: &mut HeaderMap) {
    for secret in SECRETS {
        headers.remove(secret);
    }
    let marked = headers.iter().filter(|(_, value)| value.is_sensitive());
    let marked: Vec<_> = marked.map(|(name, _)| name.clone()).collect();
    for name in marked {
        headers.remove(name);
    }
}

/// Whether a pair of a query is meant for the host before.
fn is_secret(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    QUERY_SECRETS
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

/// A path with the name after `models/` replaced, if it has one: `/v1beta/models/NAME:generate`.
fn with_model(path: &str, model: &str) -> Option<String> {
    let start = path.find("/models/")? + "/models/".len();
    let length = path[start..].find([':', '/']).unwrap_or(path.len() - start);
    (length > 0).then(|| [&path[..start], model, &path[start + length..]].concat())
}

/// Where the request goes, if it goes elsewhere than before.
fn destination(
    candidate: &Candidate,
    base_path: &str,
    uri: &Uri,
    in_path: Option<&str>,
) -> Result<Option<Uri>, NotForThis> {
    if candidate.base_url.is_none() && in_path.is_none() && candidate.query.is_empty() {
        return Ok(None);
    }
    let mut path = in_path.unwrap_or(uri.path()).to_owned();
    let mut parts = uri.clone().into_parts();
    if let Some(base) = &candidate.base_url {
        parts.scheme = base.scheme().cloned();
        parts.authority = base.authority().cloned();
        let rest = path
            .strip_prefix(base_path.trim_end_matches('/'))
            .unwrap_or(&path);
        path = format!("{}{}", base.path().trim_end_matches('/'), rest);
    }
    let mut separator = '?';
    let elsewhere = parts.authority.as_ref() != uri.authority();
    let own = uri.query().into_iter().flat_map(|query| query.split('&'));
    let own = own
        .filter(|pair| !(elsewhere && is_secret(pair)))
        .map(str::to_owned);
    let added = candidate
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    for pair in own.chain(added) {
        path.push(separator);
        path.push_str(&pair);
        separator = '&';
    }
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| NotForThis)?);
    Uri::from_parts(parts).map(Some).map_err(|_| NotForThis)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};
    use http_body_util::Full;
    use tokio::time::Instant;

    use super::*;

    const BODY: &str = r#"{"model":"a","messages":[]}"#;

    fn parts(uri: &str, body: &'static str) -> (Parts, Bytes) {
        let mut request = Request::post(uri)
            .header("content-length", body.len())
            .header("content-digest", "sha-256=:x:")
            .header("host", "one.example")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        RequestFacts::ensure(&mut request, Instant::now());
        (request.into_parts().0, Bytes::from(body))
    }

    fn facts(parts: &Parts) -> &RequestFacts {
        RequestFacts::get(&parts.extensions).unwrap()
    }

    #[test]
    fn a_new_model_sets_length_facts_and_drops_digests() {
        let (mut parts, body) = parts("https://one.example/v1", BODY);
        let changed = rewrite(&Candidate::model("longer"), "", &mut parts, Some(&body))
            .unwrap()
            .unwrap();
        assert_eq!(changed, r#"{"model":"longer","messages":[]}"#);
        assert_eq!(parts.headers["content-length"], changed.len().to_string());
        assert!(!parts.headers.contains_key("content-digest"));
        assert_eq!(facts(&parts).model().unwrap().as_ref(), "longer");
        assert_eq!(facts(&parts).demand().input_bytes, changed.len() as u64);
    }

    #[test]
    fn the_same_model_changes_nothing() {
        let (mut parts, body) = parts("https://one.example/v1", BODY);
        assert_eq!(
            rewrite(&Candidate::model("a"), "", &mut parts, Some(&body)),
            Ok(None)
        );
        assert!(parts.headers.contains_key("content-digest"));
    }

    #[test]
    fn an_encoded_or_streamed_body_is_left_alone() {
        let (mut parts, body) = parts("https://one.example/v1", BODY);
        assert_eq!(
            rewrite(&Candidate::model("b"), "", &mut parts, None),
            Err(NotForThis)
        );
        parts
            .headers
            .insert("content-encoding", HeaderValue::from_static("gzip"));
        assert_eq!(
            rewrite(&Candidate::model("b"), "", &mut parts, Some(&body)),
            Err(NotForThis)
        );
        assert_eq!(facts(&parts).model().unwrap().as_ref(), "a");
        assert_eq!(parts.headers["content-length"], BODY.len().to_string());
    }

    #[test]
    fn a_model_in_the_path_is_replaced() {
        let (mut parts, body) = parts(
            "https://g.example/v1beta/models/gemini-1:generate?alt=sse",
            "{}",
        );
        assert_eq!(
            rewrite(&Candidate::model("gemini-2"), "", &mut parts, Some(&body)),
            Ok(None)
        );
        assert_eq!(
            parts.uri,
            "https://g.example/v1beta/models/gemini-2:generate?alt=sse"
        );
        assert_eq!(facts(&parts).model().unwrap().as_ref(), "gemini-2");
    }

    #[test]
    fn goes_to_another_base_url() {
        let (mut parts, body) = parts(
            "https://one.example/compatible-mode/v1/chat/completions?x=1",
            BODY,
        );
        parts
            .headers
            .insert("authorization", HeaderValue::from_static("Bearer sk-one"));
        let other = Candidate::named("other")
            .base_url(Uri::from_static("http://two.example:8080/v1/"))
            .header(
                HeaderName::from_static("x-tier"),
                HeaderValue::from_static("2"),
            )
            .query("api-version", "7");
        assert_eq!(
            rewrite(&other, "/compatible-mode/v1", &mut parts, Some(&body)),
            Ok(None)
        );
        assert_eq!(
            parts.uri,
            "http://two.example:8080/v1/chat/completions?x=1&api-version=7"
        );
        assert_eq!(parts.headers["x-tier"], "2");
        assert!(!parts.headers.contains_key("host"));
        assert!(!parts.headers.contains_key("authorization")); // the first host's
    }

    #[test]
    fn drops_parameters_the_candidate_does_not_know() {
        let (mut parts, body) = parts(
            "https://one.example/v1",
            r#"{"model":"a","enable_search":true}"#,
        );
        let candidate = Candidate::model("a")
            .without("enable_search")
            .default_parameter("n", "2")
            .unwrap();
        let changed = rewrite(&candidate, "", &mut parts, Some(&body))
            .unwrap()
            .unwrap();
        assert_eq!(changed, r#"{"model":"a","n":2}"#);
        assert!(Candidate::model("a").default_parameter("n", "{").is_err());
    }
}
