"""The rules that a model must satisfy before a device sees it."""

from coreml_updatable.checking.check import check, expect_valid
from coreml_updatable.checking.problem import Problem

__all__ = ["Problem", "check", "expect_valid"]
