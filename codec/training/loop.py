"""The training run: steps by a recipe, averaged weights, checkpoints, evaluation."""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...bitstream.errors import InputError
from ..model.arrays import Pixels
from ..model.config import ModelConfig
from . import health, report, state
from .data import CropSource, Prefetch, patch_covariance
from .freezing.calibration import set_limits
from .grow import grow
from .loss import Loss, rate_distortion
from .model.model import CompressionModel
from .optimizer import Norms, make_optimizers, set_learning_rate
from .precision import fastest, name
from .recipe import DECAY, Position, Recipe, stored
from .signals import StopSignals
from .team import Team
from .validate import Selection

LONGEST_STEP = 10.0
"""Seconds that a step counts at most: in a longer one the process was suspended, not training."""
SAVE_SECONDS = 300.0
REPORT_SECONDS = 10.0
"""Seconds between two checkpoints, and between two reports."""
LOADER_THREADS = {"cpu": 1, "cuda": 8}
"""Threads that make crops: one makes them many times faster than two cores, needed for training, use them."""

RANGE_CROPS = 16
"""Crops that ranges of activations are set by, where the weights to begin with have none."""

HEALTH_STEPS, HEALTH_CROPS = 1000, 8
"""Steps between two examinations of the networks' units, and the crops that they are examined on."""

Tell = Callable[[report.Row | str, float], None]
"""Takes a report of a run: a row of the log or a line of text, and the seconds left."""


