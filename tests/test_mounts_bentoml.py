"""The example for BentoML, served by BentoML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.spawning import Spawned, spawned

if TYPE_CHECKING:
    from pathlib import Path

QUESTION: Any = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def server(tmp_path: Path) -> Spawned:
    """Start the service as its description says."""
    return Spawned(
        *("bentoml", "serve", "examples.bentoml_service:Echo"),
        *("--host", "127.0.0.1", "--port", "{port}"),
        ready="Service Echo initialized",
        BENTOML_HOME=str(tmp_path),
        BENTOML_DO_NOT_TRACK="True",
        GATEWAY_GUARD_MAX_BODY="1MB",
        GATEWAY_GUARD_SECRET="of the tests",
    )


def test_a_service_of_bentoml_is_guarded(server: Spawned) -> None:
    """Mounted applications and BentoML's own routes answer, and are counted; giants are refused."""
    with (
        spawned(server),
        openai.OpenAI(base_url=f"{server.address}/v1", api_key="sk-me") as sdk,
        httpx.Client(base_url=server.address, headers={"x-api-key": "sk-me"}) as client,
    ):
        completion = sdk.chat.completions.create(model="m", messages=QUESTION)
        assert completion.choices[0].message.content == "Hello?"
        assert client.post("/generate", json={"prompt": "Hello?"}).text == "Hello?"
        refused = client.post("/generate", json={"prompt": "x" * 1_100_000})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")
    [summary] = [line for line in server.said if "gateway_guard.summary" in line]
    for counted in ("requests.openai_chat': 1", "requests.generic': 1", "exchanges.committed': 2"):
        assert counted in summary
