"""`import carboy.as_flask`: from here on `import flask` means Carboy, in this process.

Put it before the first import of `flask` or of an extension. Each `flask.X` is the very module
`carboy.X`; `flask` itself has Flask 3.1's names and `__version__ == "3.1.3"`. Applications made
afterwards get the profile of defaults `flask`.

Importing it again is harmless. Raises an `ImportError` that names the culprit and the fix when the
real Flask, or a `flask.py` of the application's own, was imported before.
"""

from __future__ import annotations

from carboy._alias import install

install()
