"""What an operator has laid down, ready to be asked on every request."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from gateway_guard.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ANSWERS_KEPT: Final = 1024
_LONGEST_KEPT: Final = 512


class Terms(msgspec.Struct, frozen=True, gc=False):
    """The part of the terms of use that a verdict stands on: what it is called, what it says."""

    title: str
    clause: str
    url: str | None = None


BUILT_IN_TERMS: Final = Terms(
    title="Terms of use",
    clause="Outputs of the service may not be collected to train a model that competes with it.",
)


class Entitlement(msgspec.Struct, frozen=True, gc=False):
    """What somebody may do unhindered, what for and until when.

    It belongs to a key, to an end user within a key, or to an organisation. ``most`` is the most
    that may be done about it: ``PASS`` or ``WATCH``; it is scored all the same.
    """

    most: Action
    purpose: str
    expires_at: float
    key: bytes | None = None
    end_user: str | None = None
    organisation: str | None = None

    @property
    def holder(self) -> tuple[bytes | None, str | None, str | None]:
        """Return who holds it: no two entitlements of a policy have the same holder."""
        return self.key, self.end_user, self.organisation


class Caller(Protocol):
    """Who sends a request, as far as entitlements are concerned."""

    @property
    def key(self) -> bytes:
        """The id of the credential."""
        ...

    @property
    def doubled(self) -> bytes | None:
        """The id of a second, different credential."""
        ...

    @property
    def organisation_name(self) -> str | None:
        """The organisation, where somebody trusted has named it."""
        ...


class TermsRule:
    """Terms for the models and routes that match globs; letter case does not matter."""

    __slots__ = ("_models", "_routes", "terms")

    def __init__(self, terms: Terms, models: Iterable[str], routes: Iterable[str]) -> None:
        """Take globs; an empty list matches everything."""
        self.terms = terms
        self._models = _compile(models)
        self._routes = _compile(routes)

    def covers(self, model: str, path: str) -> bool:
        """Tell whether a lower-case model and path are meant."""
        return bool(self._models.match(model) and self._routes.match(path))


class Policy:
    """Entitlements, names and terms, immutable once made; without arguments nothing is special."""

    def __init__(
        self,
        entitlements: Iterable[Entitlement] = (),
        names: Mapping[str, str] | None = None,
        rules: Iterable[TermsRule] = (),
    ) -> None:
        """Index what is looked up per request."""
        self.entitlements = tuple(entitlements)
        self._by_holder = {entry.holder: entry for entry in self.entitlements}
        self._names = dict(names or {})
        self._keys = {entry.key for entry in self.entitlements}
        self._rules = tuple(rules)
        self._cached_terms = lru_cache(maxsize=_ANSWERS_KEPT)(self._find_terms)

    def ceiling(self, caller: Caller, end_user: str | None, now: float) -> Action:
        """Return the most that may be done about a request at a wall-clock instant.

        ``BLOCK`` is no limit. The closest entitlement that has not expired decides: the end
        user's, the key's, then the organisation's. Of two credentials the less privileged decides.
        """
        most = self._most(caller.key, end_user, caller.organisation_name, now)
        if caller.doubled is None:
            return most
        return max(most, self._most(caller.doubled, end_user, caller.organisation_name, now))

    def entitles_users_of(self, key: bytes, now: float) -> bool:
        """Tell whether an end user within a key may do more than the key itself."""
        return any(
            entry.key == key and entry.end_user is not None and now < entry.expires_at
            for entry in self.entitlements
        )

    def terms_for(self, model: str, path: str) -> Terms | None:
        """Return the terms for a model at a decoded path without ``root_path``.

        ``None`` means that the operator's terms leave them out, so they are at most watched.
        """
        if not self._rules:
            return BUILT_IN_TERMS
        if len(model) + len(path) > _LONGEST_KEPT:
            return self._find_terms(model, path)
        return self._cached_terms(model, path)

    def name_of(self, key_id: str) -> str | None:
        """Return the name that the operator gave to a key's id, if any."""
        return self._names.get(key_id)

    def renamed(self, former: bytes, key: bytes) -> Policy | None:
        """Return a policy in which a key has what was laid down for its former id.

        ``None`` where nothing was, or the key has it already.
        """
        old, new = former.hex(), key.hex()
        named = old in self._names and new not in self._names
        entitled = former in self._keys and key not in self._keys
        if not named and not entitled:
            return None
        entries = [entry for entry in self.entitlements if entitled and entry.key == former]
        more = [msgspec.structs.replace(entry, key=key) for entry in entries]
        names = self._names | ({new: self._names[old]} if named else {})
        return Policy((*self.entitlements, *more), names, self._rules)

    def expired(self, now: float) -> tuple[Entitlement, ...]:
        """Return the entitlements that no longer count."""
        return tuple(entry for entry in self.entitlements if entry.expires_at <= now)

    def _most(
        self, key: bytes, end_user: str | None, organisation: str | None, now: float
    ) -> Action:
        """Return the most that the closest valid entitlement of one credential allows."""
        if not self._by_holder:
            return Action.BLOCK
        holders = (key, end_user, None), (key, None, None), (None, None, organisation)
        for holder in holders:
            found = self._by_holder.get(holder)
            if found is not None and now < found.expires_at:
                return found.most
        return Action.BLOCK

    def _find_terms(self, model: str, path: str) -> Terms | None:
        """Return the terms of the first rule that covers a model at a path."""
        model, path = model.strip().lower(), path.lower()
        return next((rule.terms for rule in self._rules if rule.covers(model, path)), None)


def _compile(globs: Iterable[str]) -> re.Pattern[str]:
    """Return one pattern that matches what any of the globs does."""
    return re.compile("|".join(translate(glob.lower()) for glob in globs))
