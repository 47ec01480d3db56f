"""LiteLLM's own proxy with the guard in it, asked over HTTP as its users ask it."""

from __future__ import annotations

import json
import re
import sys
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import anthropic
import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway_guard import GuardMiddleware
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.mounts.litellm import KEY_SOURCES, guard_settings, install
from tests.litellm_side import SIDE_DOOR
from tests.mounting import guard_in
from tests.spawning import Spawned, spawned
from tests.upstreams import ANSWER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD, BLOCKED = "sk-good", "sk-blocked"
LONG = "A long answer, of which much can be saved by packing it. " * 30
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
CONTENTS = [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]
ASKS = {
    r"(^|/)chat/completions$": {"messages": QUESTION},
    r"(^|/)completions$": {"prompt": "What is the capital of France?"},
    r"(^|/)embeddings$": {"input": "What is the capital of France?"},
    r"(^|/)messages$": {"messages": QUESTION, "max_tokens": 64},
    r"(^|/)responses$": {"input": "What is the capital of France?"},
    r":(stream)?[gG]enerateContent$": {"contents": CONTENTS},
}
LOOK_IN, LISTEN = "tests.litellm_side:look_in", "tests.litellm_side:listen"
HOOKS = f"{LOOK_IN},gateway_guard.mounts.litellm:install,{LISTEN}"


class Proxies(NamedTuple):
    """One proxy that a hook has put the guard in, and two of which an own module has."""

    hooked: str
    added: str
    wrapped: str


def config_of(upstream: str, **general: str) -> str:
    """Return a configuration: answers made up, and answers of a model server."""
    made_up = {"model": "openai/gpt-4o-mini", "api_key": "sk-of-the-proxy"}
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_key": "sk-of-the-proxy"}
    config = {
        "model_list": [
            {"model_name": "m", "litellm_params": made_up | {"mock_response": ANSWER}},
            {"model_name": "long", "litellm_params": made_up | {"mock_response": LONG}},
            {"model_name": "claude", "litellm_params": claude | {"api_base": upstream}},
        ],
        "general_settings": {"custom_auth": "tests.litellm_side.accept"} | general,
    }
    return json.dumps(config)


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxies]:
    """Start the proxies once, side by side, and a model server behind them."""
    folder = tmp_path_factory.mktemp("litellm")
    config, another = folder / "config.yaml", folder / "another.yaml"
    serve = ("uvicorn", "--port", "{port}", "--no-access-log")
    upstream = Spawned(*serve, "tests.spawned_model:app")
    config.write_text(config_of(upstream.address), "utf-8")
    another.write_text(config_of(upstream.address, litellm_key_header_name="X-Our-Key"), "utf-8")
    variables = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": "sk-a-master-key-of-the-tests",
        "ANTHROPIC_API_BASE": upstream.address,
        "ANTHROPIC_API_KEY": "sk-of-the-proxy",
        "GATEWAY_GUARD_MAX_BODY": "1MB",
        "GATEWAY_GUARD_SECRET": "of the tests",
    }
    command = ("litellm", "--config", str(config), "--host", "127.0.0.1", "--port", "{port}")
    hooked = Spawned(*command, LITELLM_WORKER_STARTUP_HOOKS=HOOKS, **variables)
    added = Spawned(
        *serve,
        "examples.litellm_app:app",
        CONFIG_FILE_PATH=str(another),
        LITELLM_WORKER_STARTUP_HOOKS=LOOK_IN,
        **variables,
    )
    wrapped = Spawned(
        *serve,
        "gateway_guard.asgi:app",
        CONFIG_FILE_PATH=str(config),
        GATEWAY_GUARD_APP="litellm.proxy.proxy_server:app",
        **variables,
    )
    with spawned(upstream, hooked, added, wrapped):
        block(hooked.address)
        yield Proxies(hooked.address, added.address, wrapped.address)


def block(proxy: str) -> None:
    """Have a key accepted by LiteLLM, then blocked by the guard."""
    with httpx.Client(base_url=proxy, timeout=30) as client:
        body = {"model": "m", "messages": QUESTION}
        reply = client.post("/v1/chat/completions", json=body, headers=bearer(BLOCKED))
        assert reply.is_success
        look(client, block=BLOCKED)


@pytest.fixture
def client(proxies: Proxies) -> Iterator[httpx.Client]:
    """Return a client of the proxy that the hook has put the guard in."""
    with httpx.Client(base_url=proxies.hooked, timeout=30) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"authorization": f"Bearer {key}"}


def look(client: httpx.Client, **asked: str) -> dict[str, Any]:
    """Return what the proxy and its guard have seen."""
    told: dict[str, Any] = client.get(SIDE_DOOR, params=asked).json()
    return told


