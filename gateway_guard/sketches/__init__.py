"""Sketches: what is remembered of a subject, in a fixed number of bytes that add up or maximise."""
