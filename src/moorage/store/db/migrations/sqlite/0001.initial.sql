-- The first schema. It already has the columns of archive, pull times, scanning and keys (docs/format.md).
-- Times are integer microseconds; a digest is an algorithm byte and 32 or 64 bytes; a blob id is 16 random bytes.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE access_keys (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    principal TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Active', 'Inactive')),
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX access_keys_by_account ON access_keys (account, id);

CREATE TABLE token_keys (
    id INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    created INTEGER NOT NULL,
    retired INTEGER
) STRICT;

CREATE TABLE settings (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT;

CREATE TABLE domain_keys (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    encryption_type TEXT NOT NULL,
    key_arn TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    created INTEGER NOT NULL,
    UNIQUE (account, region, encryption_type, key_arn)
) STRICT;

CREATE TABLE repositories (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    mutability TEXT NOT NULL,
    mutability_filters TEXT NOT NULL,
    scan_on_push INTEGER NOT NULL,
    encryption_type TEXT NOT NULL,
    key_arn TEXT NOT NULL,
    domain INTEGER NOT NULL REFERENCES domain_keys (id),
    allow_missing_references INTEGER,
    policy_epoch INTEGER NOT NULL,
    UNIQUE (account, region, name)
) STRICT;

-- A deleted repository leaves its name at once and its rows here, to be purged in batches.
CREATE TABLE purges (
    repository INTEGER PRIMARY KEY REFERENCES repositories (id),
    requested INTEGER NOT NULL
) STRICT;

CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repository INTEGER NOT NULL REFERENCES repositories (id),
    digest BLOB NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    config_media_type TEXT,
    manifest_size INTEGER NOT NULL,
    image_size INTEGER NOT NULL,
    subject BLOB,
    pushed INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'ARCHIVED', 'ACTIVATING')),
    archived INTEGER,
    activated INTEGER,
    pulled INTEGER,
    origin TEXT NOT NULL CHECK (origin IN ('push', 'replica', 'cache')),
    sealed_manifest BLOB NOT NULL,
    UNIQUE (repository, digest)
) STRICT;
CREATE INDEX images_by_push ON images (repository, pushed DESC, digest);
CREATE INDEX images_by_subject ON images (repository, subject, id) WHERE subject IS NOT NULL;

CREATE TABLE tags (
    repository INTEGER NOT NULL REFERENCES repositories (id),
    tag TEXT NOT NULL,
    image INTEGER NOT NULL REFERENCES images (id),
    created INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_image ON tags (image, tag);

CREATE TABLE index_children (
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    child BLOB NOT NULL,
    repository INTEGER NOT NULL,
    PRIMARY KEY (image, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX index_children_by_child ON index_children (repository, child, image);

CREATE TABLE blobs (
    id BLOB NOT NULL PRIMARY KEY,
    domain INTEGER NOT NULL REFERENCES domain_keys (id),
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE blob_digests (
    domain INTEGER NOT NULL,
    digest BLOB NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    PRIMARY KEY (domain, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_digests_by_blob ON blob_digests (blob);

CREATE TABLE repository_blobs (
    repository INTEGER NOT NULL REFERENCES repositories (id),
    digest BLOB NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id),
    linked INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob);
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest, repository);

CREATE TABLE image_blobs (
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    repository INTEGER NOT NULL,
    PRIMARY KEY (image, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_blobs_by_digest ON image_blobs (repository, digest, image);

-- Links that nothing refers to: the collector's only source of work.
CREATE TABLE candidates (
    repository INTEGER NOT NULL,
    digest BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX candidates_by_time ON candidates (not_before);

-- Files whose row is gone: removed after the commit, and again after a crash.
CREATE TABLE doomed_files (
    blob BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repositories (id),
    owner TEXT NOT NULL,
    process TEXT NOT NULL,
    blob BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    started INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_repository ON uploads (repository);
CREATE INDEX uploads_by_process ON uploads (process);

CREATE TABLE resource_tags (
    arn TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE resource_policies (
    arn TEXT NOT NULL PRIMARY KEY,
    policy TEXT NOT NULL,
    updated INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lease TEXT,
    leased_until INTEGER,
    UNIQUE (kind, subject)
) STRICT;
CREATE INDEX jobs_by_time ON jobs (due);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    occurred INTEGER NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
