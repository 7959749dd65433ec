"""Pictures to .cae files and back: the stages in order, one call each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..bitstream.container import Container, Tile, is_enough, pack, unpack
from ..bitstream.errors import ImageSizeError
from ..bitstream.header import DEFAULT_TILE, LATENT_SIDE, Header, latent_size, read_header, tile_grid, tile_rectangles
from ..bitstream.limits import DEFAULT_MAX_PIXELS, MAX_PIXELS, MAX_SIDE, SAFE_TILE
from .backends.batching import ROOM, WINDOW, Done, groups, padded_pixels
from .backends.interface import Networks
from .decode import previews
from .decode.decoder import Decoder, Progress, check_size, silent
from .decode.region import asked
from .encode import mixed, refine
from .encode.options import EncodeOptions
from .image.chunks import to_chunks
from .image.picture import Picture
from .machine.memory import memory_errors
from .model.arrays import Floats, Latents, Pixels
from .model.config import LATENT_FRACTION
from .model.rate import rate_index_of
from .options import DEFAULT_EFFORT
from .tile.coder import TileCoder


class FileCoder(Decoder):
    """Encodes pictures to whole files and decodes them, with one back end's networks: `torch_codec.load_codec` and
    `select.load_on_cpu` make one of installed weights."""

    coder: TileCoder

    def __init__(self, networks: Networks, fingerprint: bytes, device: str = "cpu") -> None:
        super().__init__(TileCoder(networks), fingerprint)
        self.room = ROOM[device]

    def share(self, width: int, height: int) -> float:
        """The share of a batch that an image of this size fills: images whose shares sum to at most 1 go through the
        networks together."""
        return padded_pixels(width, height) / self.room

    def encode(
        self, picture: Picture, quality: float, *, effort: int = DEFAULT_EFFORT, progress: Progress = silent
    ) -> bytes:
        """The .cae file of a picture. quality: 0 (smallest file) to 100 (best picture). effort: 1 (fastest) to 9
        (fewest bits for a picture as good).

        Raises InputError for a quality outside 0..100 or an effort outside 1..9, ImageSizeError, MemoryLimitError.
        """
        return self.encode_pictures([picture], EncodeOptions(quality, effort=effort), progress)[0]

    def encode_many(self, pictures: Sequence[Picture], quality: float, *, effort: int = DEFAULT_EFFORT) -> list[bytes]:
        """The file of each picture, the same as `encode` makes. Pictures of equal size go through the networks
        together, which takes less time where they are small, and on CUDA. Raises as `encode`."""
        return self.encode_pictures(pictures, EncodeOptions(quality, effort=effort))

    def encode_pictures(
        self, pictures: Sequence[Picture], options: EncodeOptions, progress: Progress = silent
    ) -> list[bytes]:
        """The file of each picture, at the quality and effort of the options. Targets, `strip` and `exact` are not
        looked at: `rate_control` sees to them and calls this. Raises ImageSizeError, MemoryLimitError."""
        files: dict[int, bytes] = {}
        shapes = [picture.pixels.shape for picture in pictures]
        for group in groups(shapes, [int(1 / self.share(width, height)) for height, width, *_ in shapes]):
            coded = self._encode([pictures[index] for index in group], options, progress)
            files.update(zip(group, coded, strict=True))
        return [files[index] for index in range(len(pictures))]

    def decode_many(
        self,
        files: Sequence[bytes],
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
    ) -> list[Picture]:
        """The picture in each file, the same as `decode` gives with these options. Files of equal size and quality go
        through the networks together. Raises as `decode`, for any of them."""
        pictures: dict[int, Picture] = {}
        for group in self._batches(files):
            decoders = self._decoders([files[index] for index in group], max_pixels, region, scale)
            for index, decoder in zip(group, decoders, strict=True):
                pictures[index] = decoder.decode(files[index], max_pixels=max_pixels, region=region, scale=scale)
        return [pictures[index] for index in range(len(files))]

    def latents_many(self, files: Sequence[bytes], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> list[Floats]:
        """The decoded latents of each file, without pixels: float32 [ceil(H/16), ceil(W/16), M], in standard deviations
        of each channel, the unit in which the encoder has them before it quantises; 0 in cells that the networks did
        not code. Files of equal size and quality go through the networks together. Raises as `decode`, for any of
        them, but does not look at alpha planes and metadata."""
        latents: dict[int, Floats] = {}
        for group in self._batches(files):
            header = read_header(files[group[0]])
            check_size(header.width, header.height, max_pixels)
            containers = [unpack(files[index]) for index in group]
            self.check_weights(header)
            rows, columns = (-(-side // LATENT_SIDE) for side in (header.height, header.width))
            with memory_errors():
                steps = LATENT_FRACTION * self.coder.networks.sigma_in_steps[header.rate_index]
                for index, own in zip(group, self._decode_together(containers), strict=True):
                    latents[index] = own[:rows, :columns].astype(np.float32) / steps
        return [latents[index] for index in range(len(files))]

    def _batches(self, files: Sequence[bytes]) -> Iterator[list[int]]:
        """The indices of files whose networks run together. Raises as `read_header`."""
        headers = [read_header(data) for data in files]
        return groups(headers, [int(1 / self.share(h.width, h.height)) if _is_small(h) else 1 for h in headers])

    def _decode_together(self, containers: Sequence[Container]) -> list[Latents]:
        """The latents of the padded images in files of equal headers."""
        header = containers[0].header
        # Of files with patches each has cells of its own that are not coded.
        if len(containers) == 1 or any(container.has_patches for container in containers):
            return [self.decode_latents(container) for container in containers]
        tiles = [container.tiles[0] for container in containers]
        return list(self.coder.decode(tiles, *latent_size(header), header.rate_index))

    def _decoders(
        self, files: Sequence[bytes], max_pixels: int, region: tuple[int, int, int, int] | None, scale: int
    ) -> list[Decoder]:
        """A decoder, of this region at this scale, for each of several files with equal headers. The networks run here,
        once for all the files; each decoder hands out what they gave for its own."""
        if len(files) == 1:
            return [self]
        header, coder = read_header(files[0]), self.coder
        check_size(header.width, header.height, max_pixels)
        small = previews.suffice(asked(header, region, scale), scale)
        self.check_weights(header)
        containers = [unpack(data) for data in files]
        if any(container.has_patches for container in containers):
            return [self] * len(files)  # each has cells of its own that are not coded
        tiles = [container.tiles[0] for container in containers]
        with memory_errors():
            latents = coder.decode(tiles, *latent_size(header), header.rate_index)
            show = coder.networks.preview if small else coder.networks.synthesise
            pixels = show(latents, header.rate_index)
        together = zip(latents, pixels, strict=True)
        return [Decoder(Done(coder.halo, coder.channels, *own), self.fingerprint) for own in together]

    def _encode(self, pictures: Sequence[Picture], options: EncodeOptions, progress: Progress) -> list[bytes]:
        """The files of pictures of one shape, which go through the networks together."""
        rate_index = rate_index_of(options.quality)
        width, height, grey = pictures[0].width, pictures[0].height, pictures[0].grey
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise ImageSizeError(f"{width} x {height} pixels are more than the format allows")
        header = Header(width, height, grey, rate_index, self.fingerprint, DEFAULT_TILE)
        files = []
        with memory_errors():
            if options.patches == "all":
                exact = [mixed.lossless(self.coder, picture.pixels, header) for picture in pictures]
                return [_packed(picture, file, options.effort) for picture, file in zip(pictures, exact, strict=True)]
            tiles_of_each = self._encode_tiles([picture.pixels for picture in pictures], header, options, progress)
            for picture, (tiles, is_bounded) in zip(pictures, tiles_of_each, strict=True):
                own = header
                if not all(map(is_enough, (len(tile.payload) for tile in tiles), tile_rectangles(header))):
                    # The payloads of so flat a picture are shorter than the format allows for tiles of this size: a
                    # decoder would suspect a decompression bomb. Tiles of SAFE_TILE may be empty.
                    own = replace(header, tile=SAFE_TILE)
                    ((tiles, is_bounded),) = self._encode_tiles([picture.pixels], own, options, progress)
                file = Container(own, (), tiles)
                if options.patches == "auto":
                    file = mixed.best(self.coder, picture.pixels, file, options.effort, is_bounded=is_bounded)
                files.append(_packed(picture, file, options.effort))
        return files

    def _encode_tiles(
        self, images: Sequence[Pixels], header: Header, options: EncodeOptions, progress: Progress
    ) -> list[tuple[tuple[Tile, ...], bool]]:
        """The coded tiles of each image, in the order of the file, and whether all blocks are within their bounds, as
        far as was looked."""
        done: list[list[refine.Checked]] = []
        rectangles = tile_rectangles(header)
        for rectangle in rectangles:
            done.append(refine.encode(self.coder, images, header, rectangle, options.effort))
            progress(len(done), len(rectangles))
        found = zip(*done, strict=True)
        return [(tuple(tile for tile, _ in own), all(bounded for _, bounded in own)) for own in found]


def _packed(picture: Picture, file: Container, effort: int) -> bytes:
    """The file with what else there is of a picture."""
    return pack(replace(file, chunks=(*file.chunks, *to_chunks(picture, effort))))


def _is_small(header: Header) -> bool:
    """Whether an image is a single tile that fits into one window of the networks."""
    return tile_grid(header) == (1, 1) and max(latent_size(header)) <= WINDOW
