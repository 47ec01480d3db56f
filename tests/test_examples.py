"""Every example runs as it stands, guarded, with nothing set."""

from __future__ import annotations

import importlib
from pathlib import Path

import httpx
import pytest

from tests.callers import CHAT, KEY, MESSAGES, asking, counted
from tests.mounting import guard_in
from tests.servers import serving

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ANSWERS = {"starlette_app": (CHAT, "choices"), "fastapi_app": (MESSAGES, "content")}
TESTS = Path(__file__).resolve().parent


def test_every_example_is_run() -> None:
    """A new example comes with the request that shows it at work, here or beside its server."""
    elsewhere = "".join(path.read_text("utf-8") for path in TESTS.glob("test_mounts_*.py"))
    names = {path.stem for path in EXAMPLES.iterdir() if path.is_file()} - set(ANSWERS)
    assert {name for name in names if name not in elsewhere} == set()


@pytest.mark.parametrize("name", sorted(ANSWERS))
async def test_an_example_answers_and_is_guarded(name: str) -> None:
    """It answers what its own description asks, and the guard reads along."""
    app = importlib.import_module(f"examples.{name}").app
    path, field = ANSWERS[name]
    headers = {"x-api-key": KEY.decode(), "content-type": "application/json"}
    async with serving(app) as address, httpx.AsyncClient() as client:
        reply = await client.post(address + path, content=asking("Hello?"), headers=headers)
    assert "Hello?" in str(reply.json()[field])
    assert counted(guard_in(app), "exchanges") == {"committed": 1}
