"""``gateway_guard.asgi:app``: the guard in front of whatever application the environment names."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from importlib import reload
from types import ModuleType
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from gateway_guard import asgi
from gateway_guard.exceptions import ConfigurationError
from tests.callers import CHAT, KEY, asking, counted
from tests.servers import serving
from tests.spawning import Spawned, spawned
from tests.upstreams import ANSWER, Model, model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAMED = "an_application_of_the_tests"


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return what stands in a module that can be named; nobody asked for a guard yet."""
    module = ModuleType(NAMED)
    monkeypatch.setitem(sys.modules, NAMED, module)
    reload(asgi)
    return vars(module)


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """Return what is said to somebody who asks for the application."""
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_GUARD_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        _ = asgi.app
    return str(caught.value)


async def test_a_named_application_is_guarded(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, object]
) -> None:
    """It answers as it does alone, and the guard reads along."""
    inner = ModuleType("inner")
    vars(inner)["app"] = Model().in_starlette()
    named["inner"] = inner
    monkeypatch.setenv("GATEWAY_GUARD_APP", f"{NAMED}:inner.app")
    app = asgi.app
    headers = {"authorization": f"Bearer {KEY.decode()}"}
    async with serving(app) as address, httpx.AsyncClient() as client:
        reply = await client.post(address + CHAT, content=asking("Hello?"), headers=headers)
    assert reply.json()["choices"][0]["message"]["content"] == ANSWER
    assert counted(app, "exchanges") == {"committed": 1}


async def test_the_lifespan_of_a_made_application_passes(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, object]
) -> None:
    """What is made by a function starts before the first request and ends after the last one."""
    seen = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        seen.append("started")
        yield
        seen.append("stopped")

    named["make"] = lambda: Starlette(lifespan=lifespan)
    monkeypatch.setenv("GATEWAY_GUARD_APP_FACTORY", f"{NAMED}:make")
    async with serving(asgi.app) as address, httpx.AsyncClient() as client:
        assert (await client.get(address)).status_code == 404
        assert seen == ["started"]
    assert seen == ["started", "stopped"]


def test_a_process_has_one_guard(monkeypatch: pytest.MonkeyPatch, named: dict[str, object]) -> None:
    """Whoever asks again, server or test, has the same one, with what it has seen."""
    named["app"] = model
    monkeypatch.setenv("GATEWAY_GUARD_APP", f"{NAMED}:app")
    assert asgi.app is asgi.app


def test_without_a_name_only_asking_for_the_application_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The module can be imported by anybody, and has nothing but the application."""
    assert complaint(monkeypatch) == (
        "neither GATEWAY_GUARD_APP nor GATEWAY_GUARD_APP_FACTORY is set\n"
        "HINT: name the application to guard: GATEWAY_GUARD_APP=package.module:app"
    )
    assert not hasattr(asgi, "application")


def test_a_server_that_is_told_no_name_says_what_to_do() -> None:
    """It does not start, and its last words are the hint."""
    server = Spawned("uvicorn", "gateway_guard.asgi:app", "--port", "{port}")
    with (
        pytest.raises(AssertionError, match="HINT: name the application to guard"),
        spawned(server),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("app", "not the name", "package.module:app"),
        (
            "no_such_module:app",
            "cannot be imported: No module named 'no_such_module'",
            "PYTHONPATH",
        ),
        (f"{NAMED}:missing", "does not exist: ", "behind the colon"),
        (f"{NAMED}:number.missing", "does not exist: ", "behind the colon"),
        (f"{NAMED}:number", "gives no ASGI application", "GATEWAY_GUARD_APP_FACTORY"),
        (f"{NAMED}:make", "gives no ASGI application", "GATEWAY_GUARD_APP_FACTORY"),
        ("gateway_guard.asgi:app", "is the guard itself", "in front of"),
    ],
)
def test_an_application_that_cannot_be_served_is_told_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, object], name: str, reason: str, hint: str
) -> None:
    """The variable, what it says, what is wrong and what to do stand in one message."""
    named |= {"number": 5, "make": lambda: model}
    said, _, advice = complaint(monkeypatch, APP=name).partition("\nHINT: ")
    assert said.startswith(f"GATEWAY_GUARD_APP={name!r} ")
    assert reason in said
    assert hint in advice


@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("number", "is no function", "named in GATEWAY_GUARD_APP"),
        ("make_nothing", "gives no ASGI application", "GATEWAY_GUARD_APP_FACTORY"),
    ],
)
def test_a_factory_that_makes_no_application_is_told_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, object], name: str, reason: str, hint: str
) -> None:
    """What it returns is looked at before the first request."""
    named |= {"number": 5, "make_nothing": lambda: None}
    said = complaint(monkeypatch, APP_FACTORY=f"{NAMED}:{name}")
    assert said.startswith(f"GATEWAY_GUARD_APP_FACTORY='{NAMED}:{name}' {reason}")
    assert hint in said.partition("HINT: ")[2]


def test_one_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would leave it to chance which one is guarded."""
    both = complaint(monkeypatch, APP=f"{NAMED}:app", APP_FACTORY=f"{NAMED}:make")
    assert "both set" in both


def test_compiled_applications_need_no_signature(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, object]
) -> None:
    """What cannot be looked into is believed."""
    named["app"] = type
    monkeypatch.setenv("GATEWAY_GUARD_APP", f"{NAMED}:app")
    assert asgi.app.app is named["app"]


def test_a_failure_inside_the_named_module_is_not_covered_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever wrote the module sees its own error."""
    (tmp_path / "failing_application.py").write_text("1 / 0", encoding="ascii")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GATEWAY_GUARD_APP", "failing_application:app")
    with pytest.raises(ZeroDivisionError):
        _ = asgi.app
