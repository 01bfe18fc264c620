"""`python -m vidcolor` is the command `vidcolor`."""

from vidcolor.cli import main

main()
