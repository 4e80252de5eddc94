"""The operations of STS, IAM and EC2: importing this registers them."""

from moorage.access.operations import (
    access_keys,
    account,
    attachments,
    authorization_details,
    credential_report,
    endpoint_tags,
    endpoints,
    groups,
    identity_providers,
    inline_policies,
    managed_policies,
    roles,
    service_linked_roles,
    sts,
    users,
    web_identity,
)

MODULES = (
    access_keys,
    account,
    attachments,
    authorization_details,
    credential_report,
    endpoint_tags,
    endpoints,
    groups,
    identity_providers,
    inline_policies,
    managed_policies,
    roles,
    service_linked_roles,
    sts,
    users,
    web_identity,
)
