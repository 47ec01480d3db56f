"""The buffer budget: no more bytes held than allowed, few of them for strangers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.buffers import BufferBudget


def test_bytes_are_reserved_until_the_budget_is_spent() -> None:
    """What does not fit is refused as a whole."""
    budget = BufferBudget(100, unverified_share=0.2)
    assert budget.reserve(60, verified=True)
    assert not budget.reserve(41, verified=True)
    assert budget.held_bytes == 60
    assert budget.reserve(40, verified=True)
    assert budget.held_bytes == 100


def test_bytes_given_back_can_be_reserved_again() -> None:
    """Once a body is gone its room is free."""
    budget = BufferBudget(100, unverified_share=0.2)
    assert budget.reserve(100, verified=True)
    budget.release(30, verified=True)
    assert budget.held_bytes == 70
    assert budget.reserve(30, verified=True)


def test_unverified_keys_share_a_small_part_of_the_budget() -> None:
    """A flood of junk keys leaves room for customers."""
    budget = BufferBudget(100, unverified_share=0.2)
    assert budget.reserve(15, verified=False)
    assert not budget.reserve(6, verified=False)
    assert budget.reserve(5, verified=False)
    assert budget.reserve(80, verified=True)
    budget.release(15, verified=False)
    assert budget.reserve(15, verified=False)


def test_unverified_keys_get_nothing_of_a_budget_that_customers_have_spent() -> None:
    """Their share is a limit, not a reserve."""
    budget = BufferBudget(100, unverified_share=0.2)
    assert budget.reserve(95, verified=True)
    assert not budget.reserve(10, verified=False)
    assert budget.held_bytes == 95


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.booleans()), max_size=60))
def test_the_budget_is_never_overdrawn_and_loses_nothing(
    steps: list[tuple[int, bool, bool]],
) -> None:
    """Lists of what is held are the oracle."""
    budget = BufferBudget(100, unverified_share=0.3)
    held: list[tuple[int, bool]] = []
    for size, verified, gives_back in steps:
        if gives_back and held:
            given_back, was_verified = held.pop()
            budget.release(given_back, verified=was_verified)
        elif budget.reserve(size, verified=verified):
            held.append((size, verified))
        assert budget.held_bytes == sum(size for size, _ in held) <= 100
        assert sum(size for size, is_verified in held if not is_verified) <= 30
    for size, verified in held:
        budget.release(size, verified=verified)
    assert budget.held_bytes == 0
    assert budget.reserve(100, verified=True)
