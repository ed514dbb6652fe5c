"""Trust: what runs somebody's code is loaded only where the user said so, with one word everywhere.

No filter makes code from outside harmless, so there is none: code is either not loaded or trusted whole. It runs with
the rights of whoever converts. What is read without that word runs nothing.
"""

from coreml_updatable.errors import SourceError, UserError

OPTION = "--trust-code"  # of the commands; ``trust_code = true`` in a recipe
HELP = "Run code in the source or outside the recipe's folder."
NETWORK_ROADS = "convert the network's state_dict() (.safetensors or .pt) with --architecture, or its ONNX export"


def expect_trust(trusted: bool, what: str, safe: str, *, also: str = "", error: type[UserError] = SourceError) -> None:
    """An ``error`` unless ``trusted``.

    ``what`` names the source and says why it is code ("net.pt: is TorchScript"); ``safe`` what to do without trust;
    ``also`` the options without which trust alone leads to the next refusal.
    """
    if not trusted:
        raise error(
            f"{what}; loading it would run code, which can read and write all your files; {safe}, or pass "
            f"{OPTION}{also} if you trust its author"
        )
