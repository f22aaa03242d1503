"""Settings of pre-training: from a file and from options, each value checked."""

import dataclasses
import math
from pathlib import Path

import pytest

from anymask.train.config_values import ConfigError
from anymask.train.pretrain_settings import PretrainSettings, check_settings, load_settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": 100}, r"side must be a positive multiple of 16, not 100: for example 96"),
        ({"side": 0}, "side must be a positive multiple of 16, not 0: for example 16"),
        ({"steps": 0}, "steps must be above 0, not 0"),
        ({"epochs": 1.0}, "steps and epochs both say how long to train"),
        ({"steps": None, "minutes": -1.0}, "minutes must be above 0"),
        ({"batch": 0}, "batch must be at least 1, not 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"mask_ratio": 1.0}, "mask_ratio must be above 0 and below 1, not 1.0"),
        ({"min_scale": 1.5}, "min_scale must be above 0 and at most 1"),
        ({"warmup": 1.0}, "warmup must be at least 0 and below 1, not 1.0: it is a share of the steps"),
        ({"betas": (0.9, 1.0)}, "betas must be at least 0 and below 1"),
        ({"decoder_width": 100}, "decoder_width must be a positive multiple of 32, not 100"),
        ({"clip": math.nan}, "clip must be at least 0"),
    ],
)
def test_values_out_of_range_are_errors(changes: dict[str, object], message: str) -> None:
    settings = PretrainSettings(images="photos", output="nowhere", steps=7)
    check_settings(settings)
    with pytest.raises(ConfigError, match=message):
        check_settings(dataclasses.replace(settings, **changes))


def test_settings_come_from_a_file_and_options_win(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: vit_b\nside: 64\nepochs: 3\nrate: 2e-4\ninitial: mae.pth\nbetas: [0.9, 0.99]\n")
    settings = load_settings(path, {"images": "photos", "output": "out", "steps": 5, "side": 32})
    assert (settings.model, settings.side, settings.steps, settings.epochs) == ("vit_b", 32, 5, None)
    assert (settings.rate, settings.betas, settings.output) == (2e-4, (0.9, 0.99), "out")
    assert settings.initial == str(tmp_path / "mae.pth")
    path.write_text("sides: 64\n")
    with pytest.raises(ConfigError, match="unknown key sides; known keys: images, output, model"):
        load_settings(path, {"images": "photos", "output": "out"})
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must be a table of keys"):
        load_settings(path, {"images": "photos", "output": "out"})
    with pytest.raises(ConfigError, match="the key images is missing"):
        load_settings(None, {"output": "out"})


def test_every_setting_is_described() -> None:
    described = PretrainSettings.__doc__ or ""
    for field in dataclasses.fields(PretrainSettings):
        assert f"        {field.name}: " in described
