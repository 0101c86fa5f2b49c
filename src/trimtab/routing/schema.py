"""JSON Schemas compiled once and kept, for the verifiers. Never fetches a remote or local reference."""

from collections import OrderedDict

import jsonschema_rs
import msgspec

_POINTER_CHARACTERS = 120


class Schemas:
    """Validators by the bytes of their schema, the `limit` least recently used ones kept."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._validators: OrderedDict[bytes, jsonschema_rs.Validator] = OrderedDict()

    def __len__(self) -> int:
        return len(self._validators)

    def fault(self, schema: bytes, value: object) -> str:
        """Why `value` does not fit `schema` (JSON), empty where it does. Never quotes the value."""
        try:
            validator = self._validator(schema)
        except (RecursionError, ValueError) as error:
            return f"the schema cannot be used: {str(error).partition(chr(10))[0]}"
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            pointer = "/".join(["", *map(str, error.instance_path)])[:_POINTER_CHARACTERS]
            return f"at {pointer or '/'}: {error.message}"
        except ValueError as error:
            return f"cannot be checked: {error}"
        return ""

    def _validator(self, schema: bytes) -> jsonschema_rs.Validator:
        found = self._validators.get(schema)
        if found is not None:
            self._validators.move_to_end(schema)
            return found
        # Offline, because a `$ref` in a client's schema would else be read from the network or this disk.
        made = jsonschema_rs.validator_for(msgspec.json.decode(schema), mask="the value", offline=True)
        self._validators[schema] = made
        if len(self._validators) > self._limit:
            self._validators.popitem(last=False)
        return made
