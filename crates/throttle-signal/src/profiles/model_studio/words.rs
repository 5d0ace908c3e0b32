//! What tells money and long windows from a limit by the minute, where the code is the same.

/// Said of money and of long windows, never of a limit by the minute. "Billing details" is.
pub(super) const MONEY: &[&str] = &[
    "balance",
    "credit",
    "overdue",
    "arrear",
    "recharge",
    "top up",
    "per day",
    "daily",
    "today",
    "per month",
    "usage limit",
    "for the plan",
    "余额",
    "欠费",
    "充值",
    "今日",
    "每日",
    "每天",
    "每月",
    "本月",
];

/// What is said of a plan's window, and never of a limit by the minute, which is "exceeded".
pub(super) const USED_UP: &[&str] = &[
    "quota has been exhausted",
    "quota is exhausted",
    "quota exhausted",
    "quota has been used up",
    "quota used up",
    "quota will reset",
    "quota resets",
    "hour quota",
    "day quota",
    "week quota",
    "weekly quota",
    "month quota",
    "monthly quota",
    "额度已用",
    "额度用尽",
    "额度已耗尽",
    "额度耗尽",
    "额度已达上限",
    "配额已用",
    "配额已耗尽",
    "配额耗尽",
];

pub(super) const FREE: &[&str] = &[
    "free allocated quota",
    "free quota",
    "free tier of the model",
    "free tier has been",
    "免费额度",
];
