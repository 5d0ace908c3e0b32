//! Tencent Hunyuan. Source: API 3.0 "Error codes", which come inside a 200.

use super::short::{concurrency, credential, exhausted, overloaded, rate};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "hunyuan",
    hosts: &[
        "cloud.tencent.com",
        "tencentcloudapi.com",
        "lkeap.cloud.tencent.com",
    ],
    rules: &[RULES],
    in_success: true,
};

const RULES: &[Rule] = &[
    concurrency("jobs", Scope::Account)
        .status(&[200, 429])
        .code(&[
            "RequestLimitExceeded.JobNum*",
            "*Concurren*",
            "LimitExceeded.*Job*",
        ]),
    rate("address", Scope::Unknown).code(&["RequestLimitExceeded.IP*"]),
    rate("requests", Scope::Account)
        .code(&["LimitExceeded*"])
        .text(&["频率", "限频", "qps", "frequency", "rate limit"]),
    exhausted("quota", Scope::Account).code(&["LimitExceeded*"]),
    rate("requests", Scope::Account).code(&["RequestLimitExceeded*"]),
    exhausted("pack or balance", Scope::Account).code(&[
        "*PackExhausted",
        "*ResourceExhaust*",
        "ResourceUnavailable.LowBalance",
        "ResourceUnavailable.InArrears",
        "ResourceInsufficient.*",
        "FailedOperation.ServiceStop*",
        "FailedOperation.*Arrears",
    ]),
    overloaded("engine", Scope::Server).code(&[
        "ResourceInsufficient",
        "FailedOperation.EngineServerLimitExceeded",
        "InternalError.*Overload*",
    ]),
    // The form that is OpenAI's says it under a 400, where numbers are all the code there is.
    rate("requests, in words", Scope::Account).text(&["限频", "频率限制", "频率上限"]),
    credential("key", Scope::Key).code(&["AuthFailure*"]),
    credential("not open", Scope::Account).code(&[
        "UnauthorizedOperation*",
        "FailedOperation.UserUnAuth*",
        "FailedOperation.ServiceNotActivated",
        "ResourceUnavailable.NotExist",
        "ResourceUnavailable.IsOpening",
    ]),
];
