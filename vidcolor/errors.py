"""Errors that the user can mend. Every message is one line: what happened, what to do."""


class VidcolorError(Exception):
    """The parent of every error that is shown to the user in one line."""


class MediaError(VidcolorError):
    """A film or an image cannot be read or written."""


class WeightsError(VidcolorError):
    """A model is unknown, missing, damaged or not what its name says."""


class DeviceError(VidcolorError):
    """The device is not there, or has too little memory."""


class RecipeError(VidcolorError):
    """A training recipe, or the photos that it is given, cannot be used."""


class TrainingError(VidcolorError):
    """A training cannot continue: a loss is not finite, or its folder cannot be read or written."""


class StorageError(VidcolorError):
    """A folder or an object store cannot be read or written, even after several attempts."""
