"""Second names of torch's operators that coremltools' front end knows by their first name only."""

ALIASES = {
    "absolute": "abs",
    "arccos": "acos",
    "arctan": "atan",
    "concatenate": "cat",
    "divide": "div",
    "greater": "gt",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "special_erf": "erf",
    "special_expit": "sigmoid",
    "subtract": "sub",
    "swapaxes": "transpose",
    "swapdims": "transpose",
}


def register_aliases() -> None:
    """Let coremltools translate each as what it is another name of (Keras on torch writes ``subtract``)."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY as REGISTRY

    for alias, name in ALIASES.items():
        function = REGISTRY.get_func(name)
        if function is not None and REGISTRY.get_func(alias) is None:
            REGISTRY.set_func_by_name(function, alias)
