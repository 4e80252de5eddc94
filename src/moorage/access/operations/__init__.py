"""The operations of STS, IAM and EC2: importing this registers them."""

from moorage.access.operations import (
    access_keys,
    account,
    credential_report,
    endpoint_tags,
    endpoints,
    groups,
    inline_policies,
    sts,
    users,
)

MODULES = (
    access_keys,
    account,
    credential_report,
    endpoint_tags,
    endpoints,
    groups,
    inline_policies,
    sts,
    users,
)
