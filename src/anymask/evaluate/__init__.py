"""Measuring models: the click benchmark with its robot, its baselines and honest intervals."""

from anymask.evaluate.baselines import filled_box, grab_cut
from anymask.evaluate.clicks import EvaluationError, PromptedImage, PromptedSegmenter, evaluate_clicks
from anymask.evaluate.report import (
    ClickReport,
    ClickSettings,
    GroupSummary,
    Honesty,
    MaskRow,
    Reach,
    ReportError,
)
from anymask.evaluate.robot import Click, first_click, next_click
from anymask.evaluate.statistics import Interval, mean_interval, paired_difference, rank_correlation

__all__ = [
    "Click",
    "ClickReport",
    "ClickSettings",
    "EvaluationError",
    "GroupSummary",
    "Honesty",
    "Interval",
    "MaskRow",
    "PromptedImage",
    "PromptedSegmenter",
    "Reach",
    "ReportError",
    "evaluate_clicks",
    "filled_box",
    "first_click",
    "grab_cut",
    "mean_interval",
    "next_click",
    "paired_difference",
    "rank_correlation",
]
