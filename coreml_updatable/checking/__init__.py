"""The rules for models: what Apple's compiler enforces, and what devices need."""

from coreml_updatable.checking.check import check, expect_valid
from coreml_updatable.checking.problem import Problem

__all__ = ["Problem", "check", "expect_valid"]
