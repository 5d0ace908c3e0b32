//! Zhipu (`BigModel`, Z.ai). Source: API docs "Error codes". The number decides; 1302 has two
//! meanings.

use super::short::{concurrency, credential, exhausted, harmless, overloaded, rate};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "zhipu",
    hosts: &["bigmodel.cn", "z.ai"],
    rules: &[RULES],
    in_success: false,
};

const RULES: &[Rule] = &[
    credential("key", Scope::Key).code(&["1000", "1001", "1002", "1003", "1004"]),
    credential("account", Scope::Account).code(&["1110", "1111", "1112", "1121", "1220"]),
    exhausted("arrears", Scope::Account).code(&["1113"]),
    harmless("size or content").code(&[
        "1210", "1211", "1212", "1213", "1214", "1215", "1261", "1301",
    ]),
    concurrency("in flight", Scope::Account)
        .code(&["1302"])
        .text(&["并发", "concurren"]),
    rate("frequency", Scope::Account).code(&["1302", "1303"]),
    exhausted("a day's calls", Scope::Account).code(&["1304"]),
    overloaded("busy", Scope::Server).code(&["1305"]),
    overloaded("busy model", Scope::Model).code(&["1312"]),
    credential("not in the plan", Scope::Model).code(&["1311"]),
    credential("not the key for it", Scope::Key).code(&["1315"]),
    exhausted("plan window", Scope::Account).code(&[
        "1308", "1309", "1310", "1313", "1314", "1316", "1317", "1318", "1319", "1320", "1321",
    ]),
];
