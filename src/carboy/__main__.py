"""`python -m carboy`, the same as the `carboy` command."""

from __future__ import annotations

from carboy.cli import main

if __name__ == "__main__":
    main()
