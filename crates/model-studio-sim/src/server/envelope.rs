use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

use super::body::Body;
use super::id::Id;
use crate::RefusalKind;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Which of Model Studio's two interfaces a request came in by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    /// The one that speaks as `OpenAI` does.
    Compatible,
    /// `DashScope`'s own.
    Native,
}

/// An error answer, in the words of both dialects.
#[derive(Clone, Debug)]
pub(super) struct Failure(Box<Terms>);

#[derive(Clone, Debug)]
struct Terms {
    compatible: Words,
    native: Words,
    wait: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Words {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    message: Cow<'static, str>,
}

/// Model Studio's words, from its error pages and from what callers report.
impl From<RefusalKind> for Failure {
    fn from(kind: RefusalKind) -> Self {
        let terms = match kind {
            RefusalKind::TokenRate => Terms::throttle(
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details. For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit",
                "Throttling.AllocationQuota",
                "Allocated quota exceeded, please increase your quota limit.",
            ),
            RefusalKind::Burst => Terms::throttle(
                "limit_burst_rate",
                "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time.",
                "Throttling.BurstRate",
                "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time.",
            ),
            RefusalKind::FreeQuota => Terms {
                compatible: Words::new(
                    StatusCode::FORBIDDEN,
                    "AllocationQuota.FreeTierOnly",
                    "Free allocated quota exceeded. If you wish to continue access the model on a paid basis, please disable the \"use free tier only\" mode in the management console.",
                ),
                native: Words::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Throttling.AllocationQuota",
                    "Free allocated quota exceeded.",
                ),
                wait: None,
            },
            RefusalKind::Arrears => Terms::same(
                StatusCode::BAD_REQUEST,
                "Arrearage",
                "Arrearage",
                "Access denied, please make sure your account is in good standing. For details, see: https://help.aliyun.com/zh/model-studio/error-code#overdue-payment",
            ),
            RefusalKind::InvalidKey => Terms {
                compatible: Words {
                    kind: "invalid_request_error",
                    ..Words::new(
                        StatusCode::UNAUTHORIZED,
                        "invalid_api_key",
                        "Incorrect API key provided.",
                    )
                },
                native: Words::new(
                    StatusCode::UNAUTHORIZED,
                    "InvalidApiKey",
                    "Invalid API-key provided.",
                ),
                wait: None,
            },
            RefusalKind::Overloaded => Terms::same(
                StatusCode::SERVICE_UNAVAILABLE,
                "ModelServingError",
                "ModelServingError",
                "Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.",
            ),
            RefusalKind::RequestRate => Terms::throttle(
                "limit_requests",
                "Requests rate limit exceeded, please try again later. For details, see: https://help.aliyun.com/zh/model-studio/error-code#rate-limit",
                "Throttling.RateQuota",
                "Requests rate limit exceeded, please try again later.",
            ),
        };
        Self(Box::new(terms))
    }
}

impl Failure {
    /// The body is not what the path takes.
    pub(super) fn bad_request(error: &dyn Display) -> Self {
        let mut terms = Terms::same(
            StatusCode::BAD_REQUEST,
            "invalid_parameter_error",
            "InvalidParameter",
            format!("Request body is not valid: {error}"),
        );
        terms.compatible.kind = "invalid_request_error";
        Self(Box::new(terms))
    }

    /// The body is longer than anyone reads.
    pub(super) fn too_large() -> Self {
        let mut failure = Self::bad_request(&"it is too large");
        failure.0.compatible.status = StatusCode::PAYLOAD_TOO_LARGE;
        failure.0.native.status = StatusCode::PAYLOAD_TOO_LARGE;
        failure
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        let mut terms = Terms::same(
            StatusCode::NOT_FOUND,
            "model_not_found",
            "ModelNotFound",
            format!("The model `{model}` does not exist or you do not have access to it."),
        );
        terms.compatible.kind = "invalid_request_error";
        Self(Box::new(terms))
    }

    pub(super) fn unknown_path() -> Self {
        Self(Box::new(Terms::same(
            StatusCode::NOT_FOUND,
            "not_found",
            "InvalidURL",
            "url error, please check url!",
        )))
    }

    pub(super) fn internal() -> Self {
        Self(Box::new(Terms::same(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "InternalError",
            "An internal error has occured, please try again later or contact service support.",
        )))
    }

    /// Names how long to wait, rounded up to whole seconds.
    pub(super) fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.wait = wait;
        self
    }

    /// The error object alone, as it stands in a body or in an event.
    pub(super) fn body(&self, dialect: Dialect, id: Id) -> String {
        let id = id.to_string();
        match dialect {
            Dialect::Compatible => {
                let words = &self.0.compatible;
                json!({
                    "error": {
                        "message": words.message,
                        "type": words.kind,
                        "param": null,
                        "code": words.code,
                    },
                    "request_id": id,
                })
            }
            Dialect::Native => {
                let words = &self.0.native;
                json!({ "code": words.code, "message": words.message, "request_id": id })
            }
        }
        .to_string()
    }

    /// The error as an event of a stream that is under way.
    pub(super) fn event(&self, dialect: Dialect, id: Id) -> String {
        let body = self.body(dialect, id);
        match dialect {
            Dialect::Compatible => format!("data: {body}\n\n"),
            Dialect::Native => {
                let status = self.0.native.status.as_u16();
                format!("id:1\nevent:error\n:HTTP_STATUS/{status}\ndata:{body}\n\n")
            }
        }
    }

    pub(super) fn response(&self, dialect: Dialect, id: Id) -> Response<Body> {
        let words = match dialect {
            Dialect::Compatible => &self.0.compatible,
            Dialect::Native => &self.0.native,
        };
        let mut response = json(self.body(dialect, id), id);
        *response.status_mut() = words.status;
        if let Some(wait) = self.0.wait {
            let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(RETRY_AFTER, whole.max(1).into());
        }
        response
    }
}

impl Terms {
    fn throttle(
        compatible: &'static str,
        compatible_message: &'static str,
        native: &'static str,
        native_message: &'static str,
    ) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            compatible: Words::new(status, compatible, compatible_message),
            native: Words::new(status, native, native_message),
            wait: None,
        }
    }

    fn same(
        status: StatusCode,
        compatible: &'static str,
        native: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let message = message.into();
        Self {
            compatible: Words::new(status, compatible, message.clone()),
            native: Words::new(status, native, message),
            wait: None,
        }
    }
}

impl Words {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind: code,
            code,
            message: message.into(),
        }
    }
}

/// A `200` with a JSON body.
pub(super) fn json(body: impl Into<bytes::Bytes>, id: Id) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    id.mark(headers);
    response
}
