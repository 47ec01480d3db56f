"""The buffer budget: no more bytes held than allowed, and nobody keeps the others out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.buffers import SMALL_BODY_BYTES, BufferBudget, HeldBody

MIB = 2**20


def budget_of(total: int = 1_000, share: float = 0.2, largest: int = 1_000) -> BufferBudget:
    """Return a budget; where one body may fill it, it has no spare part."""
    return BufferBudget(total, share, largest)


def taken(budget: BufferBudget, caller: bytes, size: int, *, verified: bool = True) -> HeldBody:
    """Hold a body that there is room for."""
    body = HeldBody(budget, caller, verified=verified)
    assert body.take(b"x" * size)
    return body


def has_room(budget: BufferBudget, caller: bytes, size: int, *, verified: bool = True) -> bool:
    """Tell whether there is room for one more body."""
    body = HeldBody(budget, caller, verified=verified)
    found = body.take(b"x" * size)
    body.let_go()
    return found


def test_bytes_are_reserved_until_the_budget_is_spent() -> None:
    """What does not fit is refused as a whole."""
    budget = budget_of()
    taken(budget, b"a", 600)
    assert not has_room(budget, b"b", 401)
    assert budget.held_bytes == 600
    taken(budget, b"b", 400)
    assert budget.held_bytes == 1_000


def test_bytes_given_back_can_be_reserved_again() -> None:
    """Once a body is gone its room is free, and nobody is remembered for it."""
    budget = budget_of()
    body = taken(budget, b"a", 1_000)
    assert not has_room(budget, b"b", 1)
    body.let_go()
    body.let_go()
    assert budget.held_bytes == budget.callers == 0
    assert has_room(budget, b"b", 1_000)


def test_a_body_is_held_in_one_piece_and_let_go_once() -> None:
    """However many pieces it came in, and whether or not all of it could be counted."""
    budget = budget_of(10, 1.0, 10)
    body = HeldBody(budget, b"a", verified=True)
    assert [body.take(chunk) for chunk in (b"", b"ab", b"", b"cd", b"ef")] == [True] * 5
    assert (body.read(), body.counted_bytes, budget.held_bytes) == (b"abcdef", 6, 6)
    assert not body.take(b"too much")
    assert budget.held_bytes == 6
    assert body.let_go() == b"abcdeftoo much"
    assert body.let_go() == b""
    assert budget.held_bytes == 0


def test_unverified_keys_share_a_small_part_of_the_budget() -> None:
    """A flood of junk keys leaves room for customers."""
    budget = budget_of()
    body = taken(budget, b"a", 150, verified=False)
    assert not has_room(budget, b"b", 60, verified=False)
    taken(budget, b"b", 50, verified=False)
    taken(budget, b"c", 800)
    body.let_go()
    assert has_room(budget, b"b", 150, verified=False)


def test_unverified_keys_get_nothing_of_a_budget_that_customers_have_spent() -> None:
    """Their share is a limit, not a reserve."""
    budget = budget_of()
    taken(budget, b"a", 950)
    assert not has_room(budget, b"b", 100, verified=False)
    assert budget.held_bytes == 950


def test_a_caller_holds_a_quarter_at_most() -> None:
    """However many connections it opens; the others have the rest."""
    budget = budget_of(160 * MIB, largest=MIB)
    for _ in range(40):
        taken(budget, b"a", MIB)
    assert not has_room(budget, b"a", MIB)
    assert has_room(budget, b"b", MIB)


def test_a_caller_has_room_for_one_body_of_the_largest_size() -> None:
    """Where that is more than a quarter."""
    budget = budget_of(16 * MIB, 0.5, 6 * MIB)
    assert has_room(budget, b"a", 6 * MIB)
    assert has_room(budget, b"b", 6 * MIB, verified=False)
    taken(budget, b"a", 5 * MIB)
    assert not has_room(budget, b"a", 2 * MIB)
    assert has_room(budget, b"b", 6 * MIB)


def test_small_bodies_of_others_find_room_when_large_ones_fill_the_rest() -> None:
    """A sixteenth is spare, for the beginnings of bodies only; no caller has more than a part."""
    budget = budget_of(64 * MIB, 0.5, MIB)
    for number in range(60):
        taken(budget, b"%d" % (number % 4), MIB)
    assert not has_room(budget, b"e", SMALL_BODY_BYTES + 1)
    assert not has_room(budget, b"f", MIB, verified=False)
    small = [taken(budget, b"e", SMALL_BODY_BYTES) for _ in range(16)]
    assert not has_room(budget, b"e", SMALL_BODY_BYTES)
    assert has_room(budget, b"f", SMALL_BODY_BYTES, verified=False)
    grown = small[0]
    assert not grown.take(b"x")
    for body in small:
        body.let_go()
    assert budget.held_bytes == 60 * MIB
    assert budget.callers == 4


def test_newcomers_of_other_networks_find_room_when_one_network_fills_their_share() -> None:
    """With the sizes that are set by default."""
    budget = budget_of(128 * MIB, 0.25, 32_000_000)
    taken(budget, b"a", 31_900_000, verified=False)
    assert not has_room(budget, b"a", 1_654_432, verified=False)
    taken(budget, b"b", 100_000, verified=False)
    assert not has_room(budget, b"b", 100_000, verified=False)
    assert has_room(budget, b"b", 60_000, verified=False)
    assert has_room(budget, b"c", 32_000_000)


STEPS = st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 60), st.booleans())


@given(st.lists(STEPS, max_size=80), st.integers(0, 100))
def test_the_budget_is_never_overdrawn_and_loses_nothing(
    steps: list[tuple[bytes, int, bool]], largest: int
) -> None:
    """Lists of what is held are the oracle; the first caller is verified."""
    budget = budget_of(100, 0.3, largest)
    held: list[HeldBody] = []
    for caller, size, gives_back in steps:
        if gives_back and held:
            held.pop(size % len(held)).let_go()
        body = HeldBody(budget, caller, verified=caller == b"a")
        body.take(b"x" * size)
        held.append(body)
        assert budget.held_bytes == sum(body.counted_bytes for body in held) <= 100
        assert sum(body.counted_bytes for body in held if not body.verified) <= 30
        assert budget.callers == len({body.caller for body in held if body.counted_bytes})
    for body in held:
        body.let_go()
    assert budget.held_bytes == budget.callers == 0
