"""Limits of time that cost no task of their own, as `asyncio.wait_for` does before Python 3.12."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout as time_limit
else:
    from async_timeout import timeout as time_limit

__all__ = ["time_limit"]
