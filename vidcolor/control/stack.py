"""Arrays of one shape, in a file without a name, so that a long shot does not fill the memory."""

from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray


class Stack:
    """Arrays of one shape and type, numbered from 0. They are gone when the object is."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # it ends with this object
        self._like: NDArray | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, array: NDArray) -> None:
        """Raises ValueError for another shape than the first one's."""
        if self._like is None:
            self._like = np.empty_like(array, order="C")
        if (array.shape, array.dtype) != (self._like.shape, self._like.dtype):
            raise ValueError(f"{array.shape} {array.dtype} in a stack of {self._like.shape}")
        self._file.seek(self._count * self._like.nbytes)
        self._file.write(np.ascontiguousarray(array).data)
        self._count += 1

    def __getitem__(self, number: int) -> NDArray:
        if self._like is None or not 0 <= number < self._count:
            raise IndexError(number)
        array = np.empty_like(self._like)
        self._file.seek(number * array.nbytes)
        self._file.readinto(array.data)  # pyright: ignore[reportAttributeAccessIssue]
        return array
