"""Every slice's operations: importing this registers them all. The order plays no part."""

from moorage.registry.account import operations as account
from moorage.registry.audit import operations as audit
from moorage.registry.images import operations as images
from moorage.registry.lifecycle import operations as lifecycle
from moorage.registry.repositories import operations as repositories
from moorage.registry.uploads import operations as uploads

MODULES = (account, audit, images, lifecycle, repositories, uploads)
