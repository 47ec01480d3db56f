"""Where the dialects of OpenAI are spoken: under any prefix, known by how the path ends."""

from __future__ import annotations

import re


class Place:
    """The paths that end in one suffix, some of which name a model on the way."""

    __slots__ = ("_model", "_suffix")

    def __init__(self, suffix: str) -> None:
        """Know the paths by a suffix that begins with a slash."""
        self._suffix = suffix
        self._model = re.compile(rf"/(?:engines|deployments)/(.+){re.escape(suffix)}\Z")

    def holds(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(self._suffix)

    def model_in(self, path: str) -> str | None:
        """Return the model that the path names; servers prefer it to the one in the body."""
        if "/engines/" not in path and "/deployments/" not in path:
            return None
        match = self._model.search(path.rstrip("/"))
        return match and match[1]
