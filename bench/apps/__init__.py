"""The same small applications for each framework; one application per case."""
