"""Fixtures of the converters' tests, for the threads about them."""

from tests.converters.conftest import keras as keras
