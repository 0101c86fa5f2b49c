"""How the examples' graphs ask their model: with OpenAI's own client, as any agent would."""

from functools import cache

from openai import AsyncOpenAI

MODEL = "sim-clerk"


@cache
def client() -> AsyncOpenAI:
    """Made when it is first asked for: where it asks is the house's to say."""
    return AsyncOpenAI()


async def ask(system: str, text: str, most_tokens: int = 600) -> str:
    """What the model says."""
    said = await client().chat.completions.create(
        model=MODEL,
        max_tokens=most_tokens,
        messages=[{"role": "system", "content": system}, {"role": "user", "content": text}],
    )
    return said.choices[0].message.content or ""
