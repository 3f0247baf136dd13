# SPDX-License-Identifier: GPL-3.0-or-later
"""Timing in real Blender: settings become wishes, charts are drawn by the artist and shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

from blender_addon import charts
from blender_addon.panels import chart
from blender_addon.panels.timing import TWEENCEL_PT_timing
from blender_addon.presets import preset_script
from blender_addon.properties import fit_gaps, wish_of
from blender_addon.shot import GapWish, Key, Repeat, Shot, Tick, Wish, gap_views, plan
from protocol.errors import BadInput
from protocol.timing import Curve, Spacing, spaced
from tests.blender.stage import Recorder, Stage, stage

PALETTE = chart.Palette((0.9, 0.9, 0.9, 1.0))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def draw() -> Recorder:
    layout = Recorder()
    TWEENCEL_PT_timing.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def bend(owner: object, *points: tuple[float, float]) -> None:
    """Move the artist's curve through more points."""
    mapping = charts.node_of(owner).mapping
    for point in points:
        mapping.curves[0].points.new(*point)
    mapping.update()


# Settings ---------------------------------------------------------------------------------------


def test_untouched_settings_are_the_usual_wish(at: Stage) -> None:
    assert wish_of(at.settings) == Wish()


def test_what_an_earlier_release_saved_keeps_its_meaning(at: Stage) -> None:
    """It knew of a gap only `own` and `count`."""
    at.settings.step, at.settings.spacing = 2, "slow_out"
    fit_gaps(at.settings, [5, 5])
    at.settings.gaps[1].own, at.settings.gaps[1].count = True, 3
    assert wish_of(at.settings) == Wish(
        step=2,
        spacing=Spacing.SLOW_OUT,
        per_gap={1: GapWish(count=3, step=2, chart=Spacing.SLOW_OUT)},
    )


def test_a_gap_may_have_everything_of_its_own(at: Stage) -> None:
    fit_gaps(at.settings, [5])
    gap = at.settings.gaps[0]
    gap.own, gap.fill, gap.on, gap.hold, gap.spacing = True, True, "2", 4, "slow_in"
    assert wish_of(at.settings).of(0) == GapWish(None, 2, 4, Spacing.SLOW_IN)
    gap.on, gap.step, gap.cut = "other", 6, True
    assert wish_of(at.settings).of(0) == GapWish(None, 6, 4, Spacing.SLOW_IN, cut=True)


def test_repeats_and_even_motion_reach_the_wish(at: Stage) -> None:
    at.settings.repeat, at.settings.closing, at.settings.even_motion = "cycle", 7, True
    wish = wish_of(at.settings)
    assert (wish.repeat, wish.closing, wish.even_motion) == (Repeat.CYCLE, 7, True)
    at.settings.repeat = "ping_pong"
    assert wish_of(at.settings).repeat is Repeat.PING_PONG


# Charts that the artist draws -------------------------------------------------------------------


def test_a_drawn_chart_starts_even_and_follows_the_curve(at: Stage) -> None:
    at.settings.spacing = "custom"
    assert spaced(3, wish_of(at.settings).spacing) == pytest.approx((0.25, 0.5, 0.75), abs=1e-4)
    bend(at.settings, (0.5, 0.2))
    bent = wish_of(at.settings).spacing
    assert isinstance(bent, Curve)
    assert spaced(1, bent) == pytest.approx((0.2,), abs=1e-3)


def test_each_gap_has_a_curve_of_its_own(at: Stage) -> None:
    fit_gaps(at.settings, [5, 5])
    for gap in at.settings.gaps:
        gap.own, gap.spacing = True, "custom"
    bend(at.settings.gaps[1], (0.5, 0.8))
    wish = wish_of(at.settings)
    assert spaced(1, wish.of(0).chart) == pytest.approx((0.5,), abs=1e-3)
    assert spaced(1, wish.of(1).chart) == pytest.approx((0.8,), abs=1e-3)


def test_a_curve_that_runs_back_is_refused_with_its_gap(at: Stage) -> None:
    at.settings.spacing = "custom"
    bend(at.settings, (0.4, 0.9), (0.6, 0.1))
    shot = Shot("hop", (Key(Path("a"), 1), Key(Path("b"), 13)))
    with pytest.raises(BadInput, match="Gap 1: The spacing chart stands still or runs back"):
        plan(shot, wish_of(at.settings))


def test_a_drawn_chart_is_saved_with_the_file(at: Stage) -> None:
    at.settings.spacing = "custom"
    bend(at.settings, (0.5, 0.2))
    before = wish_of(at.settings)
    path = at.save()
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert wish_of(at.settings) == before


def test_choosing_custom_again_keeps_the_curve(at: Stage) -> None:
    at.settings.spacing = "custom"
    bend(at.settings, (0.5, 0.2))
    before = wish_of(at.settings)
    at.settings.spacing = "even"
    at.settings.spacing = "custom"
    assert wish_of(at.settings) == before


def test_a_preset_with_a_drawn_chart_gives_a_curve_to_a_file_that_has_none(at: Stage) -> None:
    at.settings.spacing = "custom"
    script = preset_script(at.settings)
    bpy.ops.wm.read_homefile(use_empty=True)
    exec(script, {})
    assert charts.node_of(at.settings) is not None
    assert isinstance(wish_of(at.settings).spacing, Curve)


def test_the_curve_of_a_gap_that_is_no_more_is_removed(at: Stage) -> None:
    fit_gaps(at.settings, [5, 5])
    at.settings.gaps[1].spacing = "custom"
    assert len(at.settings.charts.nodes) == 1
    fit_gaps(at.settings, [5])
    assert len(at.settings.charts.nodes) == 0


