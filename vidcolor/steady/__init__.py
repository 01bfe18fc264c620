"""Steady chroma from chroma that flickers: numpy arrays in and out, nothing of files or devices."""

from vidcolor.steady.settings import STRENGTHS, SmoothSettings
from vidcolor.steady.steadier import Memory, SmallFrame, Steadier, SteadyFrame

__all__ = ["STRENGTHS", "Memory", "SmallFrame", "SmoothSettings", "Steadier", "SteadyFrame"]
