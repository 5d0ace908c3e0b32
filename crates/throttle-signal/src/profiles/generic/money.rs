//! Words about money, plans and days, which no short wait cures.

use super::super::short::{SOON, exhausted, rate, tokens};
use super::SLOWED;
use crate::{Rule, Scope};

/// Statuses under which words about money are believed.
const BROKE: &[u16] = &[400, 401, 402, 403, 412, 429, 500, 503];

pub(super) const WORDS: &[Rule] = &[
    exhausted("money", Scope::Account).status(BROKE).text(&[
        "sufficient balance",
        "sufficient credit",
        "sufficient fund",
        "enough balance",
        "enough credit",
        "enough fund",
        "credits exceeded",
        "balance insufficient",
        "insufficient account balance",
        "insufficient account funds",
        "balance is insufficient",
        "balance is too low",
        "balance exhausted",
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
        "残高",
        "잔액",
        "credits are depleted",
        "credits remaining",
        "credit remaining",
        "no remaining credit",
        "balance has been",
        "balance is exhausted",
        "balance is negative",
        "negative balance",
        "balance depleted",
        "funds depleted",
        "remain quota",
        "quota is not enough",
        "quota not enough",
        "quota insufficient",
        "quota is insufficient",
        "budget has been reached",
        "payment failed",
        "payment is overdue",
        "past due",
        "non-payment",
        "nonpayment",
        "unpaid",
        "account is frozen",
        "account has been frozen",
    ]),
    exhausted("no more of it", Scope::Account)
        .status(BROKE)
        .text(&["run out of", "ran out of"])
        .without(&["memory", "space", "disk"]),
    // Also said by those who sell a higher rate.
    exhausted("to be paid", Scope::Account)
        .status(BROKE)
        .text(&["top up", "top-up", "recharge", "purchase credits"])
        .without(RATES),
    rate("a quota, soon over", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "quota exhausted",
            "quota has been exhausted",
            "quota is exhausted",
            "quota depleted",
            "quota is depleted",
            "quota is used up",
            "quota used up",
            "quota has been used",
            "exhausted your quota",
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
            "exceeded quota limit",
            "quota exhausted",
            "quota has been exhausted",
            "quota is exhausted",
            "quota depleted",
            "quota is depleted",
            "quota is used up",
            "quota used up",
            "quota has been used",
            "exhausted your quota",
            "5-hour",
            "5 hour",
            "call volume quota",
            "trial quota",
            "trial has ended",
            "trial expired",
            "lifetime limit",
            "trial limit",
            "trial credits",
            "trial period",
            "trial is over",
        ]),
    // Under 400 they would be about a parameter.
    exhausted("a plan's window", Scope::Account)
        .status(SLOWED)
        .text(&[
            "free allowance",
            "usage allowance",
            "used all your",
            "used all of your",
            "used up all",
            "used up your",
            "billing cycle",
            "billing period",
            "billing limit",
            "subscription limit",
            "subscription quota",
            "plan quota",
            "plan's quota",
            "plan allowance",
            "plan's allowance",
            "plan's limit",
            "hour window",
            "hour usage",
            "hour quota",
            "day quota",
            "day window",
            "week quota",
            "month quota",
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
    // A list of all windows names the minute first.
    exhausted("a day's", Scope::Unknown)
        .status(SLOWED)
        .text(DAY)
        .without(&["minute limit"]),
    exhausted("a month's", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "per month",
            "per-month",
            "a month",
            "/ month",
            "/month",
            "per week",
            "per-week",
            "a week",
            "/ week",
            "/week",
            "this month",
            "current month",
            "month limit",
            "for the month",
            "for the week",
            "this week",
            "per year",
        ]),
    // "monthly" and "limit" with the limited thing's name between them.
    exhausted("a plan's month or week", Scope::Account)
        .status(SLOWED)
        .text(&["monthly", "weekly"])
        .and(&[
            "limit", "quota", "allow", "allot", "cap", "reached", "exceed", "used",
        ]),
];

const DAY: &[&str] = &[
    "per day",
    "day limit",
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
    "24h",
    "24-hour",
    "24 hour",
    "each day",
    "every day",
    "tomorrow",
    "midnight",
];

const RATES: &[&str] = &[
    "rate limit",
    "rate-limit",
    "too many requests",
    "per minute",
    "per second",
    "rpm",
    "tpm",
    "qps",
];
