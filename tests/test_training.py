"""Training on generated images: crops, loss, a short run with a stop in the middle, and the weights it gives."""

from __future__ import annotations

import math
import tarfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from cae.bitstream.errors import InputError
from cae.bitstream.tables import ProbabilityTables, quantise_counts
from cae.codec.backends import numpy_coding
from cae.codec.evaluation.curve import Point
from cae.codec.image.picture import read_picture
from cae.codec.model.config import SCALE_MIN, SCALE_STEP, SKIP_SCALE, ModelConfig
from cae.codec.model.integer_weights import load_integers
from cae.codec.tile.quantize import rounding_costs
from cae.codec.torch_codec import Codec
from cae.codec.training import data as data_module
from cae.codec.training import health, report, state
from cae.codec.training import release as release_module
from cae.codec.training.data import CropSource, Prefetch, list_files, patch_covariance
from cae.codec.training.loop import Trainer
from cae.codec.training.loss import rate_distortion
from cae.codec.training.model.model import CompressionModel, coded_bits, laplace_bits, lower_bound, round_by_cost
from cae.codec.training.optimizer import set_learning_rate
from cae.codec.training.recipe import Position, Recipe, Stage, stored
from cae.codec.training.team import Team
from cae.codec.training.validate import BEST, Selection, Validation

