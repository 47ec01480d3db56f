"""The lab: composes labelled traffic, measures detection on it and calibrates the weights."""
