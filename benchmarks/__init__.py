"""Measurements of the package: ``python -m benchmarks.NAME``; see README.md in this folder."""
