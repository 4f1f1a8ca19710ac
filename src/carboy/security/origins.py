"""The address of :mod:`carboy.origins` among the protections."""

from __future__ import annotations

from carboy.origins import Origin as Origin
from carboy.origins import is_own_origin as is_own_origin
from carboy.origins import origins_of as origins_of
from carboy.origins import parse_origin as parse_origin
