"""Makes frozen/color.json: color arithmetic by the standards, in exact fractions.

Nothing of vidcolor is used: Cb and Cr are those of ITU-R BT.601-7, BT.709-6 and BT.2020-2, and Y,
U and V come by the whole numbers that OpenCV documents for 8 bits.
`python tests/make_color.py`
"""

import json
import random
from fractions import Fraction
from pathlib import Path

PATH = Path(__file__).parent / "frozen" / "color.json"
KR_AND_KB = {
    "bt601": (Fraction("0.299"), Fraction("0.114")),
    "bt709": (Fraction("0.2126"), Fraction("0.0722")),
    "bt2020": (Fraction("0.2627"), Fraction("0.0593")),
}
CORNERS = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
OTHERS = [(128, 128, 128), (1, 1, 1), (224, 172, 105), (135, 206, 235), (85, 107, 47)]


def chroma(rgb: tuple[int, int, int], matrix: str) -> tuple[Fraction, Fraction]:
    """(Cb, Cr) in [-1/2, 1/2]."""
    red, green, blue = (Fraction(value, 255) for value in rgb)
    kr, kb = KR_AND_KB[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)


def codes(rgb: tuple[int, int, int], matrix: str, scale: int) -> list[int] | None:
    """The nearest whole numbers; None where a half lies too close for floats to agree."""
    exact = [128 + scale * value for value in chroma(rgb, matrix)]
    if any(abs(value % 1 - Fraction(1, 2)) < Fraction(1, 1000) for value in exact):
        return None
    return [min(round(value), 255) for value in exact]


def opencv_yuv(rgb: tuple[int, int, int]) -> list[int]:
    red, green, blue = rgb

    def rounded(value: int) -> int:
        return (value + (1 << 13)) >> 14

    luma = rounded(4899 * red + 9617 * green + 1868 * blue)
    u, v = 128 + rounded(8061 * (blue - luma)), 128 + rounded(14369 * (red - luma))
    return [luma, *(min(max(value, 0), 255) for value in (u, v))]


def main() -> None:
    rng = random.Random(1)
    colors = [*CORNERS, *OTHERS]
    colors += [(rng.randrange(256), rng.randrange(256), rng.randrange(256)) for _ in range(40)]
    table = []
    for rgb in colors:
        row = {"rgb": rgb, "opencv": opencv_yuv(rgb)}
        for matrix in KR_AND_KB:
            row[matrix] = {"limited": codes(rgb, matrix, 224), "full": codes(rgb, matrix, 255)}
        table.append(row)
    PATH.write_text("[\n" + ",\n".join(json.dumps(row) for row in table) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
