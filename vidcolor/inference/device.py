"""Which device colors, and in which precision."""

import torch

from vidcolor.errors import DeviceError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """`auto` takes a CUDA or Apple GPU where there is one; DeviceError if `name` is not there."""
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
    has_bf16 = torch.backends.mkldnn.is_available() and (
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    return torch.bfloat16 if has_bf16 else torch.float32


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a CUDA device; None where nobody can say."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch said that memory ran out, on whichever device."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        "out of memory" in words or "can't allocate memory" in words or "alloc_failed" in words
    )


def describe(device: torch.device) -> str:
    """The device as a person would call it."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
