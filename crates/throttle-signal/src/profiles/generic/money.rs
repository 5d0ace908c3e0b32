//! Words about money, plans and days, which no short wait cures.

use super::super::short::{SOON, exhausted, rate, tokens};
use super::SLOWED;
use crate::{Rule, Scope};

/// Statuses under which words about money are believed.
const BROKE: &[u16] = &[400, 401, 402, 403, 412, 429, 500, 503];

pub(super) const WORDS: &[Rule] = &[
    exhausted("money", Scope::Account).status(BROKE).text(&[
        "insufficient balance",
        "insufficient account balance",
        "insufficient credit",
        "insufficient funds",
        "insufficient account funds",
        "balance is insufficient",
        "balance insufficient",
        "balance is too low",
        "balance exhausted",
        "not enough balance",
        "not enough credit",
        "no credits",
        "out of credits",
        "credits exhausted",
        "credits depleted",
        "credits have been",
        "used all available credits",
        "more credits",
        "included credits",
        "credit balance",
        "credit limit",
        "spending limit",
        "spend limit",
        "spending cap",
        "budget has been exceeded",
        "exceeded budget",
        "budget exceeded",
        "hard limit",
        "payment required",
        "account is not active",
        "account has been suspended",
        "account is suspended",
        "account restricted",
        "suspended due to",
        "overdue",
        "in arrears",
        "余额不足",
        "余额已",
        "欠费",
        "已用尽",
        "已用完",
        "已耗尽",
        "额度不足",
        "credits are depleted",
        "run out of",
        "资源包",
    ]),
    rate("a quota, soon over", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "quota exhausted",
            "quota has been exhausted",
            "quota is exhausted",
        ])
        .wait_under(SOON),
    exhausted("plan window", Scope::Account)
        .status(BROKE)
        .text(&[
            "usage limit",
            "usage quota",
            "usage cap",
            "usage exceeds",
            "hit your limit",
            "plan limit",
            "free quota",
            "free tier quota",
            "free allocation",
            "free allocated",
            "monthly quota",
            "monthly limit",
            "monthly included",
            "monthly usage",
            "monthly request",
            "monthly token",
            "monthly spend",
            "weekly limit",
            "weekly usage",
            "weekly quota",
            "weekly rate",
            "daily free",
            "free usage",
            "fair usage",
            "fair use",
            "使用上限",
            "使用量已超",
            "exceeded quota limit",
            "quota exhausted",
            "quota has been exhausted",
            "quota is exhausted",
            "5-hour",
            "5 hour",
            "call volume quota",
            "trial quota",
            "trial has ended",
            "trial expired",
            "lifetime limit",
        ]),
    tokens("tokens a day, refilling", Scope::Unknown)
        .status(SLOWED)
        .text(DAY)
        .and(&["token"])
        .wait_under(SOON),
    rate("requests a day, refilling", Scope::Unknown)
        .status(SLOWED)
        .text(DAY)
        .wait_under(SOON),
    exhausted("a day's", Scope::Unknown)
        .status(SLOWED)
        .text(DAY),
    exhausted("a month's", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "per month",
            "/ month",
            "/month",
            "per week",
            "/ week",
            "this month",
            "本月",
            "每月",
            "本周",
            "每周",
        ]),
    // "monthly" and "limit" with the limited thing's name between them.
    exhausted("a plan's month or week", Scope::Account)
        .status(SLOWED)
        .text(&["monthly", "weekly"])
        .and(&["limit", "quota", "allowance"]),
];

const DAY: &[&str] = &[
    "per day",
    "/ day",
    "/day",
    "per-day",
    "a day",
    "per 86400s",
    "daily",
    "requests today",
    "for today",
    "today's",
    "today’s",
    "(rpd)",
    "(tpd)",
    "tpd rate",
    "今日",
    "当日",
    "每日",
];
