-- Users, groups, roles, policies, sessions and private endpoints (docs/format.md).
-- `principals.id` begins with AIDA, AGPA or AROA; names are unique without regard to case.

CREATE TABLE principals (
    id TEXT COLLATE "C" PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('user', 'group', 'role')),
    path TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    folded TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    trust_policy TEXT COLLATE "C" NOT NULL,
    session_s BIGINT NOT NULL,
    boundary TEXT COLLATE "C" NOT NULL,
    not_before BIGINT NOT NULL,
    last_used BIGINT,
    last_region TEXT COLLATE "C" NOT NULL,
    UNIQUE (account, kind, folded)
);

CREATE TABLE memberships (
    member TEXT COLLATE "C" NOT NULL REFERENCES principals (id),
    grouped_in TEXT COLLATE "C" NOT NULL REFERENCES principals (id),
    PRIMARY KEY (member, grouped_in)
);
CREATE INDEX memberships_by_group ON memberships (grouped_in, member);

CREATE TABLE inline_policies (
    principal TEXT COLLATE "C" NOT NULL REFERENCES principals (id),
    name TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (principal, name)
);

CREATE TABLE managed_policies (
    arn TEXT COLLATE "C" PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    path TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    folded TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    default_version BIGINT NOT NULL,
    latest_version BIGINT NOT NULL,
    UNIQUE (account, folded)
);

CREATE TABLE policy_versions (
    policy TEXT COLLATE "C" NOT NULL REFERENCES managed_policies (arn) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (policy, version)
);

-- Managed policies of principals, those of AWS too, which have no row.
CREATE TABLE attachments (
    principal TEXT COLLATE "C" NOT NULL REFERENCES principals (id),
    policy TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (principal, policy)
);
CREATE INDEX attachments_by_policy ON attachments (policy, principal);
CREATE INDEX principals_by_boundary ON principals (boundary, id) WHERE boundary <> '';

CREATE TABLE identity_providers (
    arn TEXT COLLATE "C" PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    url TEXT COLLATE "C" NOT NULL,
    audiences TEXT COLLATE "C" NOT NULL,
    thumbprints TEXT COLLATE "C" NOT NULL,
    jwks TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX identity_providers_by_account ON identity_providers (account, arn);

-- Tags of users, roles (by id), managed policies and identity providers (by ARN).
CREATE TABLE identity_tags (
    owner TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    folded TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, folded)
);

CREATE TABLE account_aliases (
    account TEXT COLLATE "C" PRIMARY KEY REFERENCES accounts (id),
    alias TEXT COLLATE "C" NOT NULL UNIQUE
);

-- `principal` is the ARN of an account's root, or the id of a user.
ALTER TABLE access_keys ADD COLUMN last_used BIGINT;
ALTER TABLE access_keys ADD COLUMN last_service TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE access_keys ADD COLUMN last_region TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX access_keys_by_principal ON access_keys (principal, id);

-- Single sessions that were ended before their time, by the id of their access key.
CREATE TABLE ended_sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX ended_sessions_by_time ON ended_sessions (until);

-- What a session brought along and does not fit into its token, by SHA-256.
CREATE TABLE session_documents (
    digest BYTEA PRIMARY KEY,
    document BYTEA NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX session_documents_by_time ON session_documents (until);

-- Raised with every change of who may do what in an account: other processes look here.
CREATE TABLE access_epochs (
    account TEXT COLLATE "C" PRIMARY KEY,
    epoch BIGINT NOT NULL
);
CREATE INDEX access_epochs_by_number ON access_epochs (epoch);

-- `subnets` and `security_groups` are JSON lists; `policy` is empty for full access. `client_token` makes creation
-- idempotent: `asked` is a hash of what it was first used for.
CREATE TABLE private_endpoints (
    id TEXT COLLATE "C" PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    region TEXT COLLATE "C" NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    subnets TEXT COLLATE "C" NOT NULL,
    security_groups TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    private_dns BIGINT NOT NULL,
    client_token TEXT COLLATE "C" NOT NULL,
    asked TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX private_endpoints_by_account ON private_endpoints (account, region, id);
CREATE UNIQUE INDEX private_endpoints_by_token ON private_endpoints (account, region, client_token)
    WHERE client_token <> '';

CREATE TABLE endpoint_tags (
    endpoint TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (endpoint, key)
);
