# SPDX-License-Identifier: GPL-3.0-or-later
"""Courses, splats and hints: against recordings, against slow ones, and what they must conserve."""

from __future__ import annotations

from math import ceil, floor

import pytest
import torch
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from backend.models import splat
from backend.models.cinemagraph.euler import Course
from backend.models.cinemagraph.hints import dense
from backend.models.cinemagraph.loop import Moved
from backend.models.cinemagraph.video import Seen
from tests.parity import cinemagraph as fixture
from tests.parity.cinemagraph import CLOSE, io, off


@pytest.mark.shared
@fixture.needs_shared[1]
@pytest.mark.parametrize("flow", ["uniform", "vortex", "smooth"])
def test_courses_are_the_reference_s_to_the_bit(flow: str) -> None:
    given = io("euler")
    ahead, back = (Course(sign * given[f"{flow}.motion"], 30) for sign in (1, -1))
    for steps in (0, 1, 2, 7, 30):
        away, seen = ahead.after(steps)
        assert off(away, given[f"{flow}.fwd{steps}"]) == 0
        assert off(seen, given[f"{flow}.fwd{steps}_visible"]) == 0
    for steps in (7, 30):
        assert off(back.after(steps)[0], given[f"{flow}.bwd{steps}"]) == 0


@pytest.mark.shared
@fixture.needs_shared[1]
def test_splats_are_the_reference_s() -> None:
    given = io("splat")
    x, flow, metric = given["x"], given["flow"], given["metric"]
    assert off(splat.splat(x, flow), given["out_sum"]) < CLOSE
    assert off(splat.average(x, flow), given["out_avg"]) < CLOSE
    assert off(splat.average(x, flow, metric.abs() + 0.05), given["out_linear"]) < CLOSE
    assert off(splat.softmax(x, flow, metric), given["out_softmax"]) < CLOSE


@pytest.mark.shared
@fixture.needs_shared[1]
def test_drawn_arrows_become_the_reference_s_hint() -> None:
    given = io("hints_user")
    start, end = given["points"].unbind(1)
    mask = given["mask_in"][None, None]
    hint = dense(start, (end - start) / 50, mask, float(given["sigma"]))
    hint *= torch.tensor((96 / 128, 96 / 72))[:, None, None]
    made = functional.interpolate(hint, (96, 96), mode="bilinear", align_corners=False)
    assert off(made, given["hint_out"]) < CLOSE


def test_all_hints_far_away_still_say_something() -> None:
    mask = torch.ones(1, 1, 4, 4)
    hint = dense(torch.tensor([[1e4, 0.0]]), torch.tensor([[3.0, -2.0]]), mask, 1.0)
    assert off(hint, torch.tensor((3.0, -2.0))[None, :, None, None].expand(1, 2, 4, 4)) == 0


def random_flow(seed: int, height: int, width: int, most: float) -> Tensor:
    noise = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(seed))
    return most * functional.avg_pool2d(noise, 5, stride=1, padding=2) * 3


def one_by_one(flow: Tensor, steps: int) -> Tensor:
    """Displacements after so many steps, begun anew: the way it was done for each frame."""
    _, _, height, width = flow.shape
    result = torch.full_like(flow, max(height, width) + 1)
    for row in range(height):
        for column in range(width):
            x = torch.tensor(float(column))
            y = torch.tensor(float(row))
            for _ in range(steps):
                here = flow[0, :, int(y.round()), int(x.round())]
                x, y = x + here[0], y + here[1]
                if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
                    break
            else:
                result[0, :, row, column] = torch.stack((x - column, y - row))
    return result


@pytest.mark.parametrize("order", ["up", "down", "wild"])
def test_one_integration_gives_what_integrating_for_each_frame_gives(order: str) -> None:
    flow, count = random_flow(1, 9, 12, 1.5), 11
    course = Course(flow, count)
    frames = list(range(count + 1))
    frames = {"up": frames, "down": frames[::-1], "wild": [5, 11, 0, 7, 6, 5, 2, 10]}[order]
    for steps in frames:
        away, seen = course.after(steps)
        assert off(away, one_by_one(flow, steps)) == 0
        assert bool((seen == (away[:, :1].abs() <= 12)).all())


@pytest.mark.parametrize(("order", "most"), [(1, 60), (-1, 120)], ids=["up", "down"])
def test_a_loop_integrates_once_not_once_for_each_frame(order: int, most: int) -> None:
    course = Course(random_flow(2, 8, 8, 0.3), 60)
    for steps in range(61)[::order]:
        course.after(steps)
    assert course.made <= most


def test_a_long_course_keeps_the_square_root_of_its_states() -> None:
    flow = random_flow(3, 8, 8, 0.01)

    def most(steps: int) -> int:
        course = Course(flow, steps)
        held = 0
        for step in range(steps, -1, -1):
            course.after(step)
            held = max(held, course.bytes_held)
        return held

    assert most(900) < 6 * most(36)  # and not 25 times


