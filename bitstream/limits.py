"""The limits of FORMAT.md, section 5, and the default of the one that a decoder sets for itself."""

MAX_TILE = 32  # units of 64 pixels, 2048 pixels; what a decoder needs in memory grows with it
MAX_SIDE = 2**20  # pixels
MAX_PIXELS = 2**30
MAX_CHUNKS = 64
MAX_CHUNK_BYTES = 2**30
MAX_PAYLOAD_BYTES = 2**30

# A decoder's work is bounded by the length of the file: a payload of n bytes stands for at most FREE_CELLS + n cells
# of 64 x 64 pixels. A plain white image at quality 0 takes 2.2 bytes a cell.
FREE_CELLS = 16
SAFE_TILE = 4  # 16 cells: tiles of this side need no byte of payload

# Where Pillow raises an error by default, twice its MAX_IMAGE_PIXELS: half a gigabyte of RGB.
DEFAULT_MAX_PIXELS = 2 * 89_478_485
