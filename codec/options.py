"""What callers may choose, and what is taken where they say nothing. Without imports: commands start fast."""

ROUNDS = (0, 1, 2, 3, 4, 5, 6, 8, 12)
DEFAULT_EFFORT = 2
"""How many times an encoder moves the latents (encode/refine.py) at efforts 1 to 9, and the effort where none is asked
for."""

SCALES = (1, 2, 4, 8, 16)
"""How many pixels to a side a decoder can make into one: divisors of a latent position's."""

PNG_COMPRESSION = 2
"""The default level of PNG files that are decoded to. Against 6, zlib's own, photographs are 3 to 5 % larger and take
less than a third of the time, which was three times that of decoding itself."""
