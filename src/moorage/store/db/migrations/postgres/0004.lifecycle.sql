-- Lifecycle policies, what they would do, what they did last (docs/format.md). They go with their repository.

CREATE TABLE lifecycle_policies (
    repository BIGINT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    policy TEXT COLLATE "C" NOT NULL,
    put BIGINT NOT NULL,
    evaluated BIGINT
);

-- The last run of each: how many images it took, and how many it had to leave.
CREATE TABLE lifecycle_runs (
    repository BIGINT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    started BIGINT NOT NULL,
    finished BIGINT,
    expired BIGINT NOT NULL,
    archived BIGINT NOT NULL,
    untagged BIGINT NOT NULL,
    failed BIGINT NOT NULL
);

CREATE TABLE lifecycle_failures (
    repository BIGINT NOT NULL REFERENCES lifecycle_runs (repository) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    priority BIGINT NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, digest)
);

-- `number` tells one preview of a repository from the next.
CREATE TABLE lifecycle_previews (
    repository BIGINT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    started BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('IN_PROGRESS', 'COMPLETE', 'EXPIRED', 'FAILED')),
    finished BIGINT,
    expiring BIGINT NOT NULL,
    transitioning BIGINT NOT NULL
);

-- `tags` is a JSON list.
CREATE TABLE lifecycle_preview_results (
    repository BIGINT NOT NULL REFERENCES lifecycle_previews (repository) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    is_tagged BIGINT NOT NULL,
    pushed BIGINT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    priority BIGINT NOT NULL,
    storage_class TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, position)
);

-- For repositories of a registry that have no policy of their own.
CREATE TABLE lifecycle_defaults (
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    put BIGINT NOT NULL,
    PRIMARY KEY (account, region)
);

-- Images that somebody runs: no policy takes them. Without `until` as long as the row is there.
CREATE TABLE image_uses (
    repository BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    consumer TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (repository, digest, consumer)
);

-- What policies have taken and can still be brought back; `tags` is a JSON list.
CREATE TABLE erased_images (
    repository BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    sealed_manifest BYTEA NOT NULL,
    erased BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX erased_images_by_time ON erased_images (until);
