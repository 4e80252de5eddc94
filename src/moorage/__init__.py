"""Moorage: a self-hosted container registry that speaks Amazon ECR."""

__version__ = "0.1.0"
