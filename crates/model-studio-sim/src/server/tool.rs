use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::writer::{Text, Weight};

/// The call of a tool that a chat is answered with.
#[derive(Clone, Debug)]
pub(super) struct ToolCall {
    name: String,
    /// JSON, as a text.
    arguments: String,
}

/// What of a chat decides whether a tool is called, and which.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    tools: Vec<Tool>,
    tool_choice: Option<Value>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tool {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    properties: Map<String, Value>,
}

/// Tokens of each argument that is a text.
const PER_ARGUMENT: u64 = 2;

impl ToolCall {
    /// The call that a chat with tools asks for: of the first tool, or of the one it names, unless it
    /// wants none or has the result of one already.
    pub(super) fn asked_for(body: &[u8], text: Text<'_>) -> Option<Self> {
        let asked: Asked<'_> = serde_json::from_slice(body).ok()?;
        if asked.messages.last()?.role == "tool" {
            return None;
        }
        let named = match &asked.tool_choice {
            Some(Value::String(choice)) if choice == "none" => return None,
            Some(choice) => choice["function"]["name"].as_str(),
            None => None,
        };
        let mut tools = asked.tools.into_iter().map(|tool| tool.function);
        let tool = tools.find(|tool| named.is_none_or(|name| name == tool.name))?;
        let arguments = tool.parameters.properties.into_iter().map(|(name, shape)| {
            let value = match shape["type"].as_str() {
                Some("integer" | "number") => Value::from(1),
                Some("boolean") => Value::from(true),
                Some("array") => Value::Array(Vec::new()),
                Some("object") => Value::Object(Map::new()),
                _ => {
                    let mut words = Vec::new();
                    text.write(0, PER_ARGUMENT, &mut words);
                    String::from_utf8_lossy(&words).into()
                }
            };
            (name, value)
        });
        Some(Self {
            name: tool.name,
            arguments: Value::Object(arguments.collect()).to_string(),
        })
    }

    /// What it counts for in an answer.
    pub(super) fn tokens(&self) -> u64 {
        Weight::of(&self.name)
            .and(Weight::of(&self.arguments))
            .tokens()
    }

    /// The call whole, for the answer with this id.
    pub(super) fn whole(&self, id: &str) -> Value {
        let mut call = self.begun(id);
        call["function"]["arguments"] = self.arguments.as_str().into();
        call
    }

    /// The first piece of a streamed call: all but its arguments.
    pub(super) fn begun(&self, id: &str) -> Value {
        serde_json::json!({
            "index": 0,
            "id": format!("call_{id}"),
            "type": "function",
            "function": { "name": self.name, "arguments": "" },
        })
    }

    /// The further pieces: the arguments in two.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Value> {
        let mut middle = self.arguments.len() / 2;
        while !self.arguments.is_char_boundary(middle) {
            middle += 1;
        }
        let (one, other) = self.arguments.split_at(middle);
        [one, other].into_iter().map(
            |arguments| serde_json::json!({ "index": 0, "function": { "arguments": arguments } }),
        )
    }
}
