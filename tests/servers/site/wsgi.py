"""A Flask application as it stands, with the one line that puts Carboy in Flask's place."""

import carboy.as_flask  # noqa: F401

# isort: split
from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def index():
    return jsonify(core=Flask.__module__, name=app.name)
