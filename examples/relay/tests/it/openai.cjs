// The openai package of npm against the relay, its own retries off.
const assert = require("node:assert");
const OpenAI = require("openai").default;

async function main() {
  const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
  const messages = [{ role: "user", content: "hello" }];
  const done = [];

  const { data, response } = await client.chat.completions
    .create({ model: "best", messages })
    .withResponse();
  assert(data.choices[0].message.content && data.usage.total_tokens > 0);
  assert.equal(response.headers.get("x-relay-model"), "qwen3-max");
  done.push("plain");

  const ids = new Set();
  let text = "";
  for await (const chunk of await client.chat.completions.create({ model: "best", messages, stream: true })) {
    ids.add(chunk.id);
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  assert(text && ids.size === 1);
  done.push("stream");

  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];
  const called = await client.chat.completions.create({ model: "best", messages, tools });
  const call = called.choices[0].message.tool_calls[0];
  assert.equal(called.choices[0].finish_reason, "tool_calls");
  assert(call.function.name && JSON.parse(call.function.arguments));
  done.push("tools");

  const embedded = await client.embeddings.create({ model: "embedding", input: ["a", "b"] });
  assert.equal(embedded.data.length, 2);
  done.push("embeddings");

  assert.equal((await client.models.list()).data[0].id, "best");
  done.push("models");

  await assert.rejects(client.chat.completions.create({ model: "nobody", messages }), OpenAI.NotFoundError);
  done.push("errors");
  console.log(done.join(" "));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