def test_a_curve_that_was_lost_counts_as_even(at: Stage) -> None:
    at.settings.spacing = "custom"
    at.settings.charts.nodes.clear()
    assert wish_of(at.settings).spacing is Spacing.EVEN


# The picture ------------------------------------------------------------------------------------


def ticks_of(wish: Wish, last: int = 9) -> tuple[Tick, ...]:
    shot = Shot("hop", (Key(Path("a"), 1), Key(Path("b"), last)))
    return gap_views(shot, wish)[0].ticks


def heights(ticks: tuple[Tick, ...], size: int = 100) -> list[int]:
    """The rows of the picture that have a mark on the left of the chart's line."""
    pixels = chart.draw_chart(ticks, size, PALETTE)
    dot = max(1, round(size / 60))
    column = len(str(ticks[-1].number)) * 4 * dot + 5 * dot - 2 * dot
    marked = [row for row in range(size) if pixels[4 * (row * size + column) + 3] == 1.0]
    return [row for row in marked if row - 1 not in marked]


def test_the_chart_has_a_tick_for_each_drawing_where_the_engine_is_asked_for_it() -> None:
    rows = heights(ticks_of(Wish(count=3)))
    assert len(rows) == 5
    steps = [b - a for a, b in pairwise(rows)]
    assert max(steps) - min(steps) <= 1


def test_on_the_chart_of_slow_out_the_ticks_lie_close_to_the_key_that_is_left() -> None:
    steps = [b - a for a, b in pairwise(heights(ticks_of(Wish(count=3, spacing=Spacing.SLOW_OUT))))]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1] / 2


def test_on_the_chart_of_slow_in_they_lie_close_to_the_key_that_is_reached() -> None:
    steps = [b - a for a, b in pairwise(heights(ticks_of(Wish(count=3, spacing=Spacing.SLOW_IN))))]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < steps[0] / 2


@pytest.mark.parametrize("size", [16, 42, 52, 100, 300])
@pytest.mark.parametrize("last", [2, 9, 400])
def test_a_chart_of_any_size_can_be_drawn(size: int, last: int) -> None:
    pixels = chart.draw_chart(ticks_of(Wish(), last), size, PALETTE)
    assert len(pixels) == 4 * size * size
    assert 0.0 <= min(pixels) <= max(pixels) <= 1.0
    alpha = pixels[3::4]  # more colour than alpha would shine white in the panel
    assert all(max(pixels[4 * i : 4 * i + 3]) <= alpha[i] for i in range(size * size))


def test_a_chart_is_drawn_once_and_then_only_shown() -> None:
    ticks = ticks_of(Wish(), 60)
    chart.icon_of(ticks, 100, PALETTE)
    began = time.perf_counter()
    for _ in range(20):
        chart.icon_of(ticks, 100, PALETTE)
    assert (time.perf_counter() - began) / 20 < 0.002
    assert chart._charts is not None
    assert chart._charts.drawn == 1
    chart.unregister()


def test_old_charts_are_given_up() -> None:
    for last in range(3, 300):
        chart.icon_of(ticks_of(Wish(count=1), last), 16, PALETTE)
    assert chart._charts is not None
    assert len(chart._charts.names) == len(chart._charts.previews) <= 128
    chart.unregister()


# The panel --------------------------------------------------------------------------------------


def drawn_kinds(drawn: Recorder) -> list[str]:
    return [kind for kind, _ in drawn.drawn]


def test_each_gap_shows_its_chart_and_how_it_is_filled(at: Stage) -> None:
    at.add_keys(1, 7, 12)
    at.settings.spacing = "slow_out"
    drawn = draw()
    assert drawn_kinds(drawn).count("template_icon") == 2
    assert {"1 to 7: 5 in-betweens", "7 to 12: 4 in-betweens", "On ones", "Slow out"} <= set(
        drawn.texts
    )


def test_a_gap_of_its_own_shows_its_settings_and_its_curve(at: Stage) -> None:
    at.add_keys(1, 7, 12)
    bpy.ops.tweencel.fit_gaps()
    gap = at.settings.gaps[0]
    gap.own, gap.spacing, gap.fill = True, "custom", True
    drawn = draw()
    assert {"cut", "fill", "on", "hold"} <= set(drawn.settings)
    assert drawn_kinds(drawn).count("template_curve_mapping") == 1


def test_a_gap_without_room_warns_and_the_others_keep_their_charts(at: Stage) -> None:
    at.add_keys(1, 4, 12)
    at.settings.fill, at.settings.count = False, 5
    drawn = draw()
    assert "Gap 1 has 2 frames" in " ".join(drawn.texts)
    assert drawn_kinds(drawn).count("template_icon") == 1


def test_a_cycle_has_one_more_gap(at: Stage) -> None:
    at.add_keys(1, 5)
    at.settings.repeat = "cycle"
    assert "5 to 9: 3 in-betweens" in draw().texts
    assert "closing" in draw().settings


def test_without_keys_the_settings_can_be_made_already(at: Stage) -> None:
    assert {"fit", "fill", "spacing", "repeat", "even_motion"} <= set(draw().settings)


def test_the_panel_is_drawn_in_two_milliseconds(at: Stage) -> None:
    at.add_keys(1, 25, 49, 73)
    at.settings.spacing = "custom"
    draw()
    took = []
    for _ in range(10):
        began = time.perf_counter()
        draw()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.002
