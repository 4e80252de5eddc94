"""The operations of STS (and later IAM): importing this registers them."""

from moorage.access.operations import sts

MODULES = (sts,)
