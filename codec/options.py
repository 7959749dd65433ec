"""What callers may choose, and what is taken where they say nothing. Without imports: commands start fast."""

ROUNDS = (0, 1, 2, 3, 4, 5, 6, 8, 12)
"""Iterations by which an encoder improves the latents (encode/refine.py), at efforts 1 to 9."""
DEFAULT_EFFORT = 2

SCALES = (1, 2, 4, 8, 16)
"""Factors by which a decoder can divide a picture's width and height: the divisors of a latent position's 16 pixels."""

PNG_COMPRESSION = 2
"""zlib's level for decoded PNG files where none is asked for. Against 6, zlib's own default, photographs are 3 to 5 %
larger and take less than a third of the time, which was three times that of decoding itself."""

SIMILAR = 0.2
"""Distance of two pictures' signatures (features.py) up to which they are taken for the same picture: docs/features.md
says what that finds, and how often it is wrong."""