SMALL = ModelConfig(latent_channels=32, width_8=16, width_16=16, hyper_channels=8, prior_width=16, knots=5)
RECIPE = Recipe(
    (Stage(crop=64, batch=4, learning_rate=2e-3, steps=8), Stage(crop=128, batch=1, learning_rate=2e-3, steps=4))
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two images and a tar archive with one: smooth, with noise, as photographs are."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "c.png"):
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8)).resize((160, 160))
        noisy = np.asarray(coarse, np.int16) + random.integers(-9, 10, (160, 160, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
    with tarfile.open(folder / "more.tar", "w") as archive:
        archive.add(folder / "c.png", "c.png")
    (folder / "c.png").unlink()
    Image.new("RGB", (20, 20)).save(folder / "too_small.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_images_are_found_in_folders_and_archives(images: Path) -> None:
    assert [path.name for path in list_files(images)] == ["a.png", "b.jpg", "more.tar", "too_small.png"]
    assert len(CropSource([images], smallest=128)) == 3
    with pytest.raises(InputError, match="at least 500"):
        CropSource([images], smallest=500)


def test_images_are_read_as_the_encoder_reads_them(tmp_path: Path) -> None:
    """Of 16 bits, and no larger than the smallest crop."""
    grey = np.linspace(0, 65535, 96 * 128, dtype=np.uint16).reshape(96, 128)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    source = CropSource([tmp_path], smallest=64)
    crop = source.crop(64, np.random.default_rng(0))
    assert 0 < crop.min() < crop.mean() < crop.max() < 255
    assert patch_covariance(source, np.random.default_rng(0), crops=3).shape == (768, 768)


def test_broken_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(InputError, match=r"broken\.png"):
        CropSource([tmp_path], smallest=64)
    (tmp_path / "broken.png").unlink()
    (tmp_path / "broken.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(InputError, match=r"broken\.tar"):
        CropSource([tmp_path], smallest=64)


def test_crops(images: Path) -> None:
    random = np.random.default_rng(1)
    # Without a cache every image is decoded again, to the same crops.
    plain, cached = (CropSource([images], smallest=128, cache_bytes=size) for size in (0, 1 << 20))
    batch = plain.batch(3, 96, np.random.default_rng(1))
    assert batch.shape == (3, 96, 96, 3)
    assert batch.dtype == np.uint8
    assert np.array_equal(batch, cached.batch(3, 96, random))


def test_prefetch_hands_errors_on() -> None:
    def fail() -> np.ndarray:
        raise OSError("disk gone")

    with Prefetch([fail]) as prefetch, pytest.raises(OSError, match="disk gone"):
        prefetch.next()


def test_laplace_bits() -> None:
    # A wide distribution at its mode costs log2(scale * sqrt 2).
    assert float(laplace_bits(torch.tensor(0.0), torch.tensor(100.0))) == pytest.approx(7.15, abs=0.01)
    narrow = laplace_bits(torch.tensor(0.0), torch.tensor(SKIP_SCALE))
    assert float(1 - 2**-narrow) == pytest.approx(math.exp(-math.sqrt(0.5) / SKIP_SCALE), rel=0.01)
    # However far away, what holds latents back stays the same.
    far = torch.tensor([2.0, 2000.0], requires_grad=True)
    laplace_bits(far, torch.tensor(SKIP_SCALE)).sum().backward()  # type: ignore[no-untyped-call]
    assert far.grad is not None
    assert far.grad.tolist() == pytest.approx([math.sqrt(2) / SKIP_SCALE / math.log(2)] * 2)
    # Together, all symbols have the probability 1, wherever their mean is.
    symbols = torch.arange(-60.0, 61.0)
    for scale in (0.3, 1.0, 5.0):
        for mean in (0.0, 0.2, 0.5):
            bits = laplace_bits(symbols - mean, torch.tensor(scale))
            assert float((2**-bits).sum()) == pytest.approx(1, abs=1e-5)


def test_rounding_in_training_is_that_of_the_encoder() -> None:
    """With tables that hold the very Laplace distributions, the two roundings agree but for the counts' last digits."""
    table, weight = 24, torch.tensor([6.0])
    scale = SCALE_MIN * math.exp(SCALE_STEP * (table - 1))
    likelihood = (2 ** -laplace_bits(torch.arange(-40.0, 41.0), torch.tensor(scale))).double().numpy()
    counts = quantise_counts(np.append(likelihood, 1e-6))
    tables = ProbabilityTables(np.array([0] * table + [40], np.int32), counts)
    residual = torch.randn(20_000, generator=torch.Generator().manual_seed(0)) * scale
    rows = torch.full((20_000,), table, dtype=torch.uint8)
    arrays = residual.numpy(), rows.numpy(), weight.expand(20_000).numpy()
    encoder = torch.from_numpy(numpy_coding.round_by_cost(rounding_costs(tables), *arrays))
    training = round_by_cost(residual, torch.full_like(residual, scale), weight)
    assert float((encoder == training).float().mean()) > 0.995
    assert float((training != residual.round()).float().mean()) > 0.02
    assert not round_by_cost(residual * 100, torch.full_like(residual, SKIP_SCALE / 1.01), weight).any()


def test_gradients_of_coded_bits() -> None:
    torch.manual_seed(0)
    value = torch.full((20_000,), 0.8, requires_grad=True)
    scale = torch.full((20_000,), 0.4, requires_grad=True)
    bits = coded_bits(value, torch.zeros_like(value), scale)
    assert torch.equal(bits, laplace_bits(torch.zeros_like(value), scale))
    bits.mean().backward()  # type: ignore[no-untyped-call]
    assert value.grad is not None
    assert scale.grad is not None
    # The bits that a symbol of 0 costs fall with the scale; those of the value with noise fall as it nears 0. The mean
    # slope over the noise is the difference of the bits at its two ends.
    assert float(scale.grad.sum()) > 0
    ends = laplace_bits(torch.tensor([0.3, 1.3]), torch.tensor(0.4))
    assert float(value.grad.sum()) == pytest.approx(float(ends[1] - ends[0]), rel=0.03)


def test_lower_bound_lets_only_rising_gradients_through() -> None:
    x = torch.tensor([0.0, 0.0, 2.0], requires_grad=True)
    (lower_bound(x, 1.0) * torch.tensor([1.0, -1.0, 1.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [0, -1, 1]


def test_starts_as_a_klt_codec_whose_step_feels_the_distortion(images: Path) -> None:
    source = CropSource([images], smallest=128)
    random = np.random.default_rng(2)
    model = CompressionModel(SMALL)
    model.start_from_klt(torch.from_numpy(patch_covariance(source, random, crops=100)))
    x = torch.from_numpy(source.batch(2, 128, random)).float() / 255 - 0.5
    out = model.eval()(x, torch.tensor([1.0, 0.0]))
    high, low = (out.x - x).square().mean((1, 2, 3)).tolist()
    assert high < low < float(x.square().mean())
    assert out.bits_y[0] > out.bits_y[1] > 0
    # A smaller step must mean a smaller error, by the gradient too: the table may not sink for ever.
    (out.x - x).square().mean().backward()
    gradient = model.log_gain.knots.grad
    assert gradient is not None
    assert gradient.sum() < 0


def trainer(images: Path, run: Path, **options: Any) -> Trainer:
    return Trainer(SMALL, options.pop("recipe", RECIPE), [images], run, Team("cpu"), **options)


def quiet(_: object, __: float) -> None:
    pass


def test_files_that_come_later_are_taken_in_once_they_are_whole(images: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((images / "a.png").read_bytes())
    source = CropSource([tmp_path], smallest=64)
    whole = (images / "more.tar").read_bytes()
    (tmp_path / "shard.tar").write_bytes(whole[:2000])
    source.refresh()
    (tmp_path / "shard.tar").write_bytes(whole)
    source.refresh()  # it has grown since it was first seen
    assert len(source) == 1
    source.refresh()
    assert len(source) == 2
    source.refresh()
    assert len(source) == 2
    for name in ("bad.png", "bad.tar.gz", "cut.tar"):
        (tmp_path / name).write_bytes(whole[:700])
    source.refresh()
    with pytest.warns(UserWarning, match="left out"):
        source.refresh()
    source.refresh()
    assert len(source) == 2


def test_one_loader_at_a_time_takes_files_in(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0.png").write_bytes((images / "a.png").read_bytes())
    source = CropSource([tmp_path], smallest=64)
    monkeypatch.setattr(data_module, "REFRESH_SECONDS", 0.001)
    for number in range(1, 30):
        (tmp_path / f"{number}.png").write_bytes((images / "a.png").read_bytes())
    makers = [lambda: source.batch(1, 64, np.random.default_rng(0))] * 6
    with Prefetch(makers) as loader:
        for _ in range(300):
            loader.next()
    assert len(source) == 30


@pytest.mark.slow
def test_resumed_run_and_release(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    first = trainer(images, run, part_bytes=200_000)
    for _ in range(5):
        _, loss = first.train_step(first.source.batch(4, 64, np.random.default_rng(0)))
        assert loss is not None
        first.position.advance(RECIPE, 0.1)
    first.save()
    assert len(list((run / state.CHECKPOINT).glob("*.safetensors"))) > 3
    assert max(path.stat().st_size for path in (run / state.CHECKPOINT).iterdir()) < 250_000
    second = trainer(images, run)
    assert second.step == 5
    assert second.position == first.position
    for name, value in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value)
    second.train(quiet)
    assert second.step == 12
    with pytest.raises(InputError, match="another model configuration"):
        Trainer(ModelConfig(), RECIPE, [images], run, Team("cpu"))
    with pytest.raises(InputError, match="another recipe"):
        trainer(images, run, recipe=Recipe(RECIPE.stages, seed=1))

    monkeypatch.setattr(release_module, "CALIBRATION_CROPS", 3)
    monkeypatch.setattr(release_module, "CALIBRATION_SIDE", 128)
    lines = release_module.release(run, tmp_path / "weights" / "test.safetensors")
    assert any(line.startswith("worst of the drawn blocks: crop") for line in lines)
    codec = Codec(*load_integers(tmp_path / "weights"))
    picture = read_picture(images / "a.png")
    data = codec.encode(picture, 100)
    error = codec.decode(data).pixels.astype(float) - picture.pixels
    assert np.sqrt((error**2).mean()) < 25

    start, origin = release_module.load_start(tmp_path / "weights")
    assert origin["training"]["steps"] == 12
    tuned = trainer(images, tmp_path / "tuned", start=start, origin=origin)
    close = {"rtol": 1e-3, "atol": 1e-3}  # of what is shipped in float16
    for name, value in second.average.state_dict().items():
        torch.testing.assert_close(tuned.model.state_dict()[name], value, **close)


@pytest.mark.slow
def test_resumed_run_learns_on_as_before(images: Path, tmp_path: Path) -> None:
    """The state keeps what the optimiser needs: a step after a resumption changes the weights about as much."""
    first = trainer(images, tmp_path / "run")
    batch = first.source.batch(4, 64, np.random.default_rng(0))
    for _ in range(12):
        first.train_step(batch)
    first.save()
    second = trainer(images, tmp_path / "run")
    moments = [
        {t.names[parameter]: state["exp_avg_sq"] for parameter, state in t.optimizers[0].state.items()}
        for t in (first, second)
    ]
    assert moments[0].keys() == moments[1].keys()
    for name, moment in moments[0].items():
        torch.testing.assert_close(moments[1][name], moment, rtol=2**-8, atol=0)
    before = [parameter.detach().clone() for parameter in second.model.parameters()]
    _, loss = second.train_step(batch)
    assert loss is not None
    after = [parameter.detach() for parameter in second.model.parameters()]
    largest = max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True))
    assert 0 < largest < 2 * second.optimizers[0].param_groups[0]["lr"]


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    first = trainer(images, run)
    first.save()
    first.train_step(first.source.batch(4, 64, np.random.default_rng(0)))

    def full(tensors: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(state, "save_file", full)
        with pytest.raises(OSError, match="No space left"):
            first.save()
    assert [path.name for path in run.iterdir()] == [state.CHECKPOINT]
    assert trainer(images, run).step == 0
    # Killed between putting the old state aside and the new one in its place.
    (run / state.CHECKPOINT).rename(run / (state.CHECKPOINT + ".old"))
    assert trainer(images, run).step == 0
    first.save()
    assert [path.name for path in run.iterdir()] == [state.CHECKPOINT]
    assert trainer(images, run).step == 1
    (run / state.CHECKPOINT / "part-00.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        trainer(images, run)


@pytest.mark.slow
def test_exploding_and_undefined_steps_are_dropped(images: Path, tmp_path: Path) -> None:
    run = trainer(images, tmp_path / "run")
    batch = run.source.batch(4, 64, np.random.default_rng(0))
    run.norms.extend([1e-9] * 50)
    before = [parameter.clone() for parameter in run.model.parameters()]
    assert run.train_step(batch)[1] is None
    run.norms.clear()
    with torch.no_grad():
        run.model.log_gain.knots[0] = torch.nan
    assert run.train_step(batch)[1] is None
    run.model.log_gain.knots.data = before[[*run.names.values()].index("log_gain.knots")].data
    assert all(torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))
    means = report.Means()
    means.add(torch.zeros(4), None)
    assert means.row() == {"skipped": 1}


@pytest.mark.slow
def test_evaluation_keeps_the_best_and_stops_when_patience_ends(images: Path, tmp_path: Path) -> None:
    validation = Validation(images)
    selection = Selection(validation, every=2, patience=2, part_bytes=state.UNSPLIT)
    run = trainer(images, tmp_path / "run", selection=selection)
    lines: list[str] = []
    curves = iter([-10.0, -30.0, -20.0, -25.0, -40.0])

    def evaluate(model: CompressionModel) -> tuple[list[Point], float]:
        return [Point(0.5, 30.0)] * 8, next(curves)

    validation.run = evaluate  # type: ignore[method-assign, assignment]
    run.train(lambda news, _: lines.append(news) if isinstance(news, str) else None)
    assert run.step == 9  # the step that the others of a team have begun is finished
    assert [line.endswith("the best so far") for line in lines if line.startswith("evaluation")] == [
        True,
        True,
        False,
        False,
    ]
    _, record = release_module.load_run(tmp_path / "run")
    assert record["step"] == 4
    assert len(report.read(tmp_path / "run" / report.EVALUATIONS)) == 4 * 8
    assert (tmp_path / "run" / BEST).is_dir()
    # A resumed run forgets what it will do again, and remembers what was best.
    report.append(tmp_path / "run" / report.EVALUATIONS, report.EVALUATION_COLUMNS, [{"step": 11}])
    selection = Selection(validation, every=2, patience=2, part_bytes=state.UNSPLIT)
    trainer(images, tmp_path / "run", selection=selection)
    assert selection.progress == {"best": -30.0, "since_best": 2}
    assert max(row["step"] for row in report.read(tmp_path / "run" / report.EVALUATIONS)) == 8


def test_validation_rounds(images: Path, tmp_path: Path) -> None:
    source = CropSource([images], smallest=128)
    model = CompressionModel(SMALL).eval()
    model.start_from_klt(torch.from_numpy(patch_covariance(source, np.random.default_rng(2), crops=100)))
    (tmp_path / "photo").mkdir()
    photo = skimage.data.chelsea()[:256, :256]  # type: ignore[no-untyped-call]
    Image.fromarray(photo).save(tmp_path / "photo" / "cat.png")
    validation = Validation(tmp_path / "photo")
    curve, delta = validation.run(model)
    assert validation.run(model) == (curve, delta)  # no noise in it
    assert all(a.bpp < b.bpp and a.psnr < b.psnr for a, b in pairwise(curve))
    assert delta is not None
    assert -99 < delta < 100
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image"):
        Validation(tmp_path / "empty")


@pytest.mark.parametrize("part", ["ms_ssim", "visual"])
def test_what_eyes_see_is_a_part_of_the_distortion(images: Path, part: str) -> None:
    source = CropSource([images], smallest=128)
    x = torch.from_numpy(source.batch(2, 128, np.random.default_rng(0))).float() / 255 - 0.5
    model = CompressionModel(SMALL).eval()
    t = torch.tensor([0.2, 0.8])
    with torch.no_grad():
        out = model(x, t)
    plain, half, whole = (rate_distortion(model, x, t, out, **{part: share}) for share in (0.0, 0.5, 1.0))
    assert torch.equal(plain.bpp, whole.bpp)
    assert not torch.allclose(plain.samples, whole.samples, rtol=0.01)
    assert torch.allclose(half.samples, (plain.samples + whole.samples) / 2)
    for share in (0.5, 1.0):
        exact = rate_distortion(model, x, t, out._replace(x=x), **{part: share})
        assert bool((exact.samples < half.samples).all())
        assert float(exact.total) == pytest.approx(float(rate_distortion(model, x, t, out._replace(x=x)).total), 1e-3)


def test_luma_is_a_part_of_the_squared_error() -> None:
    """Errors of grey weigh the same at any share; those that leave the luma as it is weigh less."""
    model = CompressionModel(SMALL).eval()
    x, t = torch.zeros(1, 64, 64, 3), torch.tensor([0.5])
    with torch.no_grad():
        out = model(x, t)
    grey, colour = torch.tensor([0.1, 0.1, 0.1]), torch.tensor([0.1, 0.0, -0.0299 / 0.114])

    def distortion(error: torch.Tensor, luma: float) -> float:
        loss = rate_distortion(model, x, t, out._replace(x=x + error), luma=luma)
        assert float(loss.mse[0]) == pytest.approx(float(error.square().mean()))
        return float(loss.samples - rate_distortion(model, x, t, out._replace(x=x)).samples)

    assert distortion(grey, 0.75) == pytest.approx(distortion(grey, 0), rel=1e-4)
    assert distortion(colour, 0.75) == pytest.approx(distortion(colour, 0) / 4, rel=1e-4)


def test_jumps_at_the_borders_of_blocks_weigh_where_it_is_smooth() -> None:
    model = CompressionModel(SMALL).eval()
    t = torch.tensor([0.5])
    smooth = torch.zeros(1, 64, 64, 3)
    busy = smooth + 0.2 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = model(smooth, t)
    steps = (torch.arange(64) // 16 % 2)[:, None, None] * 0.01  # along the borders of patches
    inside = ((torch.arange(64) + 4) // 16 % 2)[:, None, None] * 0.01

    def jumps(x: torch.Tensor, error: torch.Tensor) -> float:
        return float(
            rate_distortion(model, x, t, out._replace(x=x + error), borders=1.0).samples
            - rate_distortion(model, x, t, out._replace(x=x + error)).samples
        )

    at_borders = jumps(smooth, steps.expand(1, 64, 64, 3))
    # Three of 64 lines, at the weight of the squared error.
    weight = float(rate_distortion(model, smooth, t, out._replace(x=smooth + 0.01)).samples)
    weight -= float(rate_distortion(model, smooth, t, out._replace(x=smooth)).samples)
    assert at_borders == pytest.approx(3 / 64 * weight, rel=1e-3)
    assert jumps(smooth, inside.expand(1, 64, 64, 3)) == pytest.approx(0, abs=1e-6)
    assert jumps(smooth, torch.full_like(smooth, 0.01)) == pytest.approx(0, abs=1e-6)
    assert 0 <= jumps(busy, steps.expand(1, 64, 64, 3)) < 0.05 * at_borders
    # Noise of 0.01 is a squared error like that of a step of 0.01, but a jump of sqrt(2 / 8) of one.
    noise = 0.01 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(1)).mean(-1, keepdim=True)
    noise *= 3**0.5
    assert 0.5 < jumps(smooth, noise.expand(1, 64, 64, 3)) / (2 * 7 / 64 * 2 / 8 * weight) < 1.5


@pytest.mark.slow
def test_a_run_without_an_end_is_ended_by_another(images: Path, tmp_path: Path) -> None:
    stable, ending = tmp_path / "stable", tmp_path / "ending"
    first = trainer(images, stable, recipe=replace(RECIPE, schedule="stable"))
    for _ in range(3):
        first.train_step(first.source.batch(4, 64, np.random.default_rng(0)))
        first.position.advance(first.recipe, 0.1)
    first.save()
    state.begin_decay(stable, ending, 0.1)
    plan, config = stored(state.load_state(ending / state.CHECKPOINT)[1])
    assert (plan.schedule, config) == ("decay", SMALL)
    second = Trainer(config, plan, [images], ending, Team("cpu"))
    assert (second.step, second.position) == (3, Position())
    for name, value in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value)
    assert second.train(quiet) == 0
    assert second.step > 3
    assert trainer(images, stable, recipe=first.recipe).step == 3  # as it was
    with pytest.raises(InputError, match="already"):
        state.begin_decay(stable, ending, 1)
    with pytest.raises(InputError, match="no training run"):
        state.begin_decay(tmp_path / "nothing", tmp_path / "other", 1)


@pytest.mark.slow
def test_a_run_says_how_its_units_are(images: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    run = trainer(images, tmp_path / "run")
    with torch.no_grad():
        run.model.synthesis.blocks_8.each[0].expand.bias[32:] = -1e4
    run.train(lambda news, _: lines.append(news) if isinstance(news, str) else None)
    (row,) = report.read(tmp_path / "run" / report.HEALTH)
    assert row["synthesis.blocks_8.0 dead"] > 0.6
    assert any(line.endswith("dead units revived") for line in lines)
    assert health.examine(run.model, run.examined)["synthesis.blocks_8.0"].dead < 0.1


@pytest.mark.slow
def test_learning_rates_of_groups(images: Path, tmp_path: Path) -> None:
    run = trainer(images, tmp_path / "run", recipe=replace(RECIPE, optimizer="muon"))
    set_learning_rate(run.optimizers, 1.0)
    groups = [group for optimizer in run.optimizers for group in optimizer.param_groups]
    shares = {run.names[parameter]: group["lr"] for group in groups for parameter in group["params"]}
    assert len(shares) == sum(len(group["params"]) for group in groups)  # none learns twice
    assert shares.keys() == set(run.names.values())
    assert shares["synthesis.linear.inner.weight"] < shares["log_gain.knots"] < shares["synthesis.up.weight"] == 1.0
    with_muon = {run.names[parameter] for parameter in groups[-1]["params"]}
    assert {"synthesis.up.weight", "synthesis.leave.inner.weight", "prior.steps.1.enter.weight"} < with_muon
    assert not {name for name in with_muon if "linear" in name or "bias" in name or "spatial" in name}


@pytest.mark.slow
def test_muon(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learns, and goes on after a stop."""
    monkeypatch.setattr(Position, "learning_rate", lambda *_: 3e-3)  # at once, without the warm-up
    recipe = replace(RECIPE, optimizer="muon")
    first = trainer(images, tmp_path / "run", recipe=recipe)
    batch = first.source.batch(4, 64, np.random.default_rng(0))
    losses = [float(loss.total.detach()) for loss in (first.train_step(batch)[1] for _ in range(40)) if loss]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    first.save()
    second = trainer(images, tmp_path / "run", recipe=recipe)
    before = second.model.synthesis.up.weight.detach().clone()
    second.train_step(batch)
    assert 0 < float((second.model.synthesis.up.weight.detach() - before).abs().max()) < 10 * 3e-3
