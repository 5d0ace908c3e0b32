//! Words in Chinese, by families: what is short, and that it is short.

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
    // The hours of a plan's window; so many an hour is a rate.
    exhausted("a window of hours", Scope::Account)
        .status(SLOWED)
        .text(&["小时", "小時"])
        .and(&[
            "上限", "限额", "额度", "用量", "用完", "用尽", "窗口", "重置",
        ])
        .without(&["每小时", "每小時", "/小时"]),
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

/// What is said of too much at once.
pub(crate) const TOGETHER: &[&str] = &[
    "并发",
    "並發",
    "并行",
    "同时进行",
    "同时请求",
    "同时处理",
    "同时运行",
    "同时执行",
    "同一时间",
    "同时发起",
    "连接数",
    "会话数",
    "任务数",
    "正在处理",
    "未完成的",
    "正在执行",
    "正在运行",
    "正在生成",
];

const PAID: &[&str] = &[
    "余额",
    "餘額",
    "额度",
    "額度",
    "配额",
    "积分",
    "点数",
    "金额",
    "费用",
    "资源包",
    "流量包",
    "次数包",
    "套餐",
    "消费",
    "账户",
    "账号",
    "帐户",
    "用量",
    "字数",
    "字符数",
    "预算",
];

/// Days, weeks and months.
const LONG: &[&str] = &[
    "24小时",
    "24 小时",
    "每天",
    "当天",
    "今天",
    "明天",
    "明日",
    "次日",
    "今日",
    "当日",
    "每日",
    "单日",
    "日限额",
    "日额度",
    "日配额",
    "日调用",
    "零点",
    "0点",
    "凌晨",
    "本周",
    "每周",
    "每週",
    "周限额",
    "周额度",
    "7天",
    "7 天",
    "本月",
    "当月",
    "每月",
    "每个月",
    "下月",
    "月限额",
    "月额度",
    "月度",
    "年度",
    "账期",
    "计费周期",
];

const RATES: &[&str] = &[
    "每分钟",
    "每秒",
    "/分钟",
    "/秒",
    "频率",
    "频次",
    "限流",
    "限速",
    "速率",
    "rpm",
    "tpm",
    "qps",
    "rps",
    "tps",
    "token",
    "并发",
];
