"""Recipes: what they may say, and the learning rates and lengths that follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cae.bitstream.errors import InputError
from cae.codec.model.config import ModelConfig
from cae.codec.training.recipe import (
    DEFAULT,
    FINAL_RATE,
    WARM_UP_STEPS,
    Position,
    Recipe,
    Stage,
    decay,
    load_recipe,
    parse,
)

STAGE = "[[stages]]\ncrop = 128\nbatch = 4\nlearning_rate = 1e-3\n"


def test_the_default_recipe_reads_back() -> None:
    recipe, config = load_recipe(DEFAULT, ModelConfig())
    assert config == ModelConfig()
    assert parse(recipe.to_dict()) == recipe


def test_a_recipe_may_change_the_model(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(STAGE + "minutes = 1.5\n[model]\nlatent_channels = 64\n")
    recipe, config = load_recipe(path, ModelConfig())
    assert recipe.stages == (Stage(128, 4, 1e-3, minutes=1.5),)
    assert config == ModelConfig(latent_channels=64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one stage"),
        ("stages = 3", "list of tables"),
        ("stages = [3]", "must be a table"),
        (STAGE, "steps or its minutes"),
        (STAGE + "steps = 1\nminutes = 1", "steps or its minutes"),
        (STAGE + "steps = 1.5", "type int"),
        (STAGE + "steps = true", "type int"),
        (STAGE + "steps = 1\nlr = 3", "unknown key 'lr'"),
        ("colour = 1\n" + STAGE + "steps = 1", "unknown key 'colour'"),
        (STAGE.replace("128", "100") + "steps = 1", "multiple of 64"),
        (STAGE.replace("batch = 4", "batch = 0") + "steps = 1", "positive batch"),
        (STAGE.replace("batch = 4\n", "") + "steps = 1", "batch"),
        ("ms_ssim = 1.1\n" + STAGE + "steps = 1", "from 0 to 1"),
        ("visual = -0.1\n" + STAGE + "steps = 1", "visual is a share from 0 to 1"),
        ("ms_ssim = 0.6\nvisual = 0.5\n" + STAGE + "steps = 1", "shares of one whole"),
        ("seed = -1\n" + STAGE + "steps = 1", "whole number from 0"),
        ("luma = -0.1\n" + STAGE + "steps = 1", "luma is a share from 0 to 1"),
        ("borders = -1.0\n" + STAGE + "steps = 1", "borders is a weight of 0 or more"),
        ("drawn = 2.0\n" + STAGE + "steps = 1", "drawn is a share from 0 to 1"),
        ("schedule = 'linear'\n" + STAGE + "steps = 1", "schedule is cosine, stable or decay, not 'linear'"),
        ("optimizer = 'sgd'\n" + STAGE + "steps = 1", "optimizer is adamw or muon, not 'sgd'"),
        ("ms_ssim = 1\n" + STAGE.replace("128", "64") + "steps = 1", "97 pixels"),
        ("ema_decay = 1.0\n" + STAGE + "steps = 1", "ema_decay"),
        (STAGE + "steps = 1\n[model]\nwidth = 3", "width"),
        (STAGE + "steps = 1\n[model]\nlatent_channels = 3", "multiple of 4"),
        ("not toml", "line 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_recipe(path, ModelConfig())
    assert str(error.value).startswith(str(path))


def walk(recipe: Recipe, seconds: float = 1.0) -> list[float]:
    """Learning rates of all steps."""
    position, rates = Position(), []
    while not position.finished(recipe):
        rates.append(position.learning_rate(recipe))
        position.advance(recipe, seconds)
    return rates


def test_one_cosine_runs_over_all_stages_up_to_a_restart() -> None:
    stages = Stage(128, 16, 1e-3, steps=2000), Stage(256, 4, 1e-3, steps=1000)
    rates = walk(Recipe(stages))
    assert len(rates) == 3000
    assert rates[0] == pytest.approx(1e-3 / WARM_UP_STEPS)
    assert rates[2000] == pytest.approx(1e-3 * (FINAL_RATE + (1 - FINAL_RATE) * 0.25))
    assert rates[-1] == pytest.approx(1e-3 * FINAL_RATE, rel=1e-3)
    again = walk(Recipe((*stages, Stage(128, 16, 5e-4, steps=1000, restart=True))))
    assert again[:3000] == rates
    assert again[3000] == pytest.approx(5e-4 / WARM_UP_STEPS)
    assert again[-1] == pytest.approx(5e-4 * FINAL_RATE, rel=1e-3)


def test_a_stable_schedule_has_no_end_and_a_decay_ends_it() -> None:
    recipe = Recipe((Stage(128, 16, 1e-3, steps=400), Stage(256, 4, 5e-4, steps=200)), schedule="stable")
    position, rates = Position(), []
    for _ in range(1300):
        rates.append(position.learning_rate(recipe))
        position.advance(recipe, 1.0)
    assert not position.finished(recipe)
    assert position.stage == 0
    assert rates[0] == pytest.approx(1e-3 / WARM_UP_STEPS)
    assert set(rates[300:400]) == set(rates[600:1000]) == {1e-3}
    assert set(rates[400:600]) == set(rates[1000:1200]) == {5e-4}
    ending = decay(recipe, 30)
    assert [stage.minutes for stage in ending.stages] == [20, 10]
    rates = walk(ending, seconds=6)
    assert len(rates) == 300
    assert rates[0] == 1e-3
    assert rates[50] == pytest.approx(1e-3 * (1 - (50 / 300) ** 0.5))
    assert rates[-1] < 0.01 * 5e-4
    assert parse(ending.to_dict()) == ending


def test_minutes_count_as_they_pass() -> None:
    recipe = Recipe((Stage(64, 1, 1.0, minutes=1), Stage(64, 1, 1.0, minutes=2)))
    assert len(walk(recipe, seconds=0.5)) == 360
    position = Position()
    for _ in range(60):
        position.advance(recipe, 0.5)
    assert position.stage == 0
    assert position.remaining(recipe, pixels_per_second=1) == pytest.approx(150)
    mixed = Recipe((Stage(64, 2, 1.0, steps=100), Stage(64, 1, 1.0, minutes=2)))
    assert Position().remaining(mixed, pixels_per_second=64 * 64) == pytest.approx(200 + 120)
