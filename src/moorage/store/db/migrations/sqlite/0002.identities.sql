-- Users, groups, roles, policies, sessions and private endpoints (docs/format.md).
-- `principals.id` begins with AIDA, AGPA or AROA; names are unique without regard to case.

CREATE TABLE principals (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group', 'role')),
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    created INTEGER NOT NULL,
    description TEXT NOT NULL,
    trust_policy TEXT NOT NULL,
    session_s INTEGER NOT NULL,
    boundary TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    last_used INTEGER,
    last_region TEXT NOT NULL,
    UNIQUE (account, kind, folded)
) STRICT;

CREATE TABLE memberships (
    member TEXT NOT NULL REFERENCES principals (id),
    grouped_in TEXT NOT NULL REFERENCES principals (id),
    PRIMARY KEY (member, grouped_in)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_group ON memberships (grouped_in, member);

CREATE TABLE inline_policies (
    principal TEXT NOT NULL REFERENCES principals (id),
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (principal, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE managed_policies (
    arn TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id),
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    default_version INTEGER NOT NULL,
    latest_version INTEGER NOT NULL,
    UNIQUE (account, folded)
) STRICT;

CREATE TABLE policy_versions (
    policy TEXT NOT NULL REFERENCES managed_policies (arn) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (policy, version)
) STRICT, WITHOUT ROWID;

-- Managed policies of principals, those of AWS too, which have no row.
CREATE TABLE attachments (
    principal TEXT NOT NULL REFERENCES principals (id),
    policy TEXT NOT NULL,
    PRIMARY KEY (principal, policy)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_by_policy ON attachments (policy, principal);
CREATE INDEX principals_by_boundary ON principals (boundary, id) WHERE boundary <> '';

CREATE TABLE identity_providers (
    arn TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    url TEXT NOT NULL,
    audiences TEXT NOT NULL,
    thumbprints TEXT NOT NULL,
    jwks TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX identity_providers_by_account ON identity_providers (account, arn);

-- Tags of users, roles (by id), managed policies and identity providers (by ARN).
CREATE TABLE identity_tags (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    folded TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (owner, folded)
) STRICT, WITHOUT ROWID;

CREATE TABLE account_aliases (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    alias TEXT NOT NULL UNIQUE
) STRICT;

-- `principal` is the ARN of an account's root, or the id of a user.
ALTER TABLE access_keys ADD COLUMN last_used INTEGER;
ALTER TABLE access_keys ADD COLUMN last_service TEXT NOT NULL DEFAULT '';
ALTER TABLE access_keys ADD COLUMN last_region TEXT NOT NULL DEFAULT '';
CREATE INDEX access_keys_by_principal ON access_keys (principal, id);

-- Single sessions that were ended before their time, by the id of their access key.
CREATE TABLE ended_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_by_time ON ended_sessions (until);

-- What a session brought along and does not fit into its token, by SHA-256.
CREATE TABLE session_documents (
    digest BLOB NOT NULL PRIMARY KEY,
    document BLOB NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_documents_by_time ON session_documents (until);

-- Raised with every change of who may do what in an account: other processes look here.
CREATE TABLE access_epochs (
    account TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_epochs_by_number ON access_epochs (epoch);

-- `subnets` and `security_groups` are JSON lists; `policy` is empty for full access. `client_token` makes creation
-- idempotent: `asked` is a hash of what it was first used for.
CREATE TABLE private_endpoints (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    region TEXT NOT NULL,
    service TEXT NOT NULL,
    network TEXT NOT NULL,
    subnets TEXT NOT NULL,
    security_groups TEXT NOT NULL,
    policy TEXT NOT NULL,
    private_dns INTEGER NOT NULL,
    client_token TEXT NOT NULL,
    asked TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX private_endpoints_by_account ON private_endpoints (account, region, id);
CREATE UNIQUE INDEX private_endpoints_by_token ON private_endpoints (account, region, client_token)
    WHERE client_token <> '';

CREATE TABLE endpoint_tags (
    endpoint TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (endpoint, key)
) STRICT, WITHOUT ROWID;
