"""A model server for a process of its own, to stand behind other people's gateways."""

from tests.upstreams import Model

app = Model().in_starlette()
