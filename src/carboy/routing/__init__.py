"""The compiled router and the compiled URL builder: two caches of one Werkzeug map."""

from .builder import UrlBuilder as UrlBuilder
from .router import Router as Router
from .rule import LazyRule as LazyRule
