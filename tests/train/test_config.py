"""Configurations: every wrong key is named, and what is right means the same in YAML and TOML."""

import math
from pathlib import Path

import pytest
import yaml

from anymask.train.config import ConfigError, DataConfig, PhaseConfig, TrainConfig, load_config
from anymask.train.interactive import InteractiveSettings
from anymask.train.schedule import rate_factor

REPOSITORY = Path(__file__).parents[2]
DATA = "data: [{kind: synthetic}]\n"
PHASES = "phases: [{objective: dense, steps: 3}]\n"
GOOD = "output: run\n" + DATA + PHASES


def write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_defaults_fill_what_is_left_out(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config == TrainConfig(
        output=str(tmp_path / "run"),
        data=(DataConfig(kind="synthetic"),),
        phases=(PhaseConfig(objective="dense", steps=3),),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the configuration must be a table"),
        ("- 1\n", "the configuration must be a table"),
        (DATA + PHASES, "the key output is missing"),
        ("output: run\n" + PHASES, "the key data is missing"),
        ("output: run\n" + DATA, "the key phases is missing"),
        (GOOD + "colour: red\n", "unknown key colour; known keys: output, data"),
        (GOOD + "seed: one\n", "seed must be of type int, not 'one'"),
        (GOOD + "seed: true\n", "seed must be of type int, not True"),
        (GOOD + "seed: 1.5\n", "seed must be of type int, not 1.5"),
        (GOOD + "ema: fast\n", "ema must be a number, not 'fast'"),
        (GOOD + "ema: true\n", "ema must be of type float, not True"),
        (GOOD + "ema: 1.0\n", "ema must be at least 0 and below 1"),
        (GOOD + "initial: 5\n", "initial must be of type str"),
        (GOOD + "precision: float16\n", "precision must be one of auto, float32, bfloat16, not 'float16'"),
        (GOOD + "log_every: 0\n", "log_every must be at least 1, not 0"),
        (GOOD + "checkpoint_every: 0\n", "checkpoint_every must be at least 1"),
        (GOOD + "threads: 0\n", "threads must be at least 1"),
        ("output: run\ndata: []\n" + PHASES, "data must list at least one data set"),
        ("output: run\nphases: []\n" + DATA, "phases must list at least one phase"),
        ("output: run\ndata: coco\n" + PHASES, "data must be a list, not 'coco'"),
        ("output: run\ndata: [coco]\n" + PHASES, r"data\[0\] must be a table"),
        ("output: run\ndata: [{path: x}]\n" + PHASES, r"the key data\[0\]\.kind is missing"),
        (
            "output: run\ndata: [{kind: imagenet}]\n" + PHASES,
            r"data\[0\]\.kind must be one of auto, masks, coco, ",
        ),
        ("output: run\ndata: [{kind: coco, split: test}]\n" + PHASES, r"data\[0\]\.split must be one of"),
        ("output: run\ndata: [{kind: coco, paste: 1}]\n" + PHASES, r"data\[0\]\.paste must be of type bool"),
        ("output: run\ndata: [{kind: coco, weight: 0}]\n" + PHASES, r"data\[0\]\.weight must be above 0"),
        ("output: run\ndata: [{kind: synthetic, size: 7}]\n" + PHASES, r"data\[0\]\.size must be at least 8"),
        (GOOD.replace("dense", "sparse"), r"phases\[0\]\.objective must be one of dense, interactive"),
        (GOOD.replace("steps: 3", "steps: 0"), r"phases\[0\]\.steps must be at least 1, not 0"),
        (GOOD.replace("3}", "3, image_size: 100}"), r"phases\[0\]\.image_size must be a positive multiple"),
        (GOOD.replace("3}", "3, image_size: 0}"), r"phases\[0\]\.image_size must be a positive multiple"),
        (GOOD.replace("3}", "3, batch_size: 0}"), r"phases\[0\]\.batch_size must be at least 1"),
        (GOOD.replace("3}", "3, betas: [0.9]}"), r"phases\[0\]\.betas must have 2 entries, not 1"),
        (GOOD.replace("3}", "3, betas: [0.9, x]}"), r"phases\[0\]\.betas\[1\] must be a number"),
        (GOOD.replace("3}", "3, rate: 1}"), r"unknown key phases\[0\]\.rate"),
        (
            GOOD.replace("3}", "3, interaction: {pixel_loss: l2}}"),
            r"phases\[0\]\.interaction\.pixel_loss must be one of focal, balanced",
        ),
        (
            GOOD.replace("3}", "3, interaction: {points: -1}}"),
            r"phases\[0\]\.interaction\.points must be at least 0",
        ),
        (
            GOOD.replace("3}", "3, augmentation: {min_scale: 4.0}}"),
            r"phases\[0\]\.augmentation needs 0 < min_scale <= max_scale",
        ),
        (GOOD.replace("3}", "3, augmentation: {zoom: 1}}"), r"unknown key phases\[0\]\.augmentation\.zoom"),
        (GOOD + "seed: -1\n", "seed must be at least 0, not -1"),
        (GOOD + "decoder_start: zero\n", "decoder_start must be one of matching, random, not 'zero'"),
        (GOOD.replace("3}", "3, accumulate: 0}"), r"phases\[0\]\.accumulate must be at least 1, not 0"),
        (GOOD.replace("3}", "3, learning_rate: 0}"), r"phases\[0\]\.learning_rate must be above 0"),
        (GOOD.replace("3}", "3, learning_rate: .nan}"), r"phases\[0\]\.learning_rate must be above 0"),
        (GOOD.replace("3}", "3, weight_decay: -0.1}"), r"phases\[0\]\.weight_decay must be at least 0"),
        (GOOD.replace("3}", "3, betas: [0.9, 1.0]}"), r"phases\[0\]\.betas must be at least 0 and below 1"),
        (GOOD.replace("3}", "3, layer_decay: 1.2}"), r"phases\[0\]\.layer_decay must be above 0 and at most 1"),
        (GOOD.replace("3}", "3, drop_path: 1}"), r"phases\[0\]\.drop_path must be at least 0 and below 1"),
        (GOOD.replace("3}", "3, schedule: linear}"), r"phases\[0\]\.schedule must be one of cosine, step, constant"),
        (GOOD.replace("3}", "3, schedule: step}"), r"decay_steps must rise between 0 and steps \(3\)"),
        (GOOD.replace("3}", "3, schedule: step, decay_steps: [2, 1]}"), r"decay_steps must rise.*not \[2, 1\]"),
        (GOOD.replace("3}", "3, schedule: step, decay_steps: [3]}"), r"decay_steps must rise.*not \[3\]"),
        (GOOD.replace("3}", "3, decay_steps: [1]}"), r"decay_steps needs schedule: step, not cosine"),
        (GOOD.replace("3}", "3, freeze: [encoder]}"), r"freeze\[0\] must be one of image_encoder, prompt_encoder"),
        (GOOD.replace("3}", "3, freeze: image_encoder}"), r"phases\[0\]\.freeze must be a list"),
        (GOOD.replace("3}", "3, encoder_rate: 0, freeze: [mask_decoder]}"), r"phases\[0\] freezes every part"),
        (GOOD.replace("3}", "3, interaction: {feedback: 2}}"), r"interaction\.feedback must be between 0 and 1"),
        (GOOD.replace("3}", "3, interaction: {pixel_weight: -1}}"), r"interaction\.pixel_weight must be at least 0"),
        (GOOD.replace("3}", "3, augmentation: {flip: 50}}"), r"augmentation\.flip must be between 0 and 1, not 50"),
        (GOOD.replace("3}", "3, augmentation: {scale_spacing: log}}"), r"scale_spacing must be one of ratio, linear"),
        ("output: [\n", "is not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere\.yaml: No such file"):
        load_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match=r"must end in \.yaml, \.yml or \.toml"):
        load_config(write(tmp_path, GOOD, "run.txt"))
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(write(tmp_path, "output = [", "run.toml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="is not text"):
        load_config(tmp_path / "binary.yaml")


def test_yaml_and_toml_give_the_same(tmp_path: Path) -> None:
    in_yaml = """
output: out
seed: 4
ema: 0
data:
  - {kind: coco, path: set, images: set/photos, weight: 2, paste: true}
  - {kind: sa1b, path: /elsewhere, split: validation}
phases:
  - objective: interactive
    steps: 7
    learning_rate: 4e-4
    betas: [0.9, 0.98]
    interaction: {points: 2, feedback: 0.5}
    augmentation: {whole: 1}
"""
    in_toml = """
output = "out"
seed = 4
ema = 0
[[data]]
kind = "coco"
path = "set"
images = "set/photos"
weight = 2
paste = true
[[data]]
kind = "sa1b"
path = "/elsewhere"
split = "validation"
[[phases]]
objective = "interactive"
steps = 7
learning_rate = 4e-4
betas = [0.9, 0.98]
interaction = {points = 2, feedback = 0.5}
augmentation = {whole = 1}
"""
    config = load_config(write(tmp_path, in_yaml))
    assert config == load_config(write(tmp_path, in_toml, "run.toml"))
    assert config.phases[0].interaction == InteractiveSettings(points=2, feedback=0.5)
    assert isinstance(config.data[0].weight, float)
    assert isinstance(config.phases[0].augmentation.whole, float)


def test_a_number_that_yaml_takes_for_text_becomes_a_number(tmp_path: Path) -> None:
    text = GOOD.replace("3}", "3, learning_rate: 4e-4}")
    assert isinstance(yaml.safe_load(text)["phases"][0]["learning_rate"], str)
    assert load_config(write(tmp_path, text)).phases[0].learning_rate == 4e-4


def test_paths_are_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    text = (
        "output: ../run\ninitial: ../start.pth\n"
        "data: [{kind: coco, path: ../set, images: /photos}, {kind: synthetic}]\n" + PHASES
    )
    monkeypatch.chdir("/")
    config = load_config(write(tmp_path / "configs", text))
    assert config.output == str(tmp_path / "run")
    assert config.initial == str(tmp_path / "start.pth")
    assert [entry.path for entry in config.data] == [str(tmp_path / "set"), ""]
    assert [entry.images for entry in config.data] == ["/photos", None]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs").glob("*.*")), ids=lambda path: path.name)
def test_the_shipped_configurations_load(path: Path) -> None:
    assert load_config(path).phases


def test_the_paper_s_recipe_is_the_paper_s() -> None:
    """Appendix A of arXiv 2304.02643, number by number."""
    config = load_config(REPOSITORY / "configs" / "paper-vit-h.yaml")
    assert (config.model, config.decoder_start, config.ema) == ("vit_h", "random", 0)
    (phase,) = config.phases
    assert (phase.steps, phase.batch_size, phase.image_size, phase.max_masks) == (90_000, 256, 1024, 64)
    assert (phase.learning_rate, phase.warmup, phase.weight_decay, phase.betas) == (8e-4, 250, 0.1, (0.9, 0.999))
    assert (phase.layer_decay, phase.drop_path, phase.clip, phase.encoder_rate) == (0.8, 0.4, 0, 1)
    factors = [rate_factor(phase, step) for step in (0, 124, 249, 59_999, 60_000, 86_665, 86_666, 89_999)]
    assert factors == pytest.approx([0.004, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01])
    given = phase.interaction
    assert (given.points, given.mask_only, given.box_share, given.box_jitter) == (8, 2, 0.5, 0.1)
    assert (given.feedback, given.centre_share, given.single_weight) == (1, 0, 0)
    assert (given.pixel_loss, given.pixel_weight, given.dice_weight, given.iou_weight) == ("focal", 20, 1, 1)
    views = phase.augmentation
    assert (views.whole, views.flip, views.colour, views.grey, views.paste, views.max_share) == (1, 0, 0, 0, 0, 0.9)


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_rates_rise_linearly_and_never_rise_again(schedule: str) -> None:
    more = {"schedule": schedule, "decay_steps": (20, 30) if schedule == "step" else ()}
    phase = PhaseConfig("dense", steps=40, warmup=10, final_rate=0.2, decay_factor=0.5, **more)
    factors = [rate_factor(phase, step) for step in range(40)]
    peak = {"cosine": 1 - 0.4 * (1 - math.cos(math.pi * 9 / 40)), "step": 1, "constant": 1}[schedule]
    assert factors[9] == pytest.approx(peak)
    assert factors[0] == pytest.approx(0.1)
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    last = {"cosine": 0.2, "step": 0.25, "constant": 1}[schedule]
    assert factors[-1] == pytest.approx(last, abs=0.01)
