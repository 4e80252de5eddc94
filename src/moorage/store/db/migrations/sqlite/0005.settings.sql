-- What registries have set; templates of repositories; rules of the pull-through cache and their secrets (docs/format.md).

-- Account settings by their names; configurations, in lower case, are JSON.
CREATE TABLE registry_settings (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE pull_time_exclusions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    principal TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (account, region, principal)
) STRICT, WITHOUT ROWID;

-- `prefix` has no slash at its end, `written` is as it was given; `content` is JSON.
CREATE TABLE creation_templates (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    prefix TEXT NOT NULL,
    written TEXT NOT NULL,
    content TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (account, region, prefix)
) STRICT, WITHOUT ROWID;

-- Prefixes without a slash at their end, `ROOT` for all; `written` is as it was given. Empty for what a rule has not.
CREATE TABLE upstream_rules (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    prefix TEXT NOT NULL,
    written TEXT NOT NULL,
    upstream TEXT NOT NULL,
    url TEXT NOT NULL,
    upstream_prefix TEXT NOT NULL,
    credential_arn TEXT NOT NULL,
    role_arn TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER,
    PRIMARY KEY (account, region, prefix)
) STRICT, WITHOUT ROWID;

-- `suffix` ends the ARN and is new with each secret of a name; `tags` is JSON; `deleted` is when it goes for good.
CREATE TABLE secrets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    suffix TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    deleted INTEGER,
    UNIQUE (account, region, name)
) STRICT;

-- `stages` is a JSON list; the current version has AWSCURRENT in it.
CREATE TABLE secret_versions (
    secret INTEGER NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    is_text INTEGER NOT NULL,
    stages TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (secret, id)
) STRICT, WITHOUT ROWID;
