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
    ]),
    credential("key", Scope::Key)
        .status(DENIED)
        .text(&[
            "access token",
            "api key",
            "api-key",
            "api_key",
            "apikey",
            "bearer",
            "credentials",
        ])
        .and(&[
            "invalid",
            "expired",
            "incorrect",
            "missing",
            "not valid",
            "malformed",
            "revoked",
            "wrong",
            "unknown",
            "not found",
            "not recognized",
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
        ]),
    credential("permission", Scope::Unknown)
        .status(&[403])
        .text(&[
            "permission",
            "privilege",
            "not accessible by",
            "not authorized",
            "be verified",
            "verify your",
            "is not enabled for",
            "key allowlist",
            "not entitled",
            "not have access",
            "n't have access",
            "requires a paid",
            "requires a subscription",
            "not subscribed",
        ]),
    // Of where or what for the call is made: another key would hear the same, so none is to blame.
    credential("place", Scope::Server).status(&[403]).text(&[
        "access denied",
        "access is denied",
        "terms of service",
        "in your region",
        "in your country",
    ]),
    // A page that says so is a gateway's, about anything.
    credential("forbidden", Scope::Server)
        .status(&[403])
        .text(&["forbidden", "not allowed"])
        .without(&["<html", "<!doctype"]),
];

pub(super) const CHINESE: &[Rule] = &[
    credential("key", Scope::Key)
        .status(DENIED)
        .text(&[
            "令牌",
            "密钥",
            "鉴权",
            "签名",
            "身份验证",
            "身份认证",
            "认证失败",
            "未认证",
            "未登录",
        ])
        .and(&[
            "无效",
            "错误",
            "失败",
            "过期",
            "不可用",
            "不存在",
            "未提供",
            "缺少",
            "未登录",
            "未认证",
            "不正确",
            "失效",
        ]),
    credential("permission", Scope::Unknown)
        .status(&[403])
        .text(&[
            "无权",
            "权限",
            "未开放",
            "未开通",
            "未激活",
            "未授权",
            "未绑定",
            "未认证",
            "实名",
            "real-name",
            "白名单",
            "封禁",
            "封号",
            "禁用",
            "停用",
            "冻结",
            "锁定",
            "拒绝访问",
            "禁止访问",
            "不允许",
            "不支持该地区",
            "可用模型范围",
        ]),
];
