-- Lifecycle policies, what they would do, what they did last (docs/format.md). They go with their repository.

CREATE TABLE lifecycle_policies (
    repository INTEGER PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    put INTEGER NOT NULL,
    evaluated INTEGER
) STRICT;

-- The last run of each: how many images it took, and how many it had to leave.
CREATE TABLE lifecycle_runs (
    repository INTEGER PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    started INTEGER NOT NULL,
    finished INTEGER,
    expired INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    untagged INTEGER NOT NULL,
    failed INTEGER NOT NULL
) STRICT;

CREATE TABLE lifecycle_failures (
    repository INTEGER NOT NULL REFERENCES lifecycle_runs (repository) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    priority INTEGER NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;

-- `number` tells one preview of a repository from the next.
CREATE TABLE lifecycle_previews (
    repository INTEGER PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    policy TEXT NOT NULL,
    started INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('IN_PROGRESS', 'COMPLETE', 'EXPIRED', 'FAILED')),
    finished INTEGER,
    expiring INTEGER NOT NULL,
    transitioning INTEGER NOT NULL
) STRICT;

-- `tags` is a JSON list.
CREATE TABLE lifecycle_preview_results (
    repository INTEGER NOT NULL REFERENCES lifecycle_previews (repository) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest BLOB NOT NULL,
    tags TEXT NOT NULL,
    is_tagged INTEGER NOT NULL,
    pushed INTEGER NOT NULL,
    action TEXT NOT NULL,
    priority INTEGER NOT NULL,
    storage_class TEXT NOT NULL,
    PRIMARY KEY (repository, position)
) STRICT, WITHOUT ROWID;

-- For repositories of a registry that have no policy of their own.
CREATE TABLE lifecycle_defaults (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    policy TEXT NOT NULL,
    put INTEGER NOT NULL,
    PRIMARY KEY (account, region)
) STRICT, WITHOUT ROWID;

-- Images that somebody runs: no policy takes them. Without `until` as long as the row is there.
CREATE TABLE image_uses (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    consumer TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (repository, digest, consumer)
) STRICT, WITHOUT ROWID;

-- What policies have taken and can still be brought back; `tags` is a JSON list.
CREATE TABLE erased_images (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    media_type TEXT NOT NULL,
    tags TEXT NOT NULL,
    sealed_manifest BLOB NOT NULL,
    erased INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_images_by_time ON erased_images (until);
