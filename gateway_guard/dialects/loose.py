"""Make typed values of plain ones, where a wrong type in one place must not lose the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from gateway_guard.dialects.bounds import MOST_STRING_DEPTH, OBJECT_COST, Budget, check_bound
from gateway_guard.dialects.decoding import decode

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
N = TypeVar("N", int, float, bool)
Mend = Callable[[dict[str, object], Budget], dict[str, object]]
Menders = Mapping[type[msgspec.Struct], Mend]

_RAW = (msgspec.Raw,)
_ENCODED = re.compile(r"(?:data:[^\s,]{0,100},)?[A-Za-z0-9+/=_-]{256}")


def loosely(value: object, kind: type[T], menders: Menders | None = None) -> T | None:
    """Return a plain value as a struct: a field of a wrong type is left at its default.

    Args:
        value: what a JSON parser returned.
        kind: the struct; its fields may be scalars, structs, lists, dicts, unions of these, or raw.
        menders: for a kind of struct, what rewrites the object it is made from.

    Returns:
        The struct, or ``None`` where the value is no JSON object.

    Raises:
        TooLargeError: there is more in it than is looked at.

    """
    if not isinstance(value, dict):
        return None
    return _Fitting(menders or {}).struct(value, kind)


def read_as(
    body: bytes,
    decoder: msgspec.json.Decoder[T],
    menders: Menders,
    make: Callable[[T], R | None],
) -> R | None:
    """Return what ``make`` makes of a JSON body, read by its types first and loosely if need be.

    Raises:
        msgspec.DecodeError: the body is no JSON to msgspec, which can raise the other kinds of
            ``lenient.UNREADABLE`` too.
        TooLargeError: there is more in it than is looked at.

    """
    try:
        return make(decoder.decode(body))
    except msgspec.ValidationError:
        request = loosely(decode(body), decoder.type, menders)
        return None if request is None else make(request)


def strings_in(value: object, budget: Budget, depth: int = MOST_STRING_DEPTH) -> Iterator[str]:
    """Yield the strings below a plain value, save the names of types and base64.

    Raises:
        TooLargeError: there is more in it, or deeper down, than is looked at.

    """
    waiting = [iter((value,))]
    while waiting:
        for item in waiting[-1]:
            budget.spend()
            check_bound(len(waiting), depth)
            if isinstance(item, str):
                if not _ENCODED.match(item):
                    yield item
            elif isinstance(item, list | dict):
                waiting.append(iter(_items_of(item)))
                break
        else:
            waiting.pop()


def _items_of(value: list[object] | dict[str, object]) -> Iterable[object]:
    if isinstance(value, list):
        return value
    return (item for name, item in value.items() if name != "type")


def coerced(value: object, kind: type[N]) -> N | None:
    """Return a scalar as a number or truth value as servers coerce it, else ``None``."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


class _Fitting:
    """Makes one value and what is inside it, within a budget."""

    __slots__ = ("_budget", "_menders")

    def __init__(self, menders: Menders) -> None:
        self._menders = menders
        self._budget = Budget()

    def struct(self, data: dict[str, object], kind: type[T]) -> T:
        self._budget.spend(OBJECT_COST)
        mend = self._menders.get(kind)
        if mend is not None:
            data = mend(data, self._budget)
        fields = {}
        for name, wire_name, options in _fields_of(kind):
            value = data.get(wire_name)
            made = None if value is None else self._fit(value, options)
            if made is not None:
                fields[name] = made
        return kind(**fields)

    def _fit(self, value: object, options: tuple[Any, ...]) -> object:
        if options == _RAW:
            return msgspec.Raw(msgspec.json.encode(value))
        if isinstance(value, dict):
            return self._fit_object(value, options)
        if isinstance(value, list):
            return self._fit_list(value, options)
        return _fit_scalar(value, options)

    def _fit_object(self, data: dict[str, object], options: tuple[Any, ...]) -> object:
        for option in options:
            if option is Any:
                return data
            if get_origin(option) is dict:
                return self._fit_values(data, _options_of(get_args(option)[1]))
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                return self.struct(data, option)
        return None

    def _fit_values(self, data: dict[str, object], wanted: tuple[Any, ...]) -> object:
        if wanted in {(Any,), (object,)}:
            return data
        self._budget.spend(len(data))
        made = {name: self._fit(value, wanted) for name, value in data.items()}
        return {name: value for name, value in made.items() if value is not None}

    def _fit_list(self, items: list[object], options: tuple[Any, ...]) -> object:
        for option in options:
            if option is Any:
                return items
            if get_origin(option) is list:
                self._budget.spend(len(items))
                wanted = _options_of(get_args(option)[0])
                made = (self._fit(item, wanted) for item in items if item is not None)
                return [item for item in made if item is not None]
        return None


def _fit_scalar(value: object, options: tuple[object, ...]) -> object:
    for option in options:
        if option is Any or type(value) is option:
            return value
    if str in options:
        return str(value)
    made = (coerced(value, option) for option in (bool, int, float) if option in options)
    return next((scalar for scalar in made if scalar is not None), None)


@cache
def _fields_of(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    fields = msgspec.structs.fields(kind)
    return tuple((field.name, field.encode_name, _options_of(field.type)) for field in fields)


def _options_of(kind: object) -> tuple[Any, ...]:
    if get_origin(kind) in {Union, UnionType}:
        return tuple(option for option in get_args(kind) if option is not NoneType)
    return (kind,)
