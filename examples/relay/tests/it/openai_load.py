"""So many requests, so many a second, three of ten streamed, with the package's own retries off."""
import asyncio
import sys

import openai

COUNT, RATE = int(sys.argv[1]), float(sys.argv[2])
# A machine that cannot keep up with the rate has fewer a second, and not ever more that wait.
OPEN = 300


async def one(client, number):
    user = [{"role": "user", "content": f"Question {number}"}]
    model = "best"
    if number % 10 >= 3:
        answer = await client.chat.completions.create(model=model, messages=user, max_tokens=20)
        assert answer.choices[0].message.content
        return
    stream = await client.chat.completions.create(
        model=model, messages=user, max_tokens=20, stream=True
    )
    ids, reasons = set(), []
    async for chunk in stream:
        ids.add(chunk.id)
        reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert len(ids) == 1 and len(reasons) == 1, (ids, reasons)


async def main():
    async with openai.AsyncOpenAI(max_retries=0, timeout=300) as client:
        start = asyncio.get_running_loop().time()
        places = asyncio.Semaphore(OPEN)

        async def later(number):
            wait = start + number / RATE - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0, wait))
            async with places:
                await one(client, number)

        tasks = [asyncio.create_task(later(number)) for number in range(COUNT)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [result for result in results if result is not None]
    for error in failed[:5]:
        print(repr(error), "because of", repr(error.__cause__))
    print(f"{COUNT - len(failed)} answered, {len(failed)} failed")


asyncio.run(main())
