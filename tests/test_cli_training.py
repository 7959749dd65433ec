"""`cae train`, `cae plot` and `cae freeze`, as a user runs them, for a few steps."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from cae.codec.model.integer_weights import load_integers, load_restoration
from cae.codec.model.restoration import EXTRA_BLOCKS
from cae.codec.model.weights import installed_weights
from cae.codec.training import loop, release, release_restoration, state

Run = Callable[..., CompletedProcess[str]]

RECIPE = """
note = "one astronaut"
[[stages]]
crop = 64
batch = 2
steps = 3
learning_rate = 1e-3
[model]
latent_channels = 32
width_8 = 16
width_16 = 16
hyper_channels = 8
prior_width = 16
knots = 5
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one photograph."""
    folder = tmp_path / "data"
    folder.mkdir()
    Image.fromarray(skimage.data.astronaut()).save(folder / "photo.png")  # type: ignore[no-untyped-call]
    return folder


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    covariance = loop.patch_covariance
    monkeypatch.setattr(loop, "patch_covariance", lambda source, random: covariance(source, random, crops=50))
    monkeypatch.setattr(release, "CALIBRATION_CROPS", 2)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.mark.slow
def test_train_plot_freeze_and_train_on(cae: Run, tmp_path: Path, data: Path, recipe: Path) -> None:
    run, weights, picture = tmp_path / "run", tmp_path / "weights", tmp_path / "plot.svg"
    assert cae("plot", data, "-o", picture).returncode == 2
    options = ("--recipe", recipe, "--device", "cpu", "--split", 1)
    trained = cae("train", data, "-o", run, *options, "--eval", data, "--eval-every", 2, "--patience", 9)
    assert trained.returncode == 0, trained.stderr
    assert "1 images" in trained.stdout
    assert "evaluation at step 2" in trained.stdout
    assert "[##########] 100 %  step 3  loss" in trained.stdout
    assert "finished after 3 steps" in trained.stdout
    assert cae("plot", run, "-o", picture).returncode == 0
    assert "JPEG" in picture.read_text()

    frozen = cae("freeze", run, "-o", weights / "small.safetensors")
    assert frozen.returncode == 0, frozen.stderr
    assert "small.safetensors" in frozen.stdout
    integers, fingerprint = load_integers(weights)
    assert len(fingerprint) == 4
    assert integers.probabilities()
    training = json.loads((weights / "manifest.json").read_text())["training"]
    assert training["recipe"]["note"] == "one astronaut"
    assert training["from"] is None

    again = cae("train", data, "-o", run, "--device", "cpu")  # continues with the run's own recipe: nothing is left
    assert again.returncode == 0, again.stderr
    assert "finished after 3 steps" in again.stdout
    tuned = tmp_path / "tuned"
    recipe.write_text(RECIPE.partition("[model]")[0] + "[model]\nlatent_channels = 48\n")  # the others stay
    for _ in range(2):  # the second time there is nothing left to do
        further = cae("train", data, "-o", tuned, "--recipe", recipe, "--from", weights, "--device", "cpu")
        assert further.returncode == 0, further.stderr
    assert cae("freeze", tuned, "-o", weights / "tuned.safetensors", "--data", data).returncode == 0
    origin = json.loads((weights / "manifest.json").read_text())["training"]["from"]
    assert origin["training"]["steps"] == training["steps"]  # of the best evaluation
    config = load_integers(weights)[0].config
    assert (config.latent_channels, config.width_8) == (48, 16)
    # Files made with the weights that lay there before still find them.
    assert [found.path.name for found in installed_weights(weights)] == ["tuned.safetensors", "small.safetensors"]
    assert load_integers(weights, fingerprint=fingerprint)[1] == fingerprint


@pytest.mark.slow
def test_train_and_freeze_restoration(
    cae: Run, tmp_path: Path, data: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the weights that it began with, whose analysis alone is trained; not beside others."""
    weights, run = tmp_path / "weights", tmp_path / "restoring"
    assert cae("train", data, "-o", tmp_path / "run", "--recipe", recipe, "--device", "cpu").returncode == 0
    assert cae("freeze", tmp_path / "run", "-o", weights / "small.safetensors").returncode == 0
    recipe.write_text("restores = true\n" + RECIPE.partition("[model]")[0])
    for _ in range(2):  # the second time there is nothing left to do
        trained = cae("train", data, "-o", run, "--recipe", recipe, "--from", weights, "--device", "cpu")
        assert trained.returncode == 0, trained.stderr
    before = release.load_start(weights)[0].state_dict()
    after = release.load_run(run)[0].state_dict()
    changed = {name.split(".")[0] for name in before if name in after and not torch.equal(before[name], after[name])}
    assert changed == {"analysis"}
    monkeypatch.setattr(release_restoration, "CROPS", 3)
    monkeypatch.setattr(release_restoration, "MOST_ERROR", 2.0)  # so small a model does not restore yet
    frozen = cae("freeze", run, "-o", weights / "restore.safetensors")
    assert frozen.returncode == 0, frozen.stderr
    assert "squared error by integers" in frozen.stdout
    restoration = load_restoration(weights)
    assert restoration.config.blocks_8 == load_integers(weights)[0].config.blocks_8 + EXTRA_BLOCKS
    monkeypatch.setattr(release_restoration, "MOST_ERROR", 0.0)
    assert "times the squared error" in cae("freeze", run, "-o", weights / "restore.safetensors").stderr
    manifest = json.loads((weights / "manifest.json").read_text())
    (weights / "manifest.json").write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    assert "does not list the weights" in cae("freeze", run, "-o", weights / "restore.safetensors").stderr


