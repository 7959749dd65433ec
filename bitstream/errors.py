"""Every error that this library raises on purpose.

    CaeError
    |-- BitstreamError             the file is bad
    |   |-- NotCaeError            it is something else, or empty
    |   |-- UnsupportedVersionError
    |   |-- TruncatedError         it ends too early
    |   |-- CorruptError           a checksum or a rule of the format is broken
    |   |-- LimitError             it asks for more than the format, or the caller, allows
    |   |-- UnknownChunkError      it needs a feature that is unknown here
    |   `-- DecodeMismatchError    it decodes to something else than was encoded
    |-- WeightsError               the weights are malformed
    |   |-- MissingWeightsError    none were found
    |   `-- WrongWeightsError      the file needs others
    |-- MemoryLimitError           the memory of this machine does not suffice
    `-- InputError                 the call is wrong
        |-- TargetError            no quality gives the wanted size or PSNR
        `-- ImageError             the image to be encoded is
            `-- ImageSizeError     it has more pixels than are allowed

Any bytes either decode or raise a `CaeError`, never anything else.
"""


class CaeError(Exception):
    """Base of all errors that this library raises on purpose."""


class BitstreamError(CaeError):
    """The file is bad; the subclass says how."""


class NotCaeError(BitstreamError):
    """The data does not start with the magic number, or is empty."""


class UnsupportedVersionError(BitstreamError):
    """The file has a format version that this library does not read."""


class TruncatedError(BitstreamError):
    """The data ends before the file does."""


class CorruptError(BitstreamError):
    """A checksum does not match, or a rule of the format is broken."""


class LimitError(BitstreamError):
    """A size or length is beyond the limits of the format, or beyond those that the caller set."""


class UnknownChunkError(BitstreamError):
    """The file has a mandatory chunk of an unknown kind: it needs a newer decoder."""


class DecodeMismatchError(BitstreamError):
    """The decoded latents differ from the encoder's, by their checksum."""


class WeightsError(CaeError):
    """The model's weights, or tables that belong to them, are malformed."""


class MissingWeightsError(WeightsError):
    """No weights were found."""


class WrongWeightsError(WeightsError):
    """The file was encoded with weights of another fingerprint."""


class MemoryLimitError(CaeError):
    """The memory of this machine, or of its GPU, does not suffice."""


class InputError(CaeError):
    """An argument is outside of its documented type, shape or range."""


class TargetError(InputError):
    """The wanted size or PSNR is out of reach for this image; the message says what the nearest is."""


class ImageError(InputError):
    """The image to be encoded cannot be read or has an unsupported form."""


class ImageSizeError(ImageError):
    """The image to be encoded has more pixels than the caller, or the format, allows."""
