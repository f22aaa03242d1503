import io
import json

import pytest
from rich.console import Console

from anymask.evaluate import ClickReport, ClickSettings, MaskRow, ReportError


def row(image="a", mask=0, **values):
    facts = {
        "category": "cup",
        "area": 500,
        "box_iou": 0.8,
        "box_score": 0.9,
        "click_1_ious": (0.5, 0.7, 0.2),
        "click_1_scores": (0.9, 0.6, 0.1),
        "click_ious": (0.5, 0.86, 0.84, 0.91, 0.92),
        "filled_box_iou": 0.6,
        "grab_cut_iou": 0.7,
    }
    return MaskRow(image, mask, **{**facts, **values})


@pytest.fixture
def report():
    rows = [
        row("a", 0),
        row("a", 1, category="person", area=1024, box_iou=0.6),
        row("b", 0, area=9216, click_ious=(0.5,) * 20, click_1_ious=(0.5, 0.5, 0.5)),
    ]
    return ClickReport("fake", "cups", ClickSettings(), rows)


def text_of(report, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(report.table())
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("area", "size"), [(1, "small"), (1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")]
)
def test_sizes_are_cocos(area, size):
    assert row(area=area).size == size


def test_the_iou_after_the_robot_stopped_is_the_one_it_stopped_at():
    assert [row().iou_after(clicks) for clicks in (1, 2, 5, 20)] == [0.5, 0.86, 0.92, 0.92]


def test_number_of_clicks_counted_by_hand(report):
    assert row().clicks_to_reach(0.85) == 2
    assert row().clicks_to_reach(0.90) == 4
    assert row().clicks_to_reach(0.95) is None
    reach = report.groups["all"].clicks_to_reach
    assert reach["85"].clicks.mean == pytest.approx((2 + 2 + 20) / 3)
    assert reach["90"].clicks.mean == pytest.approx((4 + 4 + 20) / 3)
    assert reach["85"].never.mean == pytest.approx(1 / 3)


def test_groups_and_averages(report):
    groups = report.groups
    assert {name: group.masks for name, group in groups.items()} == {
        "all": 3, "small": 1, "medium": 1, "large": 1, "person": 1, "other": 2,
    }  # fmt: skip
    everything = groups["all"]
    assert everything.images == 2
    assert list(everything.iou) == [
        "box", "click_1_best", "click_1", "click_2", "click_3", "click_5", "click_10", "click_20",
    ]  # fmt: skip
    assert everything.iou["box"].mean == pytest.approx(2.2 / 3)
    assert everything.iou["click_1_best"].mean == pytest.approx(1.9 / 3)
    assert everything.iou["click_1"].mean == pytest.approx(0.5)
    assert everything.differences["box_minus_filled_box"].mean == pytest.approx(0.4 / 3)
    assert everything.differences["box_minus_grab_cut"].mean == pytest.approx(0.1 / 3)


def test_score_honesty(report):
    honesty = report.groups["small"].scores
    assert honesty["box"].absolute_error.mean == pytest.approx(0.1)
    assert honesty["click_1"].absolute_error.mean == pytest.approx(0.4)
    assert honesty["click_1_all"].absolute_error.mean == pytest.approx((0.4 + 0.1 + 0.1) / 3)
    assert honesty["click_1_all"].rank_correlation == pytest.approx(0.5)


def test_without_persons_there_is_no_such_group():
    report = ClickReport("fake", "", ClickSettings(), [row()])
    assert list(report.groups) == ["all", "small"]


def test_fewer_clicks_and_other_thresholds_have_fewer_keys():
    settings = ClickSettings(max_clicks=3, thresholds=(0.875,), baselines=False)
    group = ClickReport("fake", "", settings, [row(click_ious=(0.9,))]).groups["all"]
    assert list(group.iou) == ["box", "click_1_best", "click_1", "click_2", "click_3"]
    assert list(group.clicks_to_reach) == ["87.5"]
    assert not group.baselines
    assert not group.differences


def test_json_round_trip(report, tmp_path):
    path = tmp_path / "report.json"
    report.save(path)
    content = json.loads(path.read_text())
    assert content == json.loads(json.dumps(report.to_dict(rows=True), allow_nan=False))
    assert content["format"] == "anymask-click-report"
    assert content["version"] == 1
    assert content["settings"]["thresholds"] == [0.85, 0.9]
    assert set(content["groups"]["all"]) == {
        "images", "masks", "iou", "clicks_to_reach", "scores", "baselines", "differences",
    }  # fmt: skip
    assert content["groups"]["small"]["iou"]["box"] == {"mean": 0.8, "low": None, "high": None}
    assert content["groups"]["small"]["scores"]["box"]["rank_correlation"] is None
    assert content["rows"][0]["click_ious"] == [0.5, 0.86, 0.84, 0.91, 0.92]
    assert "rows" not in report.to_dict()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_an_unwritable_report_says_where(report, tmp_path):
    with pytest.raises(ReportError, match=r"nowhere.report\.json"):
        report.save(tmp_path / "nowhere" / "report.json")


def test_the_table_shows_the_figures(report):
    text = text_of(report)
    assert "fake on cups" in text
    for label in ("IoU box", "IoU 1 click, best of 3", "IoU 20 clicks", "clicks to 85%", "never 90%"):
        assert label in text
    for label in ("score error box", "IoU filled box", "box − GrabCut", "person", "0.700…0.800"):
        assert label in text
    assert "nan" not in text


def test_the_table_fits_a_terminal_of_80_columns(report):
    lines = text_of(report, width=80).splitlines()
    assert len(lines) == len(text_of(report, width=200).splitlines())
    assert max(map(len, lines)) <= 80


def test_the_table_without_baselines():
    text = text_of(ClickReport("fake", "", ClickSettings(baselines=False), [row()]))
    assert "GrabCut" not in text
    assert "–" in text
