-- The first schema. It already has the columns of archive, pull times, scanning and keys (docs/format.md).
-- Times are integer microseconds; a digest is an algorithm byte and 32 or 64 bytes; a blob id is 16 random bytes.
-- Text sorts by bytes, as in SQLite: the pages of a listing depend on it.

-- One row: what `migrate.py` compares before it loads the migration tool.
CREATE TABLE schema_version (
    version BIGINT NOT NULL
);
INSERT INTO schema_version (version) VALUES (0);

CREATE TABLE accounts (
    id TEXT COLLATE "C" PRIMARY KEY,
    created BIGINT NOT NULL
);

CREATE TABLE access_keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    principal TEXT COLLATE "C" NOT NULL,
    sealed_secret BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('Active', 'Inactive')),
    created BIGINT NOT NULL
);
CREATE INDEX access_keys_by_account ON access_keys (account, id);

CREATE TABLE token_keys (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL,
    wrapped_key BYTEA NOT NULL,
    created BIGINT NOT NULL,
    retired BIGINT
);

CREATE TABLE settings (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, region, name)
);

CREATE TABLE domain_keys (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    encryption_type TEXT COLLATE "C" NOT NULL,
    key_arn TEXT COLLATE "C" NOT NULL,
    wrapped_key BYTEA NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (account, region, encryption_type, key_arn)
);

CREATE TABLE repositories (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    mutability TEXT COLLATE "C" NOT NULL,
    mutability_filters TEXT COLLATE "C" NOT NULL,
    scan_on_push BIGINT NOT NULL,
    encryption_type TEXT COLLATE "C" NOT NULL,
    key_arn TEXT COLLATE "C" NOT NULL,
    domain BIGINT NOT NULL REFERENCES domain_keys (id),
    allow_missing_references BIGINT,
    policy_epoch BIGINT NOT NULL,
    UNIQUE (account, region, name)
);

-- A deleted repository leaves its name at once and its rows here, to be purged in batches.
CREATE TABLE purges (
    repository BIGINT PRIMARY KEY REFERENCES repositories (id),
    requested BIGINT NOT NULL
);

CREATE TABLE images (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository BIGINT NOT NULL REFERENCES repositories (id),
    digest BYTEA NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    artifact_type TEXT COLLATE "C",
    config_media_type TEXT COLLATE "C",
    manifest_size BIGINT NOT NULL,
    image_size BIGINT NOT NULL,
    subject BYTEA,
    pushed BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('ACTIVE', 'ARCHIVED', 'ACTIVATING')),
    archived BIGINT,
    activated BIGINT,
    pulled BIGINT,
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('push', 'replica', 'cache')),
    sealed_manifest BYTEA NOT NULL,
    UNIQUE (repository, digest)
);
CREATE INDEX images_by_push ON images (repository, pushed DESC, digest);
CREATE INDEX images_by_subject ON images (repository, subject, id) WHERE subject IS NOT NULL;

CREATE TABLE tags (
    repository BIGINT NOT NULL REFERENCES repositories (id),
    tag TEXT COLLATE "C" NOT NULL,
    image BIGINT NOT NULL REFERENCES images (id),
    created BIGINT NOT NULL,
    moved BIGINT NOT NULL,
    PRIMARY KEY (repository, tag)
);
CREATE INDEX tags_by_image ON tags (image, tag);

CREATE TABLE index_children (
    image BIGINT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    child BYTEA NOT NULL,
    repository BIGINT NOT NULL,
    PRIMARY KEY (image, child)
);
CREATE INDEX index_children_by_child ON index_children (repository, child, image);

CREATE TABLE blobs (
    id BYTEA PRIMARY KEY,
    domain BIGINT NOT NULL REFERENCES domain_keys (id),
    digest BYTEA NOT NULL,
    size BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE blob_digests (
    domain BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    blob BYTEA NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    PRIMARY KEY (domain, digest)
);
CREATE INDEX blob_digests_by_blob ON blob_digests (blob);

CREATE TABLE repository_blobs (
    repository BIGINT NOT NULL REFERENCES repositories (id),
    digest BYTEA NOT NULL,
    blob BYTEA NOT NULL REFERENCES blobs (id),
    linked BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob);
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest, repository);

CREATE TABLE image_blobs (
    image BIGINT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    repository BIGINT NOT NULL,
    PRIMARY KEY (image, digest)
);
CREATE INDEX image_blobs_by_digest ON image_blobs (repository, digest, image);

-- Links that nothing refers to: the collector's only source of work.
CREATE TABLE candidates (
    repository BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    not_before BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX candidates_by_time ON candidates (not_before);

-- Files whose row is gone: removed after the commit, and again after a crash.
CREATE TABLE doomed_files (
    blob BYTEA PRIMARY KEY
);

CREATE TABLE uploads (
    id TEXT COLLATE "C" PRIMARY KEY,
    repository BIGINT NOT NULL REFERENCES repositories (id),
    owner TEXT COLLATE "C" NOT NULL,
    process TEXT COLLATE "C" NOT NULL,
    blob BYTEA NOT NULL,
    wrapped_key BYTEA NOT NULL,
    started BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX uploads_by_repository ON uploads (repository);
CREATE INDEX uploads_by_process ON uploads (process);

CREATE TABLE resource_tags (
    arn TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (arn, key)
);

CREATE TABLE resource_policies (
    arn TEXT COLLATE "C" PRIMARY KEY,
    policy TEXT COLLATE "C" NOT NULL,
    updated BIGINT NOT NULL
);

CREATE TABLE jobs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    lease TEXT COLLATE "C",
    leased_until BIGINT,
    UNIQUE (kind, subject)
);
CREATE INDEX jobs_by_time ON jobs (due);

CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL
);
