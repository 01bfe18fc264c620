"""Choice of device and precision; running out of memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vidcolor.errors import DeviceError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """`auto` takes a CUDA or Apple GPU where there is one. DeviceError for one that is missing."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise DeviceError(
            f"there is no device {name!r} here; leave --device out, or use --device cpu"
        ) from error
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is fp16 on a GPU, bf16 on a CPU that computes in it, else fp32."""
    if name != "auto":
        return DTYPES[name]
    if device.type != "cpu":
        return torch.float16
    return torch.bfloat16 if has_bf16(device) else torch.float32


def wider_precision(dtype: torch.dtype, device: torch.device) -> torch.dtype | None:
    """The next precision of a larger range that the device computes in; None after fp32.

    bf16 has the range of fp32 in half of its memory.
    """
    if dtype == torch.float32:
        return None
    return torch.bfloat16 if dtype == torch.float16 and has_bf16(device) else torch.float32


def has_bf16(device: torch.device) -> bool:
    """Whether the device itself computes in bf16, which torch emulates slowly elsewhere."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def precision_name(dtype: torch.dtype) -> str:
    """The name that `--precision` has for a type."""
    return next((name for name, known in DTYPES.items() if known == dtype), str(dtype))


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a CUDA device; None where that is unknown."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether memory ran out, on whichever device."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "out of memory" in words or "can't allocate memory" in words or "alloc_failed" in words
    )


@contextmanager
def enough_memory(doing: str, remedy: str) -> Iterator[None]:
    """Turn running out of memory inside into a DeviceError.

    doing: what memory ran out for, as in "colors were enlarged". remedy: what to do about it.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(f"memory ran out while {doing}; {remedy}") from error


def describe(device: torch.device) -> str:
    """The device, described for a message."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
