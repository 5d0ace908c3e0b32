use crate::members::members;

/// What to change in the top level of a JSON object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    /// The value of `model`.
    pub(crate) model: Option<String>,
    /// Members to remove.
    pub(crate) without: Vec<Box<str>>,
    /// Members to add where they are missing, with their value as JSON.
    pub(crate) defaults: Vec<(Box<str>, Box<str>)>,
}

/// A body with its edits.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Spliced {
    pub(crate) body: Vec<u8>,
    /// Whether there was a `model` to replace.
    pub(crate) named: bool,
}

impl Edits {
    pub(crate) fn is_empty(&self) -> bool {
        self.model.is_none() && self.without.is_empty() && self.defaults.is_empty()
    }

    pub(crate) fn is_model_only(&self) -> bool {
        self.without.is_empty() && self.defaults.is_empty()
    }

    /// Applies the edits. Every other byte stays as it is: the order, the spaces, numbers of any
    /// length, duplicates, nested objects. `None` if `body` is not a JSON object.
    ///
    /// A `model` that occurs twice is replaced twice: readers differ in which they believe.
    pub(crate) fn splice(&self, body: &[u8]) -> Option<Spliced> {
        let members = members(body)?;
        let model = match &self.model {
            Some(model) => Some(serde_json::to_string(model).ok()?),
            None => None,
        };
        let added = self
            .defaults
            .iter()
            .filter(|(name, _)| members.iter().all(|member| member.name != **name));
        let mut spliced = Spliced {
            body: Vec::with_capacity(body.len() + 64),
            named: false,
        };
        let out = &mut spliced.body;

        // Where the members begin, and what follows the last of them.
        let opening = body.iter().position(|byte| *byte == b'{')? + 1;
        let start = members.first().map_or(opening, |member| member.key.start);
        let end = members.last().map_or(opening, |member| member.value.end);
        out.extend_from_slice(&body[..start]);
        let mut separator = None;
        for (index, member) in members.iter().enumerate() {
            if self.without.contains(&member.name.as_ref().into()) {
                continue;
            }
            if let Some(separator) = separator {
                out.extend_from_slice(separator);
            }
            out.extend_from_slice(&body[member.key.start..member.value.start]);
            match &model {
                Some(model) if member.name == "model" => {
                    out.extend_from_slice(model.as_bytes());
                    spliced.named = true;
                }
                _ => out.extend_from_slice(&body[member.value.clone()]),
            }
            let following = members
                .get(index + 1)
                .map(|next| &body[member.value.end..next.key.start]);
            separator = Some(following.unwrap_or(b","));
        }
        for (name, value) in added {
            if separator.is_some() {
                out.push(b',');
            }
            out.extend_from_slice(serde_json::to_string(name).ok()?.as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
            separator = Some(b",");
        }
        out.extend_from_slice(&body[end..]);
        Some(spliced)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(model: &str) -> Edits {
        Edits {
            model: Some(model.into()),
            ..Edits::default()
        }
    }

    fn spliced(edits: &Edits, body: &str) -> String {
        String::from_utf8(edits.splice(body.as_bytes()).unwrap().body).unwrap()
    }

    #[test]
    fn replaces_the_top_level_model_only() {
        for (body, expected) in [
            (r#"{"model":"a"}"#, r#"{"model":"b\"c"}"#),
            (
                r#" { "messages" : [ {"model":"a"} ], "model" : "a" , "x":{"model":"a"}, "n":12345678901234567890 } "#,
                r#" { "messages" : [ {"model":"a"} ], "model" : "b\"c" , "x":{"model":"a"}, "n":12345678901234567890 } "#,
            ),
            (
                r#"{"mod\u0065l":"a","n":1e400}"#,
                r#"{"mod\u0065l":"b\"c","n":1e400}"#,
            ),
            (
                r#"{"model":{"id":7},"model":null}"#,
                r#"{"model":"b\"c","model":"b\"c"}"#,
            ),
            (
                r#"{"text":"\"model\":\"a\"","\\model":1}"#,
                r#"{"text":"\"model\":\"a\"","\\model":1}"#,
            ),
            ("{}", "{}"),
        ] {
            assert_eq!(spliced(&to("b\"c"), body), expected);
        }
    }

    #[test]
    fn leaves_alone_what_is_no_object() {
        for body in [
            "",
            "null",
            "[]",
            "{",
            r#"{"model":"a"} x"#,
            r#"{"model":"a",}"#,
            "\"model\"",
            "\u{feff}{}",
        ] {
            assert_eq!(to("b").splice(body.as_bytes()), None, "{body}");
        }
        assert_eq!(to("b").splice(b"{\"model\":\"\xff\"}"), None);
    }

    #[test]
    fn says_whether_there_was_a_model() {
        assert!(to("b").splice(br#"{"model":1}"#).unwrap().named);
        assert!(!to("b").splice(br#"{"x":{"model":1}}"#).unwrap().named);
    }

    #[test]
    fn removes_and_defaults_parameters() {
        let edits = |without: &[&str], defaults: &[(&str, &str)]| Edits {
            model: None,
            without: without.iter().map(|&name| name.into()).collect(),
            defaults: defaults
                .iter()
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
        };
        let body = r#"{ "a": 1, "b":[2] ,"c":{"a":3} }"#;
        assert_eq!(
            spliced(&edits(&["a"], &[]), body),
            r#"{ "b":[2] ,"c":{"a":3} }"#
        );
        assert_eq!(
            spliced(&edits(&["b"], &[]), body),
            r#"{ "a": 1, "c":{"a":3} }"#
        );
        assert_eq!(spliced(&edits(&["c"], &[]), body), r#"{ "a": 1, "b":[2] }"#);
        assert_eq!(spliced(&edits(&["a", "b", "c"], &[]), body), "{  }");
        assert_eq!(
            spliced(&edits(&["c"], &[("a", "9"), ("d", "true")]), body),
            r#"{ "a": 1, "b":[2],"d":true }"#
        );
        assert_eq!(spliced(&edits(&[], &[("d", "[]")]), "{}"), r#"{"d":[]}"#);
        assert_eq!(
            spliced(&edits(&["a"], &[("d", "1")]), r#"{"a":1}"#),
            r#"{"d":1}"#
        );
    }

    /// Any JSON value, written in any way: with spaces, escapes and numbers no machine type holds.
    fn json() -> impl Strategy<Value = String> {
        let string = prop_oneof![
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just(r#""model""#.to_owned()),
            Just(r#""\u006dodel \ud83d\ude00 \\\" 模型""#.to_owned()),
        ];
        let leaf = prop_oneof![
            string.clone(),
            "-?[1-9][0-9]{0,24}",
            Just("1.0e-300".to_owned()),
            Just("true".to_owned()),
            Just("null".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[ {}]", items.join(" ,"))),
                object(inner),
            ]
        })
    }

    /// An object of such values; some of its keys are `model`, plain or escaped.
    fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        prop::collection::vec((key(), spaces(), value, spaces()), 0..5).prop_map(|members| {
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, before, value, after)| {
                    format!("{before}{key}{after}:{before}{value}{after}")
                })
                .collect();
            format!("{{{}}}", members.join(","))
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(r#""model""#.to_owned()),
            Just(r#""mo\u0064el""#.to_owned()),
            Just(r#""models""#.to_owned()),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ]
    }

    fn spaces() -> impl Strategy<Value = String> {
        "[ \t\r\n]{0,2}"
    }

    /// An object as it is written: members by name and text, and what stands between them.
    fn outline(body: &str) -> (Vec<(String, String)>, Vec<String>) {
        let members = members(body.as_bytes()).unwrap();
        let mut between = Vec::new();
        let mut last = 0;
        for member in &members {
            between.push(body[last..member.value.start].to_owned());
            last = member.value.end;
        }
        between.push(body[last..].to_owned());
        let members = members.iter().map(|member| {
            (
                member.name.to_string(),
                body[member.value.clone()].to_owned(),
            )
        });
        (members.collect(), between)
    }

    proptest! {
        #[test]
        fn only_the_top_level_model_changes(body in object(json()), model in any::<String>()) {
            let after = spliced(&to(&model), &body);
            let (members, between) = outline(&body);
            let (changed, between_after) = outline(&after);
            prop_assert_eq!(between_after, between);
            prop_assert_eq!(changed.len(), members.len());
            for ((name, value), (name_after, value_after)) in members.iter().zip(&changed) {
                prop_assert_eq!(name_after, name);
                if name == "model" {
                    prop_assert_eq!(serde_json::from_str::<String>(value_after).unwrap(), model.clone());
                } else {
                    prop_assert_eq!(value_after, value);
                }
            }
        }

        #[test]
        fn a_model_put_back_gives_the_same_bytes(model in any::<String>(), rest in object(json())) {
            let quoted = serde_json::to_string(&model).unwrap();
            let body = format!(r#"{{"x":{rest},"model":{quoted}}}"#);
            let there = spliced(&to("elsewhere"), &body);
            prop_assert_eq!(spliced(&to(&model), &there), body);
        }
    }
}
