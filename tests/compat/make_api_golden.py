"""Write `api/flask-3.1.json`: the public names and signatures of an installed Flask, as data.

    path/to/python/with/flask tests/compat/make_api_golden.py

Run it with an interpreter that has the Flask release to follow, beside the Werkzeug that
`FLASK_WITH` names; commit the file that it writes.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import api_shape

FLASK_WITH = {"flask": "3.1.3", "werkzeug": "3.1.6"}
TARGET = Path(__file__).parent / "api" / "flask-3.1.json"


def main() -> int:
    found = {name: version(name) for name in FLASK_WITH}
    if found != FLASK_WITH:
        print(f"This golden file is made from {FLASK_WITH}; installed is {found}.")
        return 1
    modules = {}
    for module_name in api_shape.module_names("flask"):
        module = importlib.import_module(module_name)
        modules[module_name] = {
            name: api_shape.describe(getattr(module, name), "flask")
            for name in api_shape.public_names(module)
        }
    golden = {
        "versions": found,
        "modules": modules,
        "instances": api_shape.instances("flask"),
        "defaults": api_shape.defaults("flask"),
    }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    count = sum(len(names) for names in modules.values())
    print(f"{TARGET.name}: {count} names in {len(modules)} modules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
