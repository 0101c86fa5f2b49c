"""What agents import: which run and step their model calls belong to.

from trimtab.client import run, step, transport
client = OpenAI(base_url="http://127.0.0.1:8080/v1", http_client=httpx2.Client(transport=transport()))
with run("support", user="ada"), step("plan"): client.chat.completions.create(...)
"""

from trimtab.client.context import RunContext, headers, run, step
from trimtab.client.transport import async_transport, tag, transport

__all__ = ["RunContext", "async_transport", "headers", "run", "step", "tag", "transport"]