def test_an_openai_client_has_its_answer(proxies: Proxies, client: httpx.Client) -> None:
    """It is counted under the key that asked, with its length and usage."""
    with openai.OpenAI(base_url=f"{proxies.hooked}/v1", api_key=GOOD, max_retries=0) as sdk:
        completion = sdk.chat.completions.create(model="m", messages=QUESTION)
    assert completion.choices[0].message.content == ANSWER
    assert completion.usage is not None
    assert look(client)["answer"] == {
        "status": 200,
        "completed": True,
        "chars": len(ANSWER),
        "tokens": completion.usage.completion_tokens,
    }


def test_an_anthropic_client_has_its_answer(proxies: Proxies, client: httpx.Client) -> None:
    """LiteLLM speaks its dialect and so does the guard."""
    with anthropic.Anthropic(base_url=proxies.hooked, api_key=GOOD, max_retries=0) as sdk:
        message = sdk.messages.create(model="claude", max_tokens=64, messages=QUESTION)
    assert message.content[0].type == "text"
    assert message.content[0].text == ANSWER
    assert look(client)["answer"]["tokens"] == message.usage.output_tokens


@pytest.mark.parametrize(
    ("path", "model"), [("/v1/chat/completions", "m"), ("/v1/messages", "claude")]
)
def test_a_stream_passes_unchanged(client: httpx.Client, path: str, model: str) -> None:
    """The client has the very bytes that LiteLLM sent, and the guard saw the answer's length."""
    body = {"model": model, "messages": QUESTION, "max_tokens": 64, "stream": True}
    with client.stream("POST", path, json=body, headers=bearer(GOOD)) as reply:
        pieces = list(reply.iter_raw())
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in reply.headers
    seen = look(client)
    assert seen["sent"] == sha256(b"".join(pieces)).hexdigest()
    assert seen["answer"]["completed"]
    assert seen["answer"]["chars"] == len(ANSWER)


