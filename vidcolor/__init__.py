"""vidcolor turns black-and-white films into coloured ones."""

import os

# Threads that spin beside ffmpeg's are up to 15 times slower; torch reads this once, on import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
