"""Flask under Carboy's name, so that the behaviour tests can be held against Flask itself.

On the path only when ``CARBOY_TEST_ON_FLASK=1`` is set and Carboy is not installed; see
``tests/conftest.py``. Child processes of a test find it the same way.
"""

import importlib
import pkgutil
import sys

import flask

flask.Carboy = flask.Flask
for _found in pkgutil.walk_packages(flask.__path__, "flask."):
    if not _found.name.endswith("__main__"):
        sys.modules["carboy" + _found.name[5:]] = importlib.import_module(_found.name)
sys.modules["carboy"] = flask
