"""MLflow's gateway behind ``gateway_guard.asgi:app``, as the example configures it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.spawning import ROOT, Spawned, spawned
from tests.upstreams import ANSWER

if TYPE_CHECKING:
    from pathlib import Path

QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
EXAMPLE = ROOT / "examples" / "mlflow_gateway.yaml"


@pytest.fixture
def servers(tmp_path: Path) -> tuple[Spawned, Spawned]:
    """Start a model server, and the gateway with the variables that the example names."""
    example, config = EXAMPLE.read_text("utf-8"), tmp_path / "gateway.yaml"
    serve = ("uvicorn", "--port", "{port}", "--no-access-log")
    upstream = Spawned(*serve, "tests.spawned_model:app")
    config.write_text(example.replace("https://api.openai.com", upstream.address), "utf-8")
    variables = dict(re.findall(r"(GATEWAY_GUARD_\w+)=(\S+)", example))
    gateway = Spawned(
        *serve,
        "gateway_guard.asgi:app",
        MLFLOW_GATEWAY_CONFIG=str(config),
        MLFLOW_DISABLE_TELEMETRY="true",
        OPENAI_API_KEY="sk-of-the-gateway",
        GATEWAY_GUARD_MAX_BODY="1MB",
        GATEWAY_GUARD_SECRET="of the tests",
        **variables,
    )
    return upstream, gateway


def test_mlflows_gateway_is_guarded(servers: tuple[Spawned, Spawned]) -> None:
    """Each path that leads to an endpoint answers, streams too, and is counted."""
    gateway = servers[1]
    with (
        spawned(*servers),
        openai.OpenAI(base_url=f"{gateway.address}/v1", api_key="any") as sdk,
        httpx.Client(base_url=gateway.address, timeout=30) as client,
    ):
        completion = sdk.chat.completions.create(model="chat", messages=QUESTION)
        assert completion.choices[0].message.content == ANSWER
        chunks = list(sdk.chat.completions.create(model="chat", messages=QUESTION, stream=True))
        pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
        assert "".join(pieces) == ANSWER
        for path in ("/gateway/chat/invocations", "/endpoints/chat/invocations"):
            reply = client.post(path, json={"messages": QUESTION})
            assert reply.json()["choices"][0]["message"]["content"] == ANSWER
        giant = {"messages": [{"role": "user", "content": "x" * 1_100_000}]}
        assert client.post("/gateway/chat/invocations", json=giant).status_code == 413
    [summary] = [line for line in gateway.said if "gateway_guard.summary" in line]
    for counted in ("requests.openai_chat': 2", "requests.generic': 2", "exchanges.committed': 4"):
        assert counted in summary
