"""Where Flask keeps the part of itself that does no input or output.

Carboy has no such split: these modules only hand out its classes under Flask's names.
"""