class Trainer:
    """One run in one folder, from the KLT or from given weights to the averaged weights."""

    def __init__(
        self,
        config: ModelConfig,
        recipe: Recipe,
        data: Sequence[Path],
        run: Path,
        team: Team,
        *,
        start: CompressionModel | None = None,
        origin: Mapping[str, Any] | None = None,
        selection: Selection | None = None,
        part_bytes: int = state.UNSPLIT,
        compiled: bool = False,
        precision: torch.dtype | None = None,
    ) -> None:
        """Prepares a run, or continues one that is in the folder already.

        start: weights to begin with, which get more latent channels if the configuration has more; origin: what the
        manifest is to say of them. selection: evaluates the averaged weights as the run goes on. part_bytes: as of
        `state.save_state`. compiled: whether to use torch.compile. precision: float32 or bfloat16; None takes what is
        measured to be faster. Raises InputError for data without images, and for a folder with a run of another recipe
        or configuration."""
        self.precision = precision or fastest(team.device)
        self.recipe, self.run, self.team, self.part_bytes = recipe, run, team, part_bytes
        self.source = CropSource(data, smallest=recipe.largest_crop, drawn=recipe.drawn, changed=recipe.changed)
        self.step, self.seconds, self.position = 0, 0.0, Position()
        self.origin = dict(origin) if origin else None
        self.selection = selection
        self.norms = Norms()
        self._seed()
        if start is not None and start.config != config:
            start = grow(start, config, self.source)
        self.model = start if start is not None else CompressionModel(config)
        found = state.find_state(run / state.CHECKPOINT)
        if start is None and found is None:
            covariance = patch_covariance(self.source, np.random.default_rng(recipe.seed))
            self.model.start_from_klt(torch.from_numpy(covariance))
        if found is not None:
            self.model.bound()
        elif not self.model.is_bounded:
            random = np.random.default_rng(recipe.seed)
            # Plain crops: on synthetic ones untrained networks may give anything.
            crops = [self.source.crop(recipe.largest_crop, random, plain=True) for _ in range(RANGE_CROPS)]
            set_limits(self.model, crops)
        self.model.to(team.device)
        self.forward = team.wrap(self.prepare(self.model))  # all processes have the first one's weights from here on
        if compiled:
            # CUDA graphs on a GPU, where the launching of kernels bounds steps of this size.
            self.forward.compile(mode="reduce-overhead" if team.device.type == "cuda" else "default")
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        random = np.random.default_rng(recipe.seed)
        self.examined = [self.source.crop(recipe.largest_crop, random) for _ in range(HEALTH_CROPS)]
        self.names: dict[Tensor, str] = {
            value: name for name, value in self.model.named_parameters() if value.requires_grad
        }
        self.optimizers = make_optimizers(self.model, recipe.optimizer, self.precision)
        if found is not None:
            self._resume(found)

    def train(self, tell: Tell) -> int:
        """Trains to the end of the recipe, until SIGINT or SIGTERM, or until the selection has seen enough; then saves
        the state. Returns the signal that stopped it, or 0. Raises OSError if the last state cannot be saved."""
        self.model.train()
        parameters = sum(p.numel() for p in self.names)
        tell(f"{len(self.source)} images, {parameters:,} parameters, {name(self.precision)}", 0.0)
        if not self.step:
            self._examine(tell)
        means = report.Means()
        shape = (0, 0)
        prefetch: Prefetch | None = None
        saved = reported = last = time.monotonic()
        waited, crops, stop, enough = 0.0, 0, False, False
        with StopSignals() as signals:
            try:
                while not self.position.finished(self.recipe) and not stop:
                    stage = self.recipe.stages[self.position.stage]
                    if prefetch is None or shape != (stage.batch, stage.crop):
                        shape = (stage.batch, stage.crop)
                        if prefetch:
                            prefetch.close()
                        prefetch = self.prefetch(*shape)
                    before = time.monotonic()
                    pixels = prefetch.next()
                    waited += time.monotonic() - before
                    means.add(*self.train_step(pixels))
                    crops += shape[0] * self.team.size
                    now = time.monotonic()
                    stop, seconds = self.team.agree(bool(signals.received) or enough, min(now - last, LONGEST_STEP))
                    last = now
                    self.seconds += seconds
                    self.position.advance(self.recipe, seconds)
                    ended = self.position.finished(self.recipe)
                    if self.step % HEALTH_STEPS == 0:
                        self._examine(tell)
                        last = time.monotonic()
                    if self.selection and self.team.rank == 0 and (ended or self.step % self.selection.every == 0):
                        tell(self.selection.consider(self.average, self.record(), self.run), 0.0)
                        enough = self.selection.enough
                        last = time.monotonic()
                    if now - reported > REPORT_SECONDS or ended or stop:
                        row = self._row(means, shape, crops / (now - reported), waited / (now - reported))
                        left = self.position.remaining(self.recipe, crops * shape[1] ** 2 / (now - reported))
                        tell(row, left)
                        means, reported, waited, crops = report.Means(), time.monotonic(), 0.0, 0
                    if now - saved > SAVE_SECONDS:
                        try:
                            self.save()
                        except OSError as error:  # there may be room again by the next time
                            tell(f"not saved: {error}", 0.0)
                        saved = last = time.monotonic()
            finally:
                if prefetch:
                    prefetch.close()
        self.save()
        if self.position.finished(self.recipe):
            tell(f"finished after {self.step} steps", 0.0)
        elif enough:
            tell(f"no better evaluation for a while: stopped at step {self.step}", 0.0)
        else:
            tell(f"stopped at step {self.step}; the same command goes on", 0.0)
            return next(iter(signals.received), signal.SIGINT)  # one process of a team may have it from another
        return 0

    def prepare(self, model: CompressionModel) -> nn.Module:
        """What is trained: a module whose result `losses` takes. It may say that parts of the model do not learn."""
        return model

    def batch(self, count: int, size: int, random: np.random.Generator) -> Pixels:
        """A batch for `train_step`: crops, uint8 [count, size, size, 3]."""
        return self.source.batch(count, size, random)

    def losses(self, pixels: Tensor) -> tuple[Tensor, Loss]:
        """The rates, float32 [B], and the loss of a batch, uint8 [B, S, S, 3], with gradients."""
        x = pixels.float() / 255 - 0.5
        # Evenly spread over the batch with a common random shift: less noise than independent draws.
        t = (torch.arange(len(x), device=x.device) + torch.rand(1, device=x.device)) / len(x)
        with self.autocast():
            out = self.forward(x, t)
        parts = {key: getattr(self.recipe, key) for key in ("ms_ssim", "visual", "luma", "borders")}
        return t, rate_distortion(self.model, x, t, out, **parts)

    def autocast(self) -> torch.autocast:
        """The context that networks run in, in the run's precision."""
        return torch.autocast(self.team.device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16)

    def train_step(self, pixels: Pixels) -> tuple[Tensor, Loss | None]:
        """Takes one step on what `batch` gives.

        Returns the rates of the samples, float32 [B], and their loss, or None where the step was skipped because the
        gradient was not finite or far too large."""
        set_learning_rate(self.optimizers, self.position.learning_rate(self.recipe))
        t, loss = self.losses(torch.from_numpy(pixels).to(self.team.device))
        self.model.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_([*self.names], 1.0))
        self.step += 1
        if not self.norms.take(norm):
            return t, None
        for optimizer in self.optimizers:
            optimizer.step()
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averages: list[Tensor] = [*self.average.parameters()]
            torch._foreach_lerp_(averages, [*self.model.parameters()], 1 - decay)
        return t, loss

    def _examine(self, tell: Tell) -> None:
        """Logs the health of units, reports what drifts, and revives dead ones, unless the learning rate decays."""
        found = health.examine(self.model, self.examined)
        row = {"step": float(self.step), **health.row(found)}
        log = self.run / report.HEALTH
        if self.team.rank == 0:
            first = next(iter(report.read(log)), row)
            self.run.mkdir(parents=True, exist_ok=True)
            report.append(log, health.columns(self.model), [row])
            for name in health.drifting(row, first):
                tell(f"step {self.step}: activations of {name} have grown to {row[f'{name} largest']:.1f}", 0.0)
        if self.recipe.schedule != DECAY and all(value.requires_grad for value in self.model.parameters()):
            torch.manual_seed(self.step)  # the same in all processes of a team
            revived = health.revive(self.model, [self.average], found)
            self._seed()
            if revived:
                tell(f"step {self.step}: {revived} dead units revived", 0.0)

    def save(self) -> None:
        """Writes the whole state in place of the last one. Raises OSError, and then leaves the last one as it is."""
        if self.team.rank:
            return
        tensors = (
            state.pack_model(self.model, state.MODEL, torch.float32)
            | state.pack_model(self.average, state.AVERAGE, torch.float16)
            | state.pack_moments(self.optimizers[0], self.names)
        )
        values = {
            **self.record(),
            "position": asdict(self.position),
            "optimizer_steps": max((int(s["step"]) for s in self.optimizers[0].state.values()), default=0),
            "norms": list(self.norms),
            "selection": self.selection.progress if self.selection else None,
        }
        state.save_state(self.run / state.CHECKPOINT, tensors, values, self.part_bytes)

    def record(self) -> dict[str, Any]:
        """The record of how the weights were made, for checkpoints and the manifest."""
        device = self.team.device
        processor = (
            torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
        )
        return {
            "config": self.model.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "data": [str(source.resolve()) for source in self.source.sources],
            "images": len(self.source),
            "step": self.step,
            "seconds": self.seconds,
            "precision": name(self.precision),
            "device": processor if self.team.size == 1 else f"{self.team.size} x {processor}",
            "origin": self.origin,
        }

    def _resume(self, folder: Path) -> None:
        tensors, values = state.load_state(folder)
        recipe, config = stored(values)
        if config != self.model.config:
            raise InputError(f"{folder} was made with another model configuration: {values['config']}")
        if recipe != self.recipe:
            raise InputError(f"{folder} was made with another recipe: {values['recipe']}")
        self.model.load_state_dict(state.unpack(tensors, state.MODEL))
        self.average.load_state_dict(state.unpack(tensors, state.AVERAGE))
        state.unpack_moments(self.optimizers[0], self.names, tensors, values["optimizer_steps"])
        self.step, self.seconds = values["step"], values["seconds"]
        self.position = Position(**values["position"])
        self.origin = values["origin"]
        self.norms.extend(values["norms"])
        if self.selection and values["selection"]:
            self.selection.progress = values["selection"]
        if self.team.rank == 0:
            report.forget_after(self.run, health.columns(self.model), self.step)
        self._seed()

    def _seed(self) -> None:
        """Seeds torch so that each process has other crops and noise, and a resumed run others than before."""
        torch.manual_seed(self.recipe.seed + 1000 * self.team.rank + self.step)

    def prefetch(self, batch: int, crop: int) -> Prefetch:
        """A loader of batches, uint8 [batch, crop, crop, 3], which the caller closes."""

        def maker(worker: int) -> Callable[[], Pixels]:
            random = np.random.default_rng((self.recipe.seed, self.team.rank, self.step, worker))
            return lambda: self.batch(batch, crop, random)

        return Prefetch([maker(worker) for worker in range(LOADER_THREADS[self.team.device.type])])

    def _row(self, means: report.Means, shape: tuple[int, int], speed: float, waiting: float) -> report.Row:
        row: report.Row = {
            "step": self.step,
            "seconds": self.seconds,
            "stage": min(self.position.stage, len(self.recipe.stages) - 1),
            "learning_rate": self.optimizers[0].param_groups[0]["lr"],
            "gradient": self.norms.usual,
            "crops_per_second": speed,
            "waiting": waiting,
            **means.row(),
        }
        if self.team.rank == 0:
            self.run.mkdir(parents=True, exist_ok=True)
            report.append(self.run / report.LOG, report.COLUMNS, [row])
        return row
