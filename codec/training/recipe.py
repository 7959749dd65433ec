"""Recipes of training runs: stages of crops, batches and learning rates, read from a small TOML file."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from ...bitstream.errors import InputError
from ..model.config import HYPER_PATCH, ModelConfig

WARM_UP_STEPS = 300
"""Steps over which the learning rate rises linearly to what it is to be."""
FINAL_RATE = 0.02
"""The share of its peak that the learning rate ends at by the cosine schedule."""

ADAMW, MUON = "adamw", "muon"
"""Values of a recipe's `optimizer`."""

COSINE, STABLE, DECAY = "cosine", "stable", "decay"
"""Values of a recipe's `schedule`."""

MS_SSIM_WINDOW = 7
"""Pixels to a side of the window of MS-SSIM in training, where crops are small. Published values are of 11."""

MS_SSIM_SIDE = 16 * (MS_SSIM_WINDOW - 1) + 1
"""Pixels to a side that MS-SSIM needs at least, for five scales, each half as large as the one before."""

DEFAULT = Path(__file__).parent / "default.toml"
"""The recipe of the shipped weights."""

Table = TypeVar("Table", bound="Stage | Recipe")


@dataclass(frozen=True)
class Stage:
    """A part of a run with batches of one shape, as long as `steps` or `minutes` says. Raises InputError for what is
    out of range.

    crop: pixels to a side, a multiple of 64. batch: crops. learning_rate: the highest of the stage; by the schedule
    "cosine" half a cosine runs down from there over this stage and those after it. restart: whether a new cosine begins
    here."""

    crop: int
    batch: int
    learning_rate: float
    steps: int = 0
    minutes: float = 0.0
    restart: bool = False

    def __post_init__(self) -> None:
        if self.crop < HYPER_PATCH or self.crop % HYPER_PATCH:
            raise InputError(f"a crop must be a multiple of {HYPER_PATCH} pixels, not {self.crop}")
        if self.batch < 1 or self.learning_rate <= 0:
            raise InputError("a stage needs a positive batch and learning_rate")
        if (self.steps > 0) == (self.minutes > 0):
            raise InputError("a stage is as long as its steps or its minutes say: give one of them, above 0")

    def done(self, steps: int, seconds: float) -> float:
        """The share of the stage that is done, at most 1."""
        return min(1.0, steps / self.steps if self.steps else seconds / 60 / self.minutes)


