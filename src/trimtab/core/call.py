"""One model call and who it serves: what every rule and room sees of a request."""

from typing import Literal

import msgspec

Surface = Literal["chat", "messages", "responses", "embeddings"]
Capability = Literal["tools", "json_schema", "vision", "audio", "logprobs", "reasoning", "n", "embeddings"]
RunSource = Literal["headers", "metadata", "traceparent", "single", "hosted"]
Role = Literal["viewer", "operator", "admin"]


class Attribution(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Whose call this is. `source` says where the run came from; `single` is a run of one call."""

    tenant: str
    run: str
    user: str = ""
    key: str = ""
    workflow: str = ""
    step: str = ""
    parent_call: str = ""
    task: str = ""
    agent: str = ""
    source: RunSource = "single"


_BYTES_A_TOKEN = 4


class Call(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A model call as rules see it: facts, no bytes. Times are epoch seconds, sizes are tokens.

    `input_tokens` is an upper bound (a token is at least a byte): what money is held by. `route` is the label
    of the workflow's route controller, empty where it has none or abstained.
    """

    id: str
    at: float
    surface: Surface
    model: str
    who: Attribution
    input_tokens: int
    max_output_tokens: int
    stream: bool = False
    choices: int = 1
    tools: tuple[str, ...] = ()
    needs: frozenset[Capability] = frozenset()
    sampled: bool = True
    priority: int = 0
    deadline: float | None = None
    route: str = ""

    @property
    def likely_input_tokens(self) -> int:
        """About how many the prompt has, at four bytes a token: what choices are made by."""
        return -(-self.input_tokens // _BYTES_A_TOKEN)
