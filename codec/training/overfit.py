"""The first check of a change to the model or the loss: can it learn a single batch by heart?"""

from __future__ import annotations

import numpy as np

from .loop import Trainer
from .recipe import Recipe, Stage

RECIPE = Recipe((Stage(crop=128, batch=4, learning_rate=2e-3, steps=600),))
"""The recipe of the trainer that is checked."""

MEAN_OF = 10
"""Steps that a loss is a mean over: each sees the batch at other rates, so that single losses jump."""

SHARE = 0.25
"""The share of the first loss that the last must be below for the check to pass. The default model reached 0.11."""


def check(trainer: Trainer) -> tuple[float, float]:
    """Trains on one batch over and over. Returns the mean losses of the first and of the last MEAN_OF steps."""
    stage = trainer.recipe.stages[0]
    pixels = trainer.batch(stage.batch, stage.crop, np.random.default_rng(trainer.recipe.seed))
    trainer.model.train()
    losses: list[float] = []
    while not trainer.position.finished(trainer.recipe):
        _, loss = trainer.train_step(pixels)
        trainer.position.advance(trainer.recipe, 0.0)
        if loss is not None:
            losses.append(float(loss.total.detach()))
    return float(np.mean(losses[:MEAN_OF])), float(np.mean(losses[-MEAN_OF:]))