@dataclass(frozen=True)
class Recipe:
    """A whole run. Raises InputError for what is out of range.

    ms_ssim, visual: shares of MS-SSIM and of the visual error in the distortion, luma: that of luma in the rest of it;
    borders: the weight of jumps at the borders of blocks (`loss.rate_distortion`). drawn, changed: shares of the crops
    that are synthetic, and of the others that are augmented (`data.CropSource`). schedule: of the learning rate
    (`Position.learning_rate`). optimizer: of the networks' matrices (`optimizer.make_optimizers`). ema_decay: of the
    averaged weights. restores: whether the analysis alone is trained, to restore degraded pictures
    (`restoration.RestorationTrainer`); the distortion is then the squared error. note: free text for the manifest, such
    as what the data is."""

    stages: tuple[Stage, ...]
    ms_ssim: float = 0.0
    visual: float = 0.0
    luma: float = 0.0
    borders: float = 0.0
    drawn: float = 0.0
    changed: float = 0.0
    schedule: str = COSINE
    optimizer: str = ADAMW
    seed: int = 0
    ema_decay: float = 0.999
    restores: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("a recipe needs at least one stage")
        for key in ("ms_ssim", "visual", "luma", "drawn", "changed"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"{key} is a share from 0 to 1, not {getattr(self, key)}")
        if self.ms_ssim + self.visual > 1:
            raise InputError(f"ms_ssim and visual are shares of one whole, not {self.ms_ssim} and {self.visual}")
        if self.borders < 0:
            raise InputError(f"borders is a weight of 0 or more, not {self.borders}")
        if self.schedule not in (COSINE, STABLE, DECAY):
            raise InputError(f"schedule is {COSINE}, {STABLE} or {DECAY}, not {self.schedule!r}")
        if self.optimizer not in (ADAMW, MUON):
            raise InputError(f"optimizer is {ADAMW} or {MUON}, not {self.optimizer!r}")
        if self.ms_ssim and min(stage.crop for stage in self.stages) < MS_SSIM_SIDE:
            raise InputError(f"MS-SSIM needs crops of at least {MS_SSIM_SIDE} pixels in every stage")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"a seed is a whole number from 0 to 2^63 - 1, not {self.seed}")
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay must be in [0, 1), not {self.ema_decay}")

    @property
    def largest_crop(self) -> int:
        """The largest side of a crop, in pixels, which images must have at least."""
        return max(stage.crop for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values for JSON, which `parse` reads."""
        return asdict(self)


@dataclass
class Position:
    """The progress of a run in its recipe."""

    stage: int = 0
    steps: int = 0
    """Steps done in this stage."""
    seconds: float = 0.0
    """Seconds spent in this stage."""
    cycle_steps: int = 0
    """Steps done since the cosine began."""

    def finished(self, recipe: Recipe) -> bool:
        """Whether no stage is left."""
        return self.stage >= len(recipe.stages)

    def advance(self, recipe: Recipe, seconds: float) -> None:
        """Counts a step that took so many seconds. By the schedule "stable" the first stage follows the last one."""
        self.steps += 1
        self.seconds += seconds
        self.cycle_steps += 1
        if recipe.stages[self.stage].done(self.steps, self.seconds) >= 1:
            self.stage, self.steps, self.seconds = self.stage + 1, 0, 0.0
            if self.finished(recipe) and recipe.schedule == STABLE:
                self.stage = 0
            if not self.finished(recipe) and recipe.stages[self.stage].restart:
                self.cycle_steps = 0

    def learning_rate(self, recipe: Recipe) -> float:
        """The learning rate of the next step, by the recipe's schedule. "cosine": linear warm-up, then half a cosine
        over the stages up to the next restart. "stable": linear warm-up, then what the stage says, without end.
        "decay": from what the stage says to 0 over all stages, as 1 - sqrt(share done), which Hägele and others (2024)
        found best to end a stable phase with.

        Stages count by their lengths; where some are given in steps and some in minutes, as equals."""
        stages = recipe.stages
        highest = stages[self.stage].learning_rate
        warm_up = min(1.0, (self.cycle_steps + 1) / WARM_UP_STEPS)
        if recipe.schedule == STABLE:
            return highest * warm_up
        begin = max((i for i in range(self.stage + 1) if stages[i].restart), default=0)
        end = next((i for i in range(self.stage + 1, len(stages)) if stages[i].restart), len(stages))
        lengths = _lengths(stages[begin:end])
        index = self.stage - begin
        part = stages[self.stage].done(self.steps, self.seconds)
        done = (sum(lengths[:index]) + part * lengths[index]) / sum(lengths)
        if recipe.schedule == DECAY:
            return highest * (1 - math.sqrt(done))
        cosine = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done))
        return highest * warm_up * cosine

    def remaining(self, recipe: Recipe, pixels_per_second: float) -> float:
        """The seconds to the end of the recipe, at a constant speed in pixels."""
        total = 0.0
        for index, stage in enumerate(recipe.stages[self.stage :]):
            left = 1 - (stage.done(self.steps, self.seconds) if index == 0 else 0.0)
            pixels = stage.steps * stage.batch * stage.crop**2
            total += left * (pixels / pixels_per_second + 60 * stage.minutes)
        return total


def _lengths(stages: Sequence[Stage]) -> list[float]:
    """The lengths of stages in a common unit: steps, minutes, or 1 each where both occur."""
    if all(stage.steps for stage in stages):
        return [float(stage.steps) for stage in stages]
    if all(stage.minutes for stage in stages):
        return [stage.minutes for stage in stages]
    return [1.0] * len(stages)


def decay(recipe: Recipe, minutes: float) -> Recipe:
    """The recipe that ends a run of this one: its stages in so many minutes, shared out as their lengths are, while the
    learning rate goes to 0."""
    lengths = _lengths(recipe.stages)
    stages = tuple(
        replace(stage, steps=0, minutes=minutes * length / sum(lengths), restart=False)
        for stage, length in zip(recipe.stages, lengths, strict=True)
    )
    return replace(recipe, stages=stages, schedule=DECAY)


def load_recipe(path: Path, base: ModelConfig) -> tuple[Recipe, ModelConfig]:
    """Reads a recipe, and the configuration of the model: `base` with the changes in the recipe's table `model`.

    Raises InputError naming the file and what is wrong with it, OSError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        model = values.pop("model", {})
        config = ModelConfig.from_dict(base.to_dict() | model)
        return parse(values), config
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error


def parse(values: Mapping[str, Any]) -> Recipe:
    """A recipe from `Recipe.to_dict`. Raises InputError for unknown or missing keys and values out of range."""
    stages = values.get("stages", ())
    if not isinstance(stages, list | tuple):
        raise InputError("stages must be a list of tables, each headed [[stages]]")
    return _build(Recipe, {**values, "stages": tuple(_build(Stage, stage) for stage in stages)})


def stored(record: Mapping[str, Any]) -> tuple[Recipe, ModelConfig]:
    """The recipe and configuration in the record of a checkpoint. Raises InputError for one of another version."""
    try:
        return parse(record["recipe"]), ModelConfig.from_dict(record["config"])
    except (InputError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the run was begun by another version: {error}") from error


def _build(kind: type[Table], values: Any) -> Table:
    """A Stage or Recipe from a table of values, their types checked. Raises InputError."""
    if not isinstance(values, Mapping):
        raise InputError(f"a {kind.__name__.lower()} must be a table, not {values!r}")
    types = {field.name: field.type for field in fields(kind)}
    for key, value in values.items():
        if key not in types:
            raise InputError(f"unknown key {key!r}; there are {', '.join(types)}")
        expected = {"int": int, "float": int | float, "bool": bool}.get(str(types[key]))
        if expected and (not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool)):
            raise InputError(f"{key} must be of type {types[key]}, not {value!r}")
    try:
        return kind(**values)
    except TypeError as error:  # a key is missing
        raise InputError(str(error).split("() ", 1)[-1]) from error