@pytest.mark.slow
def test_a_stopped_run_says_so(
    cae: Run, tmp_path: Path, data: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state is saved, but what would follow a whole one does not."""
    step = loop.Trainer.train_step

    def stopping(trainer: loop.Trainer, pixels: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return step(trainer, pixels)

    monkeypatch.setattr(loop.Trainer, "train_step", stopping)
    result = cae("train", data, "-o", tmp_path / "run", "--recipe", recipe, "--device", "cpu")
    assert result.returncode == 143
    assert "stopped at step 1; the same command goes on" in result.stdout
    assert (tmp_path / "run" / state.CHECKPOINT / "state.json").is_file()


def test_nothing_to_train_on(cae: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "data" / "tiny.png")
    result = cae("train", tmp_path / "data", "--out", tmp_path / "run")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "at least 256 pixels" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "{data}", "-o", "{run}", "--patience", "1"), "needs --eval"),
        (("train", "{data}", "-o", "{run}", "--from", "{data}"), "no weights in"),
        (("train", "{data}", "-o", "{run}", "--recipe", "{data}/photo.png"), "photo.png"),
        (("train", "{data}", "-o", "{run}", "--ms-ssim", "2"), "0<=x<=1"),
        (("train", "{data}", "-o", "{run}", "--ms-ssim", "nan"), "not a finite number"),
        (("train", "{data}", "-o", "{run}", "--eval", "{empty}"), "no image"),
        (("freeze", "{empty}", "-o", "{run}/x.safetensors"), "no training run"),
        (("freeze", "{empty}", "-o", "{run}/x.bin"), "must end in .safetensors"),
        (("plot", "{empty}", "-o", "{run}.png"), "no log"),
        (("plot", "{empty}", "-o", "{run}.xyz"), "must end in .png or .svg or .pdf"),
        (("plot", "{empty}", "-o", "{run}/x.png"), "there is no directory"),
    ],
)
def test_wrong_use(cae: Run, tmp_path: Path, data: Path, words: tuple[str, ...], message: str) -> None:
    places = {"data": data, "run": tmp_path / "run", "empty": tmp_path / "empty"}
    places["empty"].mkdir()
    result = cae(*(word.format(**places) for word in words))
    assert result.returncode in (2, 5, 6)
    assert message in result.stderr
    assert not places["run"].exists()
    assert "Traceback" not in result.stderr


def test_without_the_extra(cae: Run, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    for words in (("train", data, "-o", tmp_path / "run"), ("plot", data, "-o", "x.png"), ("freeze", data, "-o", "x")):
        result = cae(*words)
        assert result.returncode == 1
        assert result.stderr == (
            f'cae: {words[0]} needs the extra "train", to be installed as the package was: pip install ".[train]" '
            "(missing: scipy)\n"
        )


@pytest.mark.slow
def test_overfit_check(cae: Run, tmp_path: Path, data: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cae.codec.training import overfit
    from cae.codec.training.recipe import Recipe, Stage

    words = ("train", data, "-o", tmp_path / "run", "--recipe", recipe, "--device", "cpu", "--overfit-check")
    monkeypatch.setattr(overfit, "RECIPE", Recipe((Stage(crop=64, batch=1, learning_rate=2e-3, steps=25),)))
    failed = cae(*words)
    assert failed.returncode == 1
    assert "FAILED" in failed.stdout
    monkeypatch.setattr(overfit, "SHARE", 9.0)
    passed = cae(*words)
    assert passed.returncode == 0, passed.stderr
    assert "passed" in passed.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_decay_from(cae: Run, tmp_path: Path, data: Path, recipe: Path) -> None:
    """A run without an end is ended in a folder of its own; what does not go together is refused."""
    refused = cae("train", data, "-o", tmp_path / "x", "--minutes", "1")
    assert refused.returncode == 2
    assert "--minutes needs --decay-from" in refused.stderr
    refused = cae("train", data, "-o", tmp_path / "x", "--decay-from", tmp_path, "--recipe", recipe)
    assert refused.returncode == 2
    assert "no --from or --recipe" in refused.stderr
    refused = cae("train", data, "-o", tmp_path / "x", "--decay-from", tmp_path)
    assert refused.returncode == 2
    assert f"there is no training run in {tmp_path}" in refused.stderr
    assert cae("train", data, "-o", tmp_path / "run", "--recipe", recipe, "--device", "cpu").returncode == 0
    ended = cae("train", data, "-o", tmp_path / "end", "--decay-from", tmp_path / "run", "--minutes", "0.05")
    assert ended.returncode == 0
    assert "finished after" in ended.stdout
