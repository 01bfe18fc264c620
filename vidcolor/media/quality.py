"""How each encoder is told a constant quality."""

import re
from dataclasses import dataclass, field
from typing import Any

from vidcolor.errors import MediaError


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The setting of an encoder that means what `--crf` means: lower is better and larger."""

    options: tuple[str, ...]
    """ffmpeg's options that are set to it."""
    best: int
    worst: int
    default: int
    fixed: dict[str, Any] = field(default_factory=dict)
    """Further options without which the encoder keeps to a bit rate."""
    inverted: bool = False
    """Whether the encoder's own scale runs from 1, the worst, to 100; ours is mapped onto it."""

    def encoder_options(self, crf: int) -> dict[str, Any]:
        """ffmpeg's options for a quality between `best` and `worst`."""
        value = crf
        if self.inverted:
            value = round(100 - 99 * (crf - self.best) / (self.worst - self.best))
        return {**dict.fromkeys(self.options, value), **self.fixed}


_NO_BIT_RATE = {"b:v": 0}
_MPEG = {"options": ("q:v",), "best": 1, "worst": 31}

_QUALITIES: dict[str, Quality] = {
    "libx264(rgb)?": Quality(options=("crf",), best=0, worst=51, default=17),
    "libx265": Quality(options=("crf",), best=0, worst=51, default=18),
    "libvpx(-vp9)?": Quality(options=("crf",), best=0, worst=63, default=24, fixed=_NO_BIT_RATE),
    "libaom-av1": Quality(options=("crf",), best=0, worst=63, default=24, fixed=_NO_BIT_RATE),
    "libsvtav1": Quality(options=("crf",), best=1, worst=63, default=24),
    "librav1e": Quality(options=("qp",), best=0, worst=255, default=70),
    # 0 means "automatic" to NVENC.
    "(h264|hevc)_nvenc": Quality(
        options=("cq",), best=1, worst=51, default=19, fixed={"rc": "vbr", **_NO_BIT_RATE}
    ),
    "av1_nvenc": Quality(
        options=("cq",), best=1, worst=63, default=24, fixed={"rc": "vbr", **_NO_BIT_RATE}
    ),
    ".*_qsv": Quality(options=("global_quality",), best=1, worst=51, default=19),
    "(h264|hevc)_vaapi": Quality(
        options=("qp",), best=1, worst=51, default=19, fixed={"rc_mode": "CQP"}
    ),
    "(h264|hevc)_amf": Quality(
        options=("qp_i", "qp_p"), best=0, worst=51, default=19, fixed={"rc": "cqp"}
    ),
    "(h264|hevc)_videotoolbox": Quality(
        options=("q:v",), best=0, worst=51, default=17, inverted=True
    ),
    "mpeg4|libxvid": Quality(**_MPEG, default=2),
    "mpeg[12]video|msmpeg4(v2)?|wmv[12]|flv|h263p?": Quality(**_MPEG, default=2),
    "mjpeg": Quality(options=("q:v",), best=2, worst=31, default=2),
}


def quality_of(codec: str) -> Quality | None:
    """The quality setting of ffmpeg's encoder `codec`; None where it has none that we know."""
    return next(
        (quality for name, quality in _QUALITIES.items() if re.fullmatch(name, codec)), None
    )


def quality_options(codec: str, crf: int | None) -> dict[str, Any]:
    """ffmpeg's options for the quality of encoder `codec`; its default where `crf` is None.

    Raises MediaError for an encoder without a constant quality, and for one out of its range.
    """
    quality = quality_of(codec)
    if quality is None:
        if crf is None:
            return {}
        raise MediaError(f"{codec} has no constant quality; leave --crf out")
    crf = quality.default if crf is None else crf
    if not quality.best <= crf <= quality.worst:
        raise MediaError(
            f"--crf {crf} is out of range for {codec}; "
            f"choose from {quality.best} (best) to {quality.worst}"
        )
    return quality.encoder_options(crf)
