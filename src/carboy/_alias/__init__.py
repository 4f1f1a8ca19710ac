"""The machinery behind `carboy.as_flask`: how `import flask` comes to mean Carboy.

`flask.X` is not a copy or a wrapper of `carboy.X` but the same module object under a second name
in `sys.modules`. Only the package itself, `flask`, is a module of its own (`face`), because it has
another version and fewer names than `carboy`.
"""

from __future__ import annotations

from .blame import AliasError as AliasError
from .children import share_with_children as share_with_children
from .finder import expect_flask as expect_flask
from .finder import install as install
