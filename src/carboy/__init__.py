"""Carboy: the API of Flask 3.1 on a core of its own."""
