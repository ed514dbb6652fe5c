"""Whether two reports say the same of a model, apart from when, where and how quickly it was built."""

import json
from typing import Any

# What differs from run to run although nothing was changed: times, the machine, and the sums of what tells of them.
OF_A_RUN = frozenset({"seconds", "machine", "versions", "update_ms", "extractor_ms", "key", "files"})


def says_the_same(one: bytes, other: bytes) -> bool:
    """``one`` and ``other``: report.json, both read before."""
    return one == other or _lasting(json.loads(one)) == _lasting(json.loads(other))


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(held) for name, held in value.items() if name not in OF_A_RUN}
    return [_lasting(held) for held in value] if isinstance(value, list) else value
