"""The processes of one run: one alone, or as many as `torchrun` has started."""

from __future__ import annotations

import os
from types import TracebackType

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ...bitstream.errors import InputError


class Team:
    """The processes of a run, as this one sees them: its rank, their number, its device. As a context manager it ends
    the connection."""

    def __init__(self, device: str) -> None:
        """Joins the processes that `torchrun` has started, if there are several. device: "cpu" or "cuda", where each
        process of a node takes a GPU of its own. Raises InputError."""
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device(device)
        if self.size == 1:
            return
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(self.device)
        try:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the processes of this run cannot be joined: {error}") from error

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size > 1:
            if kind is None:
                dist.barrier()  # the first to leave would close connections that others still read from
            dist.destroy_process_group()

    def wrap(self, model: nn.Module) -> nn.Module:
        """A model whose gradients are averaged over all processes, all with the first one's weights."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)

    def agree(self, stop: bool, seconds: float) -> tuple[bool, float]:
        """Whether any process is to stop, and the longest of their times for a step, in seconds.

        Called by all after every step: schedules and collective calls must end at the same step everywhere."""
        if self.size == 1:
            return stop, seconds
        values = torch.tensor([float(stop), seconds], dtype=torch.float64, device=self.device)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return bool(values[0]), float(values[1])
