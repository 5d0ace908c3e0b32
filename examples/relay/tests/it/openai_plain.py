"""The openai package against the relay, its own retries off."""
import json

import openai

client = openai.OpenAI(max_retries=0, timeout=30)
user = [{"role": "user", "content": "hello"}]
done = []

raw = client.chat.completions.with_raw_response.create(model="best", messages=user)
answer = raw.parse()
assert answer.choices[0].message.content and answer.usage.total_tokens > 0
assert raw.headers["x-relay-model"] == "qwen3-max" and raw.headers["x-relay-attempts"] == "1"
done.append("plain")

stream = client.chat.completions.create(
    model="best", messages=user, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
assert len({chunk.id for chunk in chunks}) == 1
assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert chunks[-1].usage.total_tokens > 0
done.append("stream")

tool = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}
called = client.chat.completions.create(model="best", messages=user, tools=[tool])
assert called.choices[0].finish_reason == "tool_calls"
call = called.choices[0].message.tool_calls[0]
assert call.function.name == "weather" and json.loads(call.function.arguments)["city"]

name, arguments = "", ""
for chunk in client.chat.completions.create(model="best", messages=user, tools=[tool], stream=True):
    for piece in chunk.choices[0].delta.tool_calls or []:
        name += piece.function.name or ""
        arguments += piece.function.arguments or ""
assert (name, arguments) == ("weather", call.function.arguments)

result = {"role": "tool", "tool_call_id": call.id, "content": "dry"}
answer = client.chat.completions.create(
    model="best", messages=[*user, called.choices[0].message, result], tools=[tool]
)
assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content
done.append("tools")

answer = client.embeddings.create(model="embedding", input=["a", "b"])
assert len(answer.data) == 2 and len(answer.data[0].embedding) > 1
done.append("embeddings")

assert [m.id for m in client.models.list()][0] == "best"
assert client.models.retrieve("plus").id == "plus"
done.append("models")

for make, error in [
    (lambda: client.chat.completions.create(model="nobody", messages=user), openai.NotFoundError),
    (lambda: client.with_options(api_key="wrong").models.list(), openai.AuthenticationError),
]:
    try:
        make()
    except error as caught:
        assert caught.body["message"] and caught.body["code"], caught.body
    else:
        raise AssertionError(f"no {error}")
done.append("errors")
print(*done)
