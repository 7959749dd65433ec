"""The training loop: schedule, averaged weights, checkpoints, progress."""

from __future__ import annotations

import copy
import math
import signal
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from ...bitstream.errors import InputError
from ..config import ModelConfig
from ..model import CompressionModel
from ..transforms import RateTable
from .data import CropSource, Pixels, Prefetch, patch_covariance
from .loss import Loss, rate_distortion

WARM_UP_STEPS = 300
FINAL_RATE = 0.02
"""The learning rate ends at this share of its peak."""
LINEAR_RATE = 0.05
"""The linear transforms start near their optimum and learn at this share of the learning rate. With the full rate a
short run (2.5 minutes on two cores, 8 images of cid22-val) ended 8 % worse in rate and up to 1 dB worse in PSNR."""
TABLE_RATE = 0.5
"""Rate tables enter through an exponential, and each knot sees only some of the samples."""
SKIP_FACTOR = 10.0
"""A step whose gradient norm is above this many running medians is skipped: single steps blow up at high rates."""
LONGEST_STEP = 10.0
"""Seconds; what a step takes beyond that, the process was suspended and not training."""


@dataclass(frozen=True)
class Schedule:
    """How long and how to train."""

    steps: int
    batch: int = 16
    crop: int = 128
    late_crop: int = 256
    late_batch: int = 4
    late_from: float = 0.67
    learning_rate: float = 2e-3
    ema_decay: float = 0.999
    seed: int = 0

    def rate_at(self, step: int, progress: float) -> float:
        """Learning rate: linear warm-up, then half a cosine. `progress` in [0, 1]."""
        cosine = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / WARM_UP_STEPS) * cosine

    def shape_at(self, progress: float) -> tuple[int, int]:
        """(batch, crop side) at a point of the run."""
        return (self.late_batch, self.late_crop) if progress >= self.late_from else (self.batch, self.crop)


