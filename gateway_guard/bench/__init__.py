"""Measurements: what the guard costs, beside other middlewares on the same work in the same run."""
