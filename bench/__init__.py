"""In-process benchmark: Carboy beside Flask and Falcon, rounds interleaved, answers checked first."""
