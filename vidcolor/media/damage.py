"""Where a film is damaged and in what way, from ffmpeg's messages while it decodes it.

ffmpeg patches a damaged frame from its neighbors; a packet that it cannot decode gives no frame,
and the frames around it keep their timestamps.
"""

import re
from dataclasses import dataclass

from vidcolor.media.clock import clock
from vidcolor.media.probe import Film
from vidcolor.media.process import Line

PLACES = 4
"""So many places are reported one by one; the last one extends to the last fault."""

GAP = 2.0
"""Seconds without a fault, after which the next one counts as another place."""

TOLERANCE = 1.0
"""Seconds by which sound may outlast the picture without a warning."""

_UNDECODABLE = re.compile(r"Decoding error|Error while decoding stream|Error submitting .*decoder")
_NO_FAULT = re.compile("non[- ]monotonically increasing dts to muxer|non-monotonous DTS")
"""Frames that share a timestamp: kept as they are, whatever the raw muxer reports."""

_ASPECT = re.compile(r"ignoring invalid SAR: (\d+)/(\d+)")
_INCOMPLETE = re.compile(r"corrupt input packet in stream (\d+)")


@dataclass
class _Place:
    """A stretch of the film with faults in it: frames, counted from 0, and seconds."""

    frames: tuple[int, int]
    seconds: tuple[float, float]

    def describe(self, *, numbered: bool) -> str:
        times = _span(*map(clock, self.seconds))
        return f"frame {_span(*map(str, self.frames))} ({times})" if numbered else times


class Damage:
    """Counts faults and remembers where they were, in the same small memory for any film.

    ffmpeg decodes ahead of what it hands out, so that a place is known to about ten frames.
    """

    def __init__(self, film: Film, start: float | None) -> None:
        """start: seconds of the film from which on it is read; frames have no number then."""
        self._film = film
        self._numbered = start is None
        self._frame = -1
        self._seconds = start or 0.0
        self._step = 0.0
        self._aspect: str | None = None
        self._patched = 0
        self._undecodable = 0
        self._other: str | None = None
        self._places: list[_Place] = []

    def on_frame(self, pts: int | None) -> None:
        """One more frame was decoded."""
        self._frame += 1
        if pts is not None:
            seconds = float(pts * self._film.time_base) - (self._film.start or 0.0)
            if seconds > self._seconds and self._frame > 0:
                self._step = seconds - self._seconds
            self._seconds = seconds

    def on_message(self, line: Line) -> None:
        """ffmpeg wrote a message."""
        if _NO_FAULT.search(line.text):
            return
        if aspect := _ASPECT.search(line.text):
            self._aspect = f"{aspect[1]}:{aspect[2]}"
            return
        incomplete = _INCOMPLETE.search(line.text)
        if "corrupt decoded frame" in line.text:
            self._patched += 1
        elif _UNDECODABLE.search(line.text):
            self._undecodable += 1
        elif incomplete and int(incomplete[1]) == self._film.video_index:
            self._other = self._other or "an incomplete packet"
        elif line.level == "error":
            self._other = self._other or line.text
        else:
            return
        self._mark()

    def warnings(self, *, to_end: bool) -> list[str]:
        """What the user should know once all frames have passed.

        to_end: the film was read as far as it goes.
        """
        warnings = []
        if self._places:
            where = ", ".join(place.describe(numbered=self._numbered) for place in self._places)
            warnings.append(f"the source is damaged around {where}: {self._faults()}")
        if self._aspect:
            warnings.append(
                f"its sample aspect ratio of {self._aspect} is ignored, as ffmpeg does: "
                "the picture would be less than a pixel wide or high"
            )
        length = self._film.duration or 0.0
        end = self._seconds + self._last_length()
        missing = length - end
        if to_end and missing > TOLERANCE:
            warnings.append(
                f"the picture ends at {clock(end)}, "
                f"{missing:.1f} s before the end that the container names ({clock(length)}); "
                "if the source was cut short, copy or download it again"
            )
        return warnings

    def _last_length(self) -> float:
        """Seconds for which the last frame is shown: as long as the one before, or the average."""
        rate = self._film.frame_rate
        return max(self._step, float(1 / rate) if rate else 0.0)

    def _mark(self) -> None:
        frame, seconds = max(0, self._frame), self._seconds
        latest = self._places[-1] if self._places else None
        if latest and (seconds - latest.seconds[1] <= GAP or len(self._places) == PLACES):
            latest.frames = (latest.frames[0], frame)
            latest.seconds = (latest.seconds[0], seconds)
        else:
            self._places.append(_Place((frame, frame), (seconds, seconds)))

    def _faults(self) -> str:
        faults = []
        if self._patched:
            faults.append(f"frames patched by ffmpeg: {self._patched}")
        if self._undecodable:
            faults.append(f"packets left out because they cannot be decoded: {self._undecodable}")
        return ", ".join(faults) or f"ffmpeg says: {self._other}"


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
