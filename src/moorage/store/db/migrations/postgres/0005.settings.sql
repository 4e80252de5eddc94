-- What registries have set; templates of repositories; rules of the pull-through cache and their secrets (docs/format.md).

-- Account settings by their names; configurations, in lower case, are JSON.
CREATE TABLE registry_settings (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE TABLE pull_time_exclusions (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    principal TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account, region, principal)
);

-- `prefix` has no slash at its end, `written` is as it was given; `content` is JSON.
CREATE TABLE creation_templates (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    written TEXT COLLATE "C" NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, region, prefix)
);

-- Prefixes without a slash at their end, `ROOT` for all; `written` is as it was given. Empty for what a rule has not.
CREATE TABLE upstream_rules (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    written TEXT COLLATE "C" NOT NULL,
    upstream TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    upstream_prefix TEXT COLLATE "C" NOT NULL,
    credential_arn TEXT COLLATE "C" NOT NULL,
    role_arn TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT,
    PRIMARY KEY (account, region, prefix)
);

-- `suffix` ends the ARN and is new with each secret of a name; `tags` is JSON; `deleted` is when it goes for good.
CREATE TABLE secrets (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    suffix TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    deleted BIGINT,
    UNIQUE (account, region, name)
);

-- `stages` is a JSON list; the current version has AWSCURRENT in it.
CREATE TABLE secret_versions (
    secret BIGINT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    is_text BIGINT NOT NULL,
    stages TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (secret, id)
);