@pytest.mark.parametrize("steps", [0, 29, 30, 899, 900])
def test_a_long_way_can_be_left_between_its_parts(steps: int) -> None:
    flow = random_flow(3, 8, 8, 0.01)
    course, plain = Course(flow, 900), Course(flow, 900)
    before = 0
    for _ in course.reaching(steps):
        assert 0 < course.made - before <= 30
        before = course.made
    assert off(course.after(steps)[0], plain.after(steps)[0]) == 0
    assert course.made - before <= 30


@pytest.mark.parametrize("steps", [-1, 6])
def test_no_course_goes_beyond_its_end(steps: int) -> None:
    with pytest.raises(ValueError, match="of 5"):
        Course(torch.zeros(1, 2, 4, 4), 5).after(steps)


def slowly(values: Tensor, flow: Tensor) -> Tensor:
    """The same sum, pixel by pixel, in double precision."""
    result = torch.zeros_like(values, dtype=torch.float64)
    batch, _, height, width = values.shape
    for n in range(batch):
        for row in range(height):
            for column in range(width):
                x = float(flow[n, 0, row, column]) + column
                y = float(flow[n, 1, row, column]) + row
                for down in (floor(y), floor(y) + 1):
                    for across in (floor(x), floor(x) + 1):
                        if 0 <= down < height and 0 <= across < width:
                            share = (1 - abs(y - down)) * (1 - abs(x - across))
                            result[n, :, down, across] += share * values[n, :, row, column].double()
    return result


def test_splats_are_those_of_a_slow_double_loop() -> None:
    torch.manual_seed(0)
    values, flow = torch.randn(2, 3, 11, 7), torch.cat([random_flow(s, 11, 7, 4) for s in (1, 2)])
    assert off(splat.splat(values, flow), slowly(values, flow)) < CLOSE


@settings(max_examples=40, deadline=None)
@given_any(st.integers(0, 10**6), st.floats(0, 2.5))
def test_what_lands_inside_is_conserved(seed: int, most: float) -> None:
    """The sum of all cells is the sum of all values, if nothing leaves the picture."""
    values = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(seed)).double()
    flow = random_flow(seed, 16, 16, most)
    inner = torch.zeros(1, 1, 16, 16)
    reach = min(7, ceil(float(flow.abs().max())) + 1)
    inner[..., reach:-reach, reach:-reach] = 1
    landed = splat.splat(values * inner, flow)
    torch.testing.assert_close(landed.sum((2, 3)), (values * inner).sum((2, 3)))


def test_a_still_flow_changes_nothing() -> None:
    values, still = torch.randn(1, 3, 6, 5), torch.zeros(1, 2, 6, 5)
    assert splat.splat(values, still).equal(values)
    assert off(splat.softmax(values, still, torch.randn(1, 1, 6, 5)), values) < CLOSE


def test_a_whole_step_moves_whole_pixels_and_drops_what_leaves() -> None:
    values, flow = torch.randn(1, 2, 5, 6), torch.zeros(1, 2, 5, 6)
    flow[:, 0] = 2
    landed = splat.splat(values, flow)
    assert landed[..., 2:].equal(values[..., :-2])
    assert not landed[..., :2].any()


def test_a_mean_lies_between_what_it_is_made_of_and_holes_are_nothing() -> None:
    values, flow = torch.rand(1, 1, 12, 12) + 1, random_flow(4, 12, 12, 3)
    made = splat.average(values, flow)
    hole = splat.splat(torch.ones_like(values), flow) == 0
    assert hole.any()
    assert not made[hole].any()
    assert float(made[~hole].min()) >= 1 - CLOSE
    assert float(made.max()) <= 2 + CLOSE


def test_the_more_important_covers_the_less_and_great_importance_does_not_overflow() -> None:
    values = torch.tensor([[[[1.0, 5.0]]]])
    flow = torch.tensor([[[[0.0, -1.0]], [[0.0, 0.0]]]])
    for high in (20.0, 1000.0):
        made = splat.softmax(values, flow, torch.tensor([[[[0.0, high]]]]))
        assert abs(float(made[0, 0, 0, 0]) - 5) < CLOSE


def test_what_has_no_finite_place_is_dropped() -> None:
    values, flow = torch.ones(1, 1, 1, 3), torch.zeros(1, 2, 1, 3)
    flow[0, 0, 0, 0], flow[0, 1, 0, 1] = float("nan"), float("inf")
    assert splat.splat(values, flow).flatten().tolist() == [0, 0, 1]


def test_a_loop_of_features_closes_and_conserves_a_plain_picture() -> None:
    flow = random_flow(5, 20, 24, 0.4)
    seen = Seen(torch.randn(1, 3, 20, 24), torch.randn(1, 1, 20, 24))
    moved = Moved(seen, flow, 9)
    assert off(moved.at(0), seen.features) < CLOSE
    assert off(moved.at(9), seen.features) < CLOSE
    plain = Moved(Seen(torch.full((1, 1, 20, 24), 0.7), seen.importance), flow, 9).at(4)
    there = plain != 0
    assert off(plain[there], torch.full_like(plain[there], 0.7)) < CLOSE
