"""Findings of the rules, and the problems that users see."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from coreml_updatable.spec.messages import Model

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken."""

    where: str
    found: str
    expected: str
    remedy: str = ""  # overrides the remedy of the rule


@dataclass(frozen=True)
class Problem:
    """A broken rule. ``error``: Apple's compiler rejects the model. ``warning``: it does not, but a device may."""

    rule: str  # stable, e.g. "N5.4"
    severity: Severity
    where: str  # e.g. "layers[12] 'fc'"
    found: str
    expected: str
    remedy: str
    thread: str | None = None  # a public report of it, e.g. "apple/coremltools#1705"
    note: str | None = None  # why it is less severe than its rule says

    def __str__(self) -> str:
        kind = ", ".join(part for part in (f"{self.severity} {self.rule}", self.thread, self.note) if part)
        return f"{self.where}: {self.found}, expected {self.expected}; {self.remedy} ({kind})"


@dataclass(frozen=True)
class Rule:
    """A row of the table of rules; the first line of the function's docstring states the rule."""

    id: str  # L and a number: a warning
    find: Callable[[Model], Iterator[Finding]]
    remedy: str
    thread: str | None = None

    @property
    def severity(self) -> Severity:
        return "warning" if self.id.startswith("L") else "error"

    @property
    def statement(self) -> str:
        return (self.find.__doc__ or "").strip()