def test_the_sdks_read_streams_as_ever(proxies: Proxies) -> None:
    """Both put the pieces of an answer together."""
    with openai.OpenAI(base_url=f"{proxies.hooked}/v1", api_key=GOOD) as sdk:
        chunks = list(sdk.chat.completions.create(model="m", messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    with (
        anthropic.Anthropic(base_url=proxies.hooked, api_key=GOOD) as claude,
        claude.messages.stream(model="claude", max_tokens=64, messages=QUESTION) as stream,
    ):
        assert stream.get_final_text() == ANSWER


def test_what_litellm_packs_is_read(client: httpx.Client) -> None:
    """It packs longer answers inside the guard, which looks into them and lets them pass."""
    headers = bearer(GOOD) | {"accept-encoding": "gzip"}
    body = {"model": "long", "messages": QUESTION}
    reply = client.post("/v1/chat/completions", json=body, headers=headers)
    assert reply.headers["content-encoding"] == "gzip"
    answer = reply.json()
    assert answer["choices"][0]["message"]["content"] == LONG
    seen = look(client)["answer"]
    assert seen["chars"] == len(LONG)
    assert seen["tokens"] == answer["usage"]["completion_tokens"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_blocked_openai_client_is_told_at_once(proxies: Proxies, *, streamed: bool) -> None:
    """It raises its typed error, with a reference, after one request."""
    with (
        openai.OpenAI(base_url=f"{proxies.hooked}/v1", api_key=BLOCKED) as sdk,
        pytest.raises(openai.PermissionDeniedError) as error,
    ):
        sdk.chat.completions.create(model="m", messages=QUESTION, stream=streamed)
    assert error.value.code == "abnormal_usage_detected"
    assert error.value.request_id
    assert error.value.request_id in error.value.message


@pytest.mark.parametrize("streamed", [False, True])
def test_a_blocked_anthropic_client_is_told_at_once(proxies: Proxies, *, streamed: bool) -> None:
    """Its error is of Anthropic's shape."""
    with (
        anthropic.Anthropic(base_url=proxies.hooked, api_key=BLOCKED) as sdk,
        pytest.raises(anthropic.PermissionDeniedError) as error,
    ):
        sdk.messages.create(model="claude", max_tokens=64, messages=QUESTION, stream=streamed)
    assert isinstance(error.value.body, dict)
    assert error.value.body["type"] == "error"
    assert error.value.body["error"]["type"] == "permission_error"


def test_a_block_holds_on_every_route_that_litellm_serves(client: httpx.Client) -> None:
    """Whatever the method and the path, pass-throughs included, LiteLLM never sees the request."""
    before = look(client)
    routes = [(method, path) for method, path in before["routes"] if method != "OPTIONS"]
    assert len(routes) > 500
    for method, path in routes:
        place = re.sub(r"\{[^}]+\}", "m", path)
        reply = client.request(method, place, json={"model": "m"}, headers=bearer(BLOCKED))
        assert reply.status_code == 403, (method, path)
        assert reply.headers["x-should-retry"] == "false", (method, path)
    assert look(client)["requests"] == before["requests"]


def test_every_route_that_asks_a_model_is_read(client: httpx.Client) -> None:
    """Each alias counts as an exchange, and is learnt from where LiteLLM answers it."""
    routes = [path for method, path in look(client)["routes"] if method == "POST"]
    answered = set()
    for path, fields in ((path, fields_for(path)) for path in routes):
        if fields is None:
            continue
        place = re.sub(r"\{[^}]+\}", "m", path)
        before = look(client)["exchanges"]
        reply = client.post(place, json={"model": "m"} | fields, headers=bearer(GOOD))
        after = look(client)["exchanges"]
        assert sum(after.values()) == sum(before.values()) + 1, path
        if reply.is_success:
            assert after["committed"] == before["committed"] + 1, path
            answered.add(path)
    assert answered >= {
        "/chat/completions",
        "/cursor/chat/completions",
        "/engines/{model:path}/completions",
        "/openai/deployments/{model:path}/chat/completions",
        "/openai/v1/responses",
        "/v1/embeddings",
        "/v1/messages",
        "/v1beta/models/{model_name:path}:streamGenerateContent",
    }


def fields_for(path: str) -> dict[str, Any] | None:
    """Return a question as it is asked on a path, ``None`` where no model is asked."""
    return next((fields for end, fields in ASKS.items() if re.search(end, path)), None)


def test_slashes_in_a_model_are_no_way_around(client: httpx.Client) -> None:
    """Encoded or not, LiteLLM takes them as part of the path, and the guard as well."""
    for place in ("/engines/a/m/chat/completions", "/engines/a%2Fm/chat/completions"):
        before = look(client)["exchanges"]
        client.post(place, json={"messages": QUESTION}, headers=bearer(GOOD))
        assert sum(look(client)["exchanges"].values()) == sum(before.values()) + 1
        refused = client.post(place, json={"messages": QUESTION}, headers=bearer(BLOCKED))
        assert refused.json()["error"]["code"] == "abnormal_usage_detected"


@pytest.mark.parametrize(
    ("place", "scheme"),
    [
        *[("authorization", scheme) for scheme in ("Bearer ", "bearer ", "Basic ")],
        ("authorization", "AWS4-HMAC-SHA256 Signature=0, Credential=Bearer "),
        ("x-litellm-api-key", "AWS4-HMAC-SHA256 Credential="),
        *[("x-litellm-api-key", scheme) for scheme in ("", "Bearer ")],
        *[("api-key", ""), ("x-api-key", ""), ("x-goog-api-key", "")],
        ("ocp-apim-subscription-key", ""),
        ("?key", ""),
    ],
)
def test_a_key_is_read_where_litellm_reads_it(
    client: httpx.Client, place: str, scheme: str
) -> None:
    """The key that LiteLLM accepts from a place is the one that is verified, or refused."""
    fresh = f"sk-{uuid4().hex}"
    assert look(client, verified=fresh)["verified"] == [False]
    assert asked_with(client, place, scheme + fresh).is_success
    assert look(client, verified=fresh)["verified"] == [True]
    assert asked_with(client, place, scheme + BLOCKED).status_code == 403


def asked_with(client: httpx.Client, place: str, value: str) -> httpx.Response:
    """Ask a question with a credential in a header or a parameter."""
    path, body = "/v1beta/models/m:generateContent", {"contents": CONTENTS}
    if place.startswith("?"):
        return client.post(path, params={place[1:]: value}, json=body)
    return client.post(path, headers={place: value}, json=body)


def test_a_key_is_read_from_the_header_that_the_operator_has_named(proxies: Proxies) -> None:
    """LiteLLM accepts keys from that header alone, and the guard has found it in its config."""
    with httpx.Client(base_url=proxies.added, timeout=30) as client:
        assert asked_with(client, "x-our-key", "Bearer sk-ours").is_success
        assert asked_with(client, "authorization", "Bearer sk-theirs").is_error
        assert look(client, verified="sk-ours")["verified"] == [True]
        assert look(client, verified="sk-theirs")["verified"] == [False]
        look(client, block="sk-ours")
        assert asked_with(client, "x-our-key", "Bearer sk-ours").status_code == 403


def test_a_pass_through_is_read(client: httpx.Client) -> None:
    """What LiteLLM hands on as it came is an exchange like any other."""
    body = {"model": "claude", "messages": QUESTION, "max_tokens": 64}
    before = look(client)["exchanges"]["committed"]
    reply = client.post("/anthropic/v1/messages", json=body, headers=bearer(GOOD))
    assert reply.json()["content"][0]["text"] == ANSWER
    seen = look(client)
    assert seen["exchanges"]["committed"] == before + 1
    assert seen["answer"]["tokens"] == reply.json()["usage"]["output_tokens"]


@pytest.mark.parametrize("behind", ["authorization", "x-api-key", "?key"])
def test_a_second_key_hides_nothing(client: httpx.Client, behind: str) -> None:
    """A good key in front of a blocked one, or behind it, is refused all the same."""
    header = {"x-litellm-api-key": GOOD}
    body = {"contents": CONTENTS}
    parameters = {"key": BLOCKED} if behind == "?key" else {}
    headers = header if parameters else header | {behind: BLOCKED}
    path = "/v1beta/models/m:generateContent"
    reply = client.post(path, params=parameters, headers=headers, json=body)
    assert reply.status_code == 403
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    "with_key",
    [
        {"additional_headers": bearer(BLOCKED)},
        {"subprotocols": ["realtime", f"openai-insecure-api-key.{BLOCKED}"]},
    ],
)
def test_a_blocked_key_opens_no_websocket(proxies: Proxies, with_key: dict[str, Any]) -> None:
    """The realtime handshake is refused, where the key stands in a browser's subprotocol too."""
    address = proxies.hooked.replace("http", "ws") + "/v1/realtime?model=m"
    with pytest.raises(InvalidStatus) as error, connect(address, **with_key):
        pass
    assert error.value.response.status_code == 403


def test_a_browser_may_ask_what_it_may_do(client: httpx.Client) -> None:
    """LiteLLM's own layers answer a preflight, whoever asks."""
    headers = bearer(BLOCKED) | {
        "origin": "https://example.com",
        "access-control-request-method": "POST",
    }
    reply = client.options("/v1/chat/completions", headers=headers)
    assert reply.status_code == 200
    assert "POST" in reply.headers["access-control-allow-methods"]


@pytest.mark.parametrize("way", ["hooked", "added", "wrapped"])
def test_each_way_of_mounting_guards_the_proxy(proxies: Proxies, way: str) -> None:
    """Questions have their answers, and what the guard does not admit LiteLLM does not see."""
    with httpx.Client(base_url=getattr(proxies, way), timeout=30) as client:
        headers = {"x-our-key": f"Bearer {GOOD}", "api-key": GOOD}
        body = {"model": "m", "messages": QUESTION}
        reply = client.post("/v1/chat/completions", json=body, headers=headers)
        assert reply.json()["choices"][0]["message"]["content"] == ANSWER
        too_large = client.post(
            "/v1/messages", json=body | {"system": "x" * 1_100_000}, headers=headers
        )
    assert too_large.status_code == 413
    assert too_large.json()["type"] == "error"


@pytest.fixture
def proxy_app(monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """Put an application that runs, and has a layer, in the place of LiteLLM's."""
    app = Starlette(middleware=[Middleware(GZipMiddleware)])
    app.middleware_stack = app.build_middleware_stack()
    module = ModuleType("litellm.proxy.proxy_server")
    vars(module)["app"] = app
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return app


def test_the_guard_is_installed_once(proxy_app: Starlette) -> None:
    """A second call leaves the guard, and what it has learnt, where it is."""
    install()
    first = guard_in(proxy_app)
    install()
    assert guard_in(proxy_app) is first
    layers: list[Any] = proxy_app.user_middleware
    assert [layer.cls for layer in layers] == [GuardMiddleware, GZipMiddleware]


@pytest.mark.usefixtures("proxy_app")
def test_a_worker_with_a_wrong_setting_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is wrong is told by the hook, and not by the first request."""
    monkeypatch.setenv("GATEWAY_GUARD_POLICY", str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        install()
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "off")
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_MODE"):
        install()


@pytest.mark.parametrize(
    ("variable", "as_options"),
    [("CONFIG_FILE_PATH", False), ("WORKER_CONFIG", False), ("WORKER_CONFIG", True)],
)
def test_keys_are_looked_for_where_the_configuration_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, *, as_options: bool
) -> None:
    """A header of one's own comes first; without one LiteLLM's own places are complete."""
    assert guard_settings().key_sources == KEY_SOURCES
    config = tmp_path / "config.yaml"
    config.write_text("general_settings: {litellm_key_header_name: X-Our-Key}", "ascii")
    options = json.dumps({"config": str(config), "debug": False})
    monkeypatch.setenv(variable, options if as_options else str(config))
    assert guard_settings().key_sources == ("x-our-key", *KEY_SOURCES)
    config.write_text("general_settings: null", "ascii")
    assert guard_settings().key_sources == KEY_SOURCES


def test_an_operator_has_the_last_word_on_places_for_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guard's own variable names is all."""
    monkeypatch.setenv("GATEWAY_GUARD_KEY_SOURCES", "x-our-key,authorization")
    assert guard_settings().key_sources == ("x-our-key", "authorization")
