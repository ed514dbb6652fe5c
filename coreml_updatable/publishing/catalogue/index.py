"""index.json: everything a reader may want to know before fetching a model. These classes are its schema."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

from coreml_updatable.publishing.catalogue.names import (
    DEVICE_FILE,
    DEVICES,
    FILE,
    NAME,
    SUM,
    VERSION,
    release_folder,
    version_key,
)

SCHEMA: Literal[2] = 2  # raised when a field changes its meaning or goes; 2: the names in RENAMED
RENAMED = {"twin": "other_variant", "licence": "license"}  # of schema 1, which is still read: a release never changes
MOST_KEYS = 8
MOST_DEVICES = 1000
MAX_DEVICE_BYTES = 100_000  # the results of all probes take some kilobytes
MOMENT = r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$"
KEY = r"^[A-Za-z0-9+/]{43}=$"  # 32 bytes

Sum = Annotated[str, Field(pattern=SUM, description="SHA-256, hexadecimal")]
Name = Annotated[str, Field(pattern=NAME)]
Role = Literal["network", "k-NN", "part"]
Layout = Literal["single", "pipeline", "split"]
Size = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    """Strict: an index with a surplus field is of another schema."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_by_name=True, serialize_by_alias=True
    )


class File(_Part):
    """``file``: its name inside the release. ``url``: under the base URL, or relative to index.json."""

    file: Annotated[str, Field(pattern=FILE)]
    url: str
    bytes: Size
    sha256: Sum


class FeatureEntry(_Part):
    """``type`` in words, as Xcode has it, e.g. "Image (RGB 128 × 128)"."""

    name: str
    type: str
    description: str


class ParameterEntry(_Part):
    """A value that an app may choose for an update, by its name in MLParameterKey; null: not bounded so."""

    name: str
    default: bool | int | float
    range: tuple[float, float] | None
    allowed: tuple[int, ...] | None


class UpdateEntry(_Part):
    """``layers``, ``loss`` and ``optimizer`` are empty for a nearest-neighbours classifier."""

    layers: tuple[str, ...]
    loss: str
    optimizer: str
    parameters: tuple[ParameterEntry, ...]


class Accuracy(_Part):
    """An accuracy, and what it was measured on."""

    value: Share
    pictures: Annotated[int, Field(ge=1)]
    measured_on: str


class ModelFile(File):
    """One .mlmodel of a release. ``labels``: in the order of the network's outputs; null where the file lists none."""

    role: Role
    layout: Layout
    other_variant: str | None  # the file that learns in the other way, with the same features
    kind: str
    specification_version: Annotated[int, Field(ge=1)]
    least_ios: str
    inputs: tuple[FeatureEntry, ...]
    outputs: tuple[FeatureEntry, ...]
    training_inputs: tuple[FeatureEntry, ...]
    labels: tuple[str | int, ...] | None
    update: UpdateEntry | None
    learns: str
    vectors: Annotated[str, Field(pattern=FILE)] | None  # the file of the release that says what it must answer
    accuracies: tuple[Accuracy, ...]


class Release(_Part):
    """One version of a model: files that never change again."""

    version: Annotated[str, Field(pattern=VERSION)]
    description: str
    author: str
    license: str
    labels: tuple[str, ...]
    data: str  # what the base learned from, in a sentence
    models: Annotated[tuple[ModelFile, ...], Field(min_length=1)]
    files: tuple[File, ...]  # the others: report, golden vectors

    def every_file(self) -> tuple[File, ...]:
        return (*self.models, *self.files)


class Entry(_Part):
    """All versions of a model, the newest first."""

    name: Name
    latest: Annotated[str, Field(pattern=VERSION)]
    page: str
    versions: Annotated[tuple[Release, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def newest_first(self) -> Self:
        keys = [version_key(release.version) for release in self.versions]
        if keys != sorted(set(keys), reverse=True) or self.latest != self.versions[0].version:
            raise ValueError("expected each version once, the newest first, and the newest in latest")
        return self


class Device(File):
    """What a device answered to the probes (docs/probes.md). ``choices``: by assumption; null where nothing fits."""

    file: Annotated[str, Field(pattern=DEVICE_FILE, max_length=240)]
    bytes: Annotated[int, Field(ge=0, le=MAX_DEVICE_BYTES)]
    device: Annotated[str, Field(max_length=100)]
    os: Annotated[str, Field(max_length=100)]
    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None
    choices: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z0-9_]{1,50}$")], Annotated[str, Field(pattern=r"^[ -~]{1,50}$")] | None
        ],
        Field(max_length=200),
    ]


class Signed(_Part):
    """What every signed text of a catalogue says of itself.

    ``serial`` grows with every change: a client refuses one that is lower than it has seen. ``expires``: from then on a
    client refuses this text, in UTC; null where nobody signs.
    """

    format: Annotated[Literal[2], Field(alias="schema")] = SCHEMA
    serial: Annotated[int, Field(ge=0, lt=2**53)]
    expires: Annotated[str, Field(pattern=MOMENT)] | None = None


class Index(Signed):
    """``keys``: who may sign this index and the next, in base64; a client that trusts one of them learns the others."""

    keys: Annotated[tuple[Annotated[str, Field(pattern=KEY)], ...], Field(max_length=MOST_KEYS)] = ()
    base_url: str = ""  # what every url begins with; empty: they are relative to index.json
    models: Annotated[tuple[Entry, ...], FailFast()] = ()
    devices: Annotated[tuple[Device, ...], Field(max_length=MOST_DEVICES)] = ()  # left out where there are none

    @model_validator(mode="after")
    def each_device_file_once(self) -> Self:
        files = [device.file for device in self.devices]
        if files != sorted(set(files)):
            raise ValueError("expected each device file once, in order")
        return self

    @model_validator(mode="after")
    def signature_complete(self) -> Self:
        if bool(self.keys) != (self.expires is not None) or len(set(self.keys)) != len(self.keys):
            raise ValueError("expected keys, each once, with an expiry, or neither")
        return self

    @model_validator(mode="after")
    def one_of_a_name(self) -> Self:
        names = [entry.name.casefold() for entry in self.models]
        if names != sorted(set(names)):
            raise ValueError("expected each name once, in order")
        return self

    def entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.models if entry.name.casefold() == name.casefold()), None)


class Latest(Signed):
    """latest.json: small enough to be asked for often. Name -> newest version. Signed as the index is."""

    models: dict[Name, Annotated[str, Field(pattern=VERSION)]]


def latest_of(index: Index) -> Latest:
    return Latest(
        serial=index.serial, expires=index.expires, models={entry.name: entry.latest for entry in index.models}
    )


def path_of(entry: str, release: str, file: File) -> str:
    """Where a file of a release lies, relative to the catalogue; the name is one that ``FILE`` allows."""
    return str(release_folder(entry, release) / file.file)


def device_path(device: Device) -> str:
    """Where the file of a device lies, relative to the catalogue."""
    return f"{DEVICES}/{device.file}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of index.json."""
    schema = Index.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A catalogue of models"}
