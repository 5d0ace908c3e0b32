//! Words in Chinese, by families: what is short, and that it is short.

mod words;

pub(crate) use words::TOGETHER;
use words::{LONG, PAID, RATES};

use super::super::short::{SOON, burst, concurrency, exhausted, overloaded, rate, tokens};
use super::{BUSY, SLOWED};
use crate::{Rule, Scope};

/// Statuses under which words about money are believed.
const BROKE: &[u16] = &[400, 401, 402, 403, 429, 500, 503];

/// Before words about money: these are said of a rate as well.
pub(super) const FIRST: &[Rule] = &[concurrency("in flight", Scope::Unknown)
    .status(SLOWED)
    .text(TOGETHER)];

/// What is paid for or given for long, and that nothing is left of it.
pub(crate) const SPENT: &[Rule] = &[
    exhausted("something paid for", Scope::Account)
        .status(BROKE)
        .text(PAID)
        .and(&[
            "不足",
            "不够",
            "用完",
            "用尽",
            "用光",
            "用盡",
            "耗尽",
            "耗盡",
            "欠费",
            "欠費",
            "透支",
            "为0",
            "为 0",
            "为零",
            "已满",
            "停服",
            "停机",
            "逾期",
            "没有剩余",
            "无剩余",
        ]),
    exhausted("as often as was paid for", Scope::Account)
        .status(BROKE)
        .text(&["次数", "试用"])
        .and(&["用完", "用尽", "用光", "耗尽", "不足"]),
    exhausted("what a relay takes first", Scope::Account)
        .status(BROKE)
        .text(&["剩余额度", "预扣费"]),
    exhausted("plan window", Scope::Account)
        .status(BROKE)
        .text(&[
            "使用上限",
            "使用量已",
            "使用限额",
            "使用额度",
            "套餐额度",
            "套餐用量",
        ]),
    // Also said by those who sell a higher rate.
    exhausted("to be paid", Scope::Account)
        .status(BROKE)
        .text(&["充值", "请购买", "请续费"])
        .without(RATES),
    exhausted("something that ended", Scope::Account)
        .status(&[402, 429])
        .text(&[
            "套餐",
            "订阅",
            "会员",
            "试用",
            "免费",
            "额度",
            "资源包",
            "服务",
        ])
        .and(&["到期", "过期", "失效", "终止", "结束", "续费", "续订"]),
    rate("a day's, soon over", Scope::Unknown)
        .status(SLOWED)
        .text(LONG)
        .wait_under(SOON),
    exhausted("a long window's", Scope::Unknown)
        .status(SLOWED)
        .text(LONG),
    exhausted("a day's, for a client's error", Scope::Unknown)
        .status(&[400])
        .text(&["今日", "今天", "当日", "每日"])
        .and(&["已达上限", "达到上限", "用完", "用尽"]),
    // The hours of a plan's window; so many an hour is a rate.
    exhausted("a window of hours", Scope::Account)
        .status(SLOWED)
        .text(&["小时", "小時"])
        .and(&[
            "上限", "限额", "额度", "用量", "用完", "用尽", "窗口", "重置",
        ])
        .without(&["每小时", "每小時", "/小时"]),
    rate("as many times, soon again", Scope::Unknown)
        .status(SLOWED)
        .text(&["重置", "刷新"])
        .and(&["次数", "请求数"])
        .wait_under(SOON),
    exhausted("until it begins anew", Scope::Account)
        .status(SLOWED)
        .text(&["重置", "刷新", "恢复额度"])
        .and(&["上限", "限额", "额度", "用量", "次数", "用完"]),
    exhausted("a limit of what is paid for", Scope::Account)
        .status(&[402, 403, 429])
        .text(PAID)
        .and(&["上限", "超出", "超过", "超限", "已达", "耗用"])
        .without(RATES),
];

pub(super) const WORDS: &[Rule] = &[
    burst("growth", Scope::Unknown).status(SLOWED).text(&[
        "突增",
        "激增",
        "陡增",
        "增长过快",
        "逐步增加",
        "平滑",
    ]),
    tokens("tokens", Scope::Unknown)
        .status(SLOWED)
        .text(&["token", "词元"])
        .and(&[
            "每分钟",
            "每秒",
            "/分钟",
            "用量",
            "限制",
            "上限",
            "超限",
            "超过",
            "超出",
            "消耗",
        ]),
];

/// That there is no room for anybody.
pub(crate) const CROWDED: &[Rule] = &[overloaded("busy", Scope::Server).status(BUSY).text(&[
    "繁忙",
    "服务忙",
    "系统忙",
    "太忙",
    "负载",
    "過載",
    "过载",
    "超载",
    "访问量",
    "请求量过大",
    "请求量较大",
    "请求量大",
    "升级中",
    "器忙",
    "算力",
    "资源不足",
    "资源紧张",
    "容量",
    "排队",
    "队列",
    "拥挤",
    "拥堵",
    "高峰",
    "火爆",
    "人数过多",
    "人数较多",
    "压力",
    "饱和",
    "熔断",
    "降级",
    "暂不可用",
    "暂时不可用",
    "暂时无法",
    "服务不可用",
    "维护",
    "无可用",
    "没有可用",
    "no available channel",
])];

/// After the words that name what there was too much of.
pub(super) const LAST: &[Rule] = &[rate("requests", Scope::Unknown)
    .status(SLOWED)
    .text(&[
        "请求数",
        "次数",
        "频率",
        "頻率",
        "频次",
        "频繁",
        "頻繁",
        "过快",
        "太快",
        "速率",
        "限速",
        "流控",
        "限流",
        "限频",
        "请求过多",
        "请求太多",
        "流量限制",
    ])
    .unsure()];
