"""Every slice's operations: importing this registers them all. The order plays no part."""

from moorage.registry.account import operations as account
from moorage.registry.account import settings_operations as account_settings
from moorage.registry.audit import operations as audit
from moorage.registry.images import operations as images
from moorage.registry.lifecycle import default_operations as lifecycle_defaults
from moorage.registry.lifecycle import explanation_operations as lifecycle_explanations
from moorage.registry.lifecycle import keeping_operations as lifecycle_keeping
from moorage.registry.lifecycle import operations as lifecycle
from moorage.registry.replication import operations as replication
from moorage.registry.repositories import operations as repositories
from moorage.registry.repositories import scanning_operations as scanning
from moorage.registry.templates import operations as templates
from moorage.registry.uploads import operations as uploads
from moorage.registry.upstream import operations as upstream
from moorage.registry.upstream import secret_operations as upstream_secrets

MODULES = (
    account,
    account_settings,
    audit,
    images,
    lifecycle,
    lifecycle_defaults,
    lifecycle_explanations,
    lifecycle_keeping,
    replication,
    repositories,
    scanning,
    templates,
    uploads,
    upstream,
    upstream_secrets,
)
