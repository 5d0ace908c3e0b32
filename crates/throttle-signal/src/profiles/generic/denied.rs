//! Words about keys and permissions.

use super::super::short::credential;
use crate::{Rule, Scope};

/// Statuses under which words about keys are believed.
const DENIED: &[u16] = &[400, 401, 403];

pub(super) const WORDS: &[Rule] = &[
    credential("a model", Scope::Model)
        .status(&[403])
        .text(&[
            "access to model",
            "access to the model",
            "access to this model",
            "allowed to use",
            "allowed to access",
            "authorized to access",
            "eligible for using",
        ])
        .and(&["model"]),
    credential("key", Scope::Key).status(DENIED).text(&[
        "api key not valid",
        "invalid api key",
        "invalid api-key",
        "incorrect api key",
        "invalid x-api-key",
        "invalid token",
        "invalid authentication",
        "authentication failed",
        "unauthorized",
        "api key expired",
        "api key has expired",
        "api key is missing",
        "no api key",
        "required scope",
        "insufficient scope",
        "无效的令牌",
    ]),
    credential("shut off", Scope::Unknown)
        .status(&[403])
        .text(&[
            "disabled",
            "deactivated",
            "revoked",
            "suspended",
            "banned",
            "frozen",
            "expired",
            "no valid",
            "not valid",
            "not active",
            "停用",
            "禁用",
            "封禁",
            "冻结",
            "过期",
            "失效",
        ])
        .and(&[
            "key",
            "token",
            "account",
            "user",
            "subscription",
            "license",
            "organization",
            "workspace",
            "令牌",
            "密钥",
            "账号",
            "账户",
            "用户",
            "分组",
            "订阅",
        ]),
    credential("permission", Scope::Unknown)
        .status(&[403])
        .text(&[
            "not have permission",
            "n't have permission",
            "lacks permission",
            "lack permission",
            "insufficient permission",
            "permission denied",
            "is not enabled for",
            "key allowlist",
            "not entitled",
            "not have access",
            "n't have access",
            "requires a paid",
            "requires a subscription",
            "无权",
            "没有权限",
            "权限不足",
            "未开放",
            "可用模型范围",
        ]),
    // Of where or what for the call is made: another key would hear the same, so none is to blame.
    credential("place", Scope::Server).status(&[403]).text(&[
        "access denied",
        "access is denied",
        "terms of service",
        "in your region",
        "in your country",
    ]),
];
