"""Usage written back in each API's own names, for clients that speak another API than the endpoint did."""

from trimtab.core import Usage


def chat_counts(usage: Usage) -> dict[str, object]:
    """As `usage` of a chat completion: the prompt includes what was cached."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def messages_counts(usage: Usage) -> dict[str, object]:
    """As `usage` of an Anthropic message: input leaves out what was read from or written to the cache."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }


def responses_counts(usage: Usage) -> dict[str, object]:
    """As `usage` of a response: input includes what was cached."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
