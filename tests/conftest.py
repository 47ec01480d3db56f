"""What every test stands on: the same examples on every run, and a clean environment."""

from __future__ import annotations

import os

import hypothesis
import pytest

# A busy machine is no failure, and a failure must come back when it is looked for.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the variables of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_GUARD_")]:
        monkeypatch.delenv(name)
