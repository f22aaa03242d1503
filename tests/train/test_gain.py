"""Before and after: paired, and honest about chance."""

import json

import numpy as np
import pytest
from rich.console import Console

from anymask.evaluate.report import ClickReport, ClickSettings, MaskRow
from anymask.evaluate.statistics import Interval
from anymask.train.gain import Gain, compare, gain_table, judge, most_to_least


def row(image: str, mask: int, quality: float) -> MaskRow:
    return MaskRow(
        image=image,
        mask=mask,
        category="",
        area=100,
        box_iou=quality,
        box_score=0.5,
        click_1_ious=(quality, quality + 0.05, 0.0),
        click_1_scores=(0.9, 0.8, 0.7),
        click_ious=(quality, quality, quality + 0.1, quality, quality + 0.2),
    )


def report(qualities: np.ndarray) -> ClickReport:
    rows = [row(f"{n // 3}.png", n % 3, float(quality)) for n, quality in enumerate(qualities)]
    return ClickReport("model", "data", ClickSettings(max_clicks=5), rows)


def test_gains_are_paired_by_mask() -> None:
    rng = np.random.default_rng(0)
    first = rng.uniform(0.1, 0.6, 60)
    second = first + rng.uniform(0.02, 0.04, 60)
    gains = compare(report(first), report(second))
    assert list(gains) == ["box", "click_1_best", "click_1", "click_3", "click_5", "overall"]
    for gain in gains.values():
        assert gain.difference.mean == pytest.approx((second - first).mean())
        # The masks differ much more from each other than before from after.
        assert gain.before.high > gain.after.low
        assert 0.02 <= gain.difference.low < gain.difference.high <= 0.04
    assert gains["click_1_best"].before.mean == pytest.approx(first.mean() + 0.05)
    assert gains["click_3"].before.mean == pytest.approx(first.mean() + 0.1)
    assert gains["overall"].before.mean == pytest.approx(first.mean() + 0.075)
    assert judge(gains["overall"]) == "better"
    assert judge(compare(report(second), report(first))["overall"]) == "unchanged"


@pytest.mark.parametrize(
    ("difference", "outcome"),
    [
        (Interval(0.1, 0.05, 0.2), "better"),
        (Interval(0.1, -0.05, 0.2), "unclear"),
        (Interval(0.1, np.nan, np.nan), "unclear"),
        (Interval(0.0, 0.0, 0.0), "unchanged"),
        (Interval(-0.1, -0.2, 0.1), "unchanged"),
        (Interval(np.nan, np.nan, np.nan), "unchanged"),
    ],
)
def test_what_a_gain_means(difference: Interval, outcome: str) -> None:
    assert judge(Gain(difference, difference, difference)) == outcome


def test_gains_survive_json() -> None:
    gain = Gain(Interval(0.5, 0.4, 0.6), Interval(0.6, np.nan, np.nan), Interval(0.1, 0.05, 0.15))
    again = Gain.from_dict(json.loads(json.dumps(gain.to_dict(), allow_nan=False)))
    assert (again.before, again.difference) == (gain.before, gain.difference)
    assert np.isnan(again.after.low)


def test_the_table_says_it_all() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(gain_table(compare(report(np.full(6, 0.5)), report(np.full(6, 0.6))), "title"))
    text = captured.get()
    for expected in ("from a box", "1 click, best of 3", "5 clicks", "all of them", "+0.100…+0.100"):
        assert expected in text


def test_images_from_the_most_improved_to_the_least() -> None:
    before = [row(str(n), 0, 0.5) for n in range(9)]
    after = [row(str(n), 0, 0.5 + 0.01 * ((n * 4) % 9)) for n in range(9)]
    chosen = most_to_least(before, after, 3)
    ranked = sorted(range(9), key=lambda n: -((n * 4) % 9))
    assert chosen == [str(ranked[0]), str(ranked[4]), str(ranked[8])]
    assert len(most_to_least(before, after, 20)) == 9