class Trainer:
    """One training run in one folder, from the KLT to the averaged weights."""

    def __init__(self, config: ModelConfig, schedule: Schedule, data: list[Path], run: Path, device: str) -> None:
        self.schedule, self.run, self.device = schedule, run, torch.device(device)
        self.random = np.random.default_rng(schedule.seed)
        torch.manual_seed(schedule.seed)
        self.source = CropSource(data, smallest=schedule.late_crop)
        self.model = CompressionModel(config)
        self.step, self.seconds = 0, 0.0
        self.checkpoint = run / "checkpoint.pt"
        if not self.checkpoint.exists():
            self.model.start_from_klt(torch.from_numpy(patch_covariance(self.source, self.random)))
        self.model.to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        linear = [*self.model.analysis.linear.parameters(), *self.model.synthesis.linear.parameters()]
        tables = [m.knots for m in self.model.modules() if isinstance(m, RateTable)]
        special = {id(p) for p in linear + tables}
        rest = [p for p in self.model.parameters() if id(p) not in special]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": rest, "share": 1.0},
                {"params": linear, "share": LINEAR_RATE},
                {"params": tables, "share": TABLE_RATE},
            ],
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=True,
        )
        self.norms: deque[float] = deque(maxlen=100)
        if self.checkpoint.exists():
            self._resume()

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return self.step / self.schedule.steps

    def train(self, *, save_every: float = 300.0, report_every: float = 10.0) -> None:
        """Runs to the end of the schedule or to SIGINT/SIGTERM; either way the last state is saved."""
        stop: list[int] = []
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in handlers:
            signal.signal(number, lambda number, _: stop.append(number))
        print(
            f"{len(self.source)} images, {sum(p.numel() for p in self.model.parameters()):,} parameters",
            flush=True,
        )
        self.model.train()
        report = Report()
        shape = self.schedule.shape_at(self.progress)
        saved = reported = last = time.monotonic()
        prefetch = self._prefetch(shape)
        try:
            while self.progress < 1 and not stop:
                if self.schedule.shape_at(self.progress) != shape:
                    shape = self.schedule.shape_at(self.progress)
                    prefetch.close()
                    prefetch = self._prefetch(shape)
                report.add(self.train_step(prefetch.next()))
                now = time.monotonic()
                self.seconds += min(now - last, LONGEST_STEP)
                last = now
                if now - reported > report_every:
                    print(report.line(self, now - reported), flush=True)
                    report, reported = Report(), now
                if now - saved > save_every:
                    self.save()
                    saved = last = time.monotonic()
        finally:
            prefetch.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.save()
        print(f"stopped by signal {stop[0]}" if stop else "finished", flush=True)

    def train_step(self, pixels: Pixels) -> Loss | None:
        """One step on uint8 [B, S, S, 3]; None when its gradient was not finite or far too large, and was dropped."""
        x = torch.from_numpy(pixels).to(self.device).float() / 255 - 0.5
        # Evenly spread over the batch with a common random shift: less noise than independent draws.
        t = (torch.arange(len(x), device=self.device) + torch.rand(1, device=self.device)) / len(x)
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self.schedule.rate_at(self.step, self.progress)
        with torch.autocast(self.device.type, torch.bfloat16):
            out = self.model(x, t)
        loss = rate_distortion(self.model, x, t, out)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), 1.0))
        self.step += 1
        usual = median(self.norms) if len(self.norms) >= 20 else math.inf
        if not math.isfinite(norm):
            return None
        # Skipped steps count too: should the gradients have grown for good, the median follows.
        self.norms.append(norm)
        if norm > SKIP_FACTOR * usual:
            return None
        self.optimizer.step()
        decay = min(self.schedule.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averages: list[Tensor] = [*self.average.parameters()]
            torch._foreach_lerp_(averages, [*self.model.parameters()], 1 - decay)
        return loss

    def save(self) -> None:
        """Writes the whole state beside the old one, then takes its place."""
        self.run.mkdir(parents=True, exist_ok=True)
        state = {
            "config": self.model.config.to_dict(),
            "schedule": asdict(self.schedule),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "device": _device_name(self.device),
        }
        temporary = self.checkpoint.with_suffix(".new")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if state["config"] != self.model.config.to_dict():
            raise InputError(f"{self.checkpoint} was made with another model configuration: {state['config']}")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        # Other crops than those before the stop.
        self.random = np.random.default_rng((self.schedule.seed, self.step))
        torch.manual_seed(self.schedule.seed + self.step)

    def _prefetch(self, shape: tuple[int, int]) -> Prefetch:
        return Prefetch(lambda: self.source.batch(*shape, self.random))


def _device_name(device: torch.device) -> str:
    """For the manifest."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


class Report:
    """Running means between two progress lines."""

    def __init__(self) -> None:
        self._losses: list[Loss] = []
        self._skipped = 0

    def add(self, loss: Loss | None) -> None:
        """Takes in one step."""
        if loss is None:
            self._skipped += 1
        else:
            self._losses.append(Loss(*(part.detach().cpu() for part in loss)))

    def line(self, trainer: Trainer, seconds: float) -> str:
        """Rate and PSNR are means over all rates of the range."""
        steps = len(self._losses) + self._skipped
        left = (trainer.schedule.steps - trainer.step) / (steps / seconds) / 60
        if not self._losses:
            return f"step {trainer.step}: all {self._skipped} steps skipped"
        total = float(torch.stack([loss.total for loss in self._losses]).mean())
        bpp: Tensor = torch.cat([loss.bpp for loss in self._losses])
        mse: Tensor = torch.cat([loss.mse for loss in self._losses])
        return (
            f"step {trainer.step}  loss {total:.4f}  {float(bpp.mean()):.3f} bpp  "
            f"{float(-10 * mse.clamp(min=1e-10).log10().mean()):.2f} dB  gradient {median(trainer.norms):.2g}  "
            f"{steps / seconds:.1f} steps/s  "
            f"{left:.1f} min left" + (f"  {self._skipped} skipped" if self._skipped else "")
        )
