from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.network import SCHEDULES
from nas.network.schedules import rate_factor

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES)
falling_schedules = pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "coslog4"])
ENDS = {"constant": 1.0, "step": 0.01, "cosine": 0.0, "coslog4": 0.0, "flat_cosine": 0.0}
"""The factor that each schedule comes down to."""


def factors(schedule: str, total: int, warmup: float) -> list[float]:
    return [rate_factor(schedule, step, total, warmup) for step in range(total)]


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        ("constant", 0.0, 1.0),
        ("constant", 0.9, 1.0),
        ("step", 0.0, 1.0),
        ("step", 0.499, 1.0),
        ("step", 0.5, 0.1),
        ("step", 0.749, 0.1),
        ("step", 0.75, 0.01),
        ("cosine", 0.0, 1.0),
        ("cosine", 1 / 3, 0.75),
        ("cosine", 0.5, 0.5),
        ("cosine", 2 / 3, 0.25),
        ("coslog4", 0.0, 0.0),
        ("coslog4", (2**0.25 - 1) / 15, 0.5),
        ("coslog4", (2**0.5 - 1) / 15, 1.0),
        ("coslog4", 1 / 15, 0.0),  # 1, 2, 4 and 8 fifteenths: the lengths of the cosines
        ("coslog4", 3 / 15, 0.0),
        ("coslog4", (8**0.5 - 1) / 15, 1.0),
        ("coslog4", (2**3.5 - 1) / 15, 1.0),
        ("flat_cosine", 0.0, 1.0),
        ("flat_cosine", 0.5, 1.0),
        ("flat_cosine", 2 / 3, 0.75),
        ("flat_cosine", 5 / 6, 0.25),
    ],
)
def test_factors_worked_out_by_hand(schedule: str, progress: float, expected: float) -> None:
    # Rounding of a cosine, whose derivative is 0 at 0: 1e-15 of its argument is 1e-30 of its value.
    assert SCHEDULES[schedule](progress) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_warm_up_rises_in_equal_parts_and_hands_over_to_the_schedule() -> None:
    # 4 of 10 steps rise; the cosine then runs over the other 6.
    cosine = [0.5 * (1 + math.cos(math.pi * k / 6)) for k in range(6)]
    assert factors("cosine", 10, 0.4) == pytest.approx([0.25, 0.5, 0.75, 1.0, *cosine], rel=1e-12)


@falling_schedules
def test_schedules_begin_at_the_full_rate(schedule: str) -> None:
    assert SCHEDULES[schedule](0.0) == 1.0


@every_schedule
def test_schedules_end_where_they_should(schedule: str) -> None:
    # One step of 10,000 before the end, a cosine is (pi / 20,000)² = 2.5e-8 above 0, and the last of coslog4,
    # which is as steep as its logarithm there, (15 pi / (16 log 2 · 10,000))² = 1.8e-7.
    assert factors(schedule, 10_000, 0.0)[-1] == pytest.approx(ENDS[schedule], abs=2e-7)


def test_four_cosines_stay_between_0_and_1_with_a_mean_near_a_half() -> None:
    values = factors("coslog4", 10_000, 0.0)
    assert 0 <= min(values) < max(values) <= 1
    assert sum(earlier < 0.5 <= later for earlier, later in pairwise(values)) == 4
    # With u = log2(1 + 15 t) the mean is the integral of sin²(pi u) 2^u log(2) / 15 from 0 to 4.
    share = 0.5 * (1 - math.log(2) ** 2 / (math.log(2) ** 2 + (2 * math.pi) ** 2))
    assert sum(values) / len(values) == pytest.approx(share, abs=1e-3)


@falling_schedules
@given(points=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=20))
def test_schedules_never_rise_and_stay_between_0_and_1(schedule: str, points: list[float]) -> None:
    values = [SCHEDULES[schedule](progress) for progress in sorted(points)]
    assert all(0 <= value <= 1 for value in values)
    # Cosines of neighbours may be out of order by their rounding.
    assert all(later <= earlier + 1e-15 for earlier, later in pairwise(values))


@falling_schedules
@given(total=st.integers(1, 200), warmup=st.floats(0, 1))
@settings(max_examples=50)
def test_a_warm_up_rises_to_1_and_the_rest_falls_from_there(schedule: str, total: int, warmup: float) -> None:
    values, rising = factors(schedule, total, warmup), int(warmup * total)
    assert all(earlier < later for earlier, later in pairwise(values[:rising]))
    assert all(value == 1 for value in values[max(0, rising - 1) : rising])
    assert values[rising:] == factors(schedule, total - rising, 0.0)
    assert all(0 < value <= 1 for value in values)


@falling_schedules
def test_without_a_warm_up_the_first_step_has_the_full_rate(schedule: str) -> None:
    assert rate_factor(schedule, 0, 50, 0.0) == 1
    assert rate_factor(schedule, 0, 1, 0.0) == 1
