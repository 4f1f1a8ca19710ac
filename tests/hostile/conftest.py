"""As for the features: a context of its own for each test, and a check that none is left."""

from __future__ import annotations

from features.conftest import pytest_pyfunc_call as pytest_pyfunc_call
