"""Read weights files without running code inside them, and load them into a network."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from coreml_updatable.errors import SourceError, a_kind
from coreml_updatable.files import refuse_lfs_pointer
from coreml_updatable.text import MAX_QUOTED, shortened
from coreml_updatable.trust import expect_trust

from .._shared.wording import first_line

State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "model_ema")  # where training scripts keep the state


def read_state(path: Path, trusted: bool = False) -> State:
    """Return the tensors in a ``.safetensors`` file, or in a ``.pt``, ``.pth`` or ``.ckpt`` file with only tensors.

    From a ``trusted`` file, also those of a module and those beside other objects.
    """
    return state_in(read_objects(path, trusted), path.name)


def read_objects(path: Path, trusted: bool = False) -> object:
    """Return the contents: tensors, numbers, text, lists and dictionaries; from a ``trusted`` file anything."""
    refuse_lfs_pointer(path, SourceError)
    match path.suffix.lower():
        case ".safetensors":
            return _read_safetensors(path)
        case ".pt" | ".pth" | ".bin" | ".ckpt":
            return _read_pickle(path, trusted)
        case suffix:
            raise SourceError(
                f"{path.name}: has weights of type {suffix or 'unknown'!r}, expected .pt, .pth, .ckpt or "
                ".safetensors; save them as one of these"
            )


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise SourceError(f"{path.name}: is not a safetensors file ({error}); check the file") from error


def _read_pickle(path: Path, trusted: bool) -> object:
    try:
        if zipfile.is_zipfile(path):
            _refuse_other_archives(path)
        elif not _begins_as_pickle(path):
            raise SourceError(
                f"{path.name}: cannot be read as torch weights (it is incomplete); save a state_dict() again"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of an unusual protocol
            return torch.load(path, map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        if not trusted:
            try:
                expect_trust(
                    False,
                    f"{path.name}: contains Python objects beside tensors",
                    "save the network's state_dict() instead, and convert that with --architecture, or the ONNX export",
                )
            except SourceError as refusal:
                raise refusal from error
        raise SourceError(f"{path.name}: cannot be unpickled ({first_line(error)}); save a state_dict()") from error
    except (ImportError, AttributeError) as error:  # the class of a pickled module
        raise SourceError(
            f"{path.name}: needs code that cannot be imported ({first_line(error)}); add its folder to PYTHONPATH, "
            "or save a state_dict()"
        ) from error
    except SourceError:
        raise
    except Exception as error:  # a damaged file may fail anywhere in the reader
        raise SourceError(
            f"{path.name}: cannot be read as torch weights ({first_line(error)}); save a state_dict() again"
        ) from error


def _begins_as_pickle(path: Path) -> bool:
    """Return whether it has the format of torch before 1.6."""
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO


def _refuse_other_archives(path: Path) -> None:
    """Refuse compressed archives, because torch does not compress tensors, and TorchScript, which is code."""
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise SourceError(
                f"{path.name}: is a TorchScript archive, expected weights; save the network's state_dict()"
            )
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise SourceError(f"{path.name}: is a compressed archive, expected a file from torch.save; save it again")


def state_in(found: object, name: str) -> State:
    """Return the state_dict in the contents of the file ``name``; SourceError if there is none."""
    if isinstance(found, nn.Module):
        return dict(found.state_dict())
    if isinstance(found, Mapping):
        for wrapper in WRAPPERS:
            if isinstance(found.get(wrapper), Mapping):
                found = found[wrapper]
                break
    if not isinstance(found, Mapping) or not found:
        raise SourceError(
            f"{name}: contains a {type(found).__name__}, expected a state_dict of named tensors; save that"
        )
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise SourceError(f"{name}: {key!r} is {a_kind(value)}, expected only named tensors; save a state_dict()")
    prefix = "module."  # written by DataParallel
    whole = all(key.startswith(prefix) for key in found)
    return {key.removeprefix(prefix) if whole else key: value for key, value in found.items()}


def _renamed(network: nn.Module, state: State) -> State | None:
    """``state`` under the network's names, where no name fits but everything else does; else None.

    In their order, the tensors must have the same shapes, be called the same within their layers ("weight",
    "running_mean"), and be grouped into the same layers. An order that comes from sorted names says nothing.
    """
    wanted = network.state_dict()
    if len(state) != len(wanted) or set(state) & set(wanted) or list(state) == sorted(state):
        return None
    pairs = list(zip(wanted, state, strict=True))
    layers: dict[str, str] = {}
    for mine, theirs in pairs:
        (layer, _, kind), (other, _, other_kind) = mine.rpartition("."), theirs.rpartition(".")
        if kind != other_kind or wanted[mine].shape != state[theirs].shape or layers.setdefault(layer, other) != other:
            return None
    if len(set(layers.values())) != len(layers):
        return None
    return {mine: state[theirs] for mine, theirs in pairs}


def load_state(network: nn.Module, state: State, name: str, classes: int = 0) -> None:
    """Load ``state``, every tensor of it; a SourceError names the first that is missing, surplus or misshapen.

    ``classes``: for which ``network`` was made.

    Tensors under other names are taken by their order, where that leaves no doubt (``_renamed``).
    """
    state = _renamed(network, state) or state
    for key, wanted in network.state_dict().items():
        if key not in state:
            if key.endswith("num_batches_tracked"):  # counts training steps; older files lack it
                continue
            actual = ", ".join(
                f"{shortened(one, MAX_QUOTED)!r} {list(value.shape)}" for one, value in islice(state.items(), 3)
            )
            raise SourceError(
                f"{name}: has no tensor {key!r} of shape {list(wanted.shape)}, which the network needs; "
                f"its {len(state)} tensors begin with {actual}; use weights of this architecture"
            )
        if state[key].shape != wanted.shape:
            shape, expected = list(state[key].shape), list(wanted.shape)
            of_classes = classes and expected[:1] == [classes] and shape[1:] == expected[1:]
            advice = f"give {shape[0]} labels" if of_classes else "use weights of this architecture"
            raise SourceError(
                f"{name}: tensor {key!r} has the shape {shape}, but the network expects {expected}; {advice}"
            )
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise SourceError(f"{name}: tensor {key!r} contains NaN or infinite numbers; use other weights")
        if key.endswith("running_var") and (value < 0).any():
            raise SourceError(f"{name}: tensor {key!r} contains negative variances; use other weights")
    surplus = next((key for key in state if key not in network.state_dict()), None)
    if surplus is not None:
        raise SourceError(
            f"{name}: tensor {surplus!r} of shape {list(state[surplus].shape)} does not belong to the network; use "
            "weights of this architecture"
        )
    network.load_state_dict(state, strict=False)
