-- Lifecycle policies, what they would do, what they did last (docs/format.md). They go with their repository.

CREATE TABLE lifecycle_policies (
    repository BIGINT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    policy TEXT COLLATE "C" NOT NULL,
    put BIGINT NOT NULL,
    evaluated BIGINT
);

-- The last run of each: how many images it took, and how many it had to leave.
CREATE TABLE lifecycle_runs (
    repository BIGINT PRIMARY KEY REFERENCES lifecycle_policies (repository) ON DELETE CASCADE,
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
