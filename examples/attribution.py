"""Whose call is it: three lines put run, step and user on every call of an unchanged OpenAI client.

Run it against a gateway: `python examples/attribution.py http://127.0.0.1:8080 sim-small`.
"""

import sys

import httpx2
from openai import OpenAI

from trimtab.client import run, step, transport


def main(base_url: str, model: str) -> None:
    """One run of two steps, and its outcome."""
    client = OpenAI(
        base_url=f"{base_url}/v1",
        api_key="unused-on-loopback",
        http_client=httpx2.Client(transport=transport()),
    )
    with run("greeting", user="ada") as current:
        with step("greet"):
            said = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Hello, where is my order?"}]
            )
        with step("thank"):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Thank you!"}])
    outcome = {"reward": 1.0, "by": "example", "reason": said.choices[0].message.content or ""}
    httpx2.post(f"{base_url}/v1/runs/{current.run}/outcome", json=outcome).raise_for_status()
    sys.stdout.write(f"{current.run}\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
