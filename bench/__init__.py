"""Measurements of Moorage beside other registries, on one machine in one run. See README.md."""
