-- How the replication of images went, and backfills: existing images brought to a destination (docs/format.md).

-- `failure` is empty for an image that is there; `asked` is when the change was made that was replicated.
CREATE TABLE replication_statuses (
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    failure TEXT NOT NULL,
    asked INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (image, account, region)
) STRICT, WITHOUT ROWID;

-- `total` is known when the images to bring are all written down.
CREATE TABLE replication_backfills (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    to_account TEXT NOT NULL,
    to_region TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('PREPARING', 'IN_PROGRESS', 'COMPLETE', 'FAILED', 'STOPPING', 'STOPPED')),
    failure TEXT NOT NULL,
    total INTEGER,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER
) STRICT;
CREATE INDEX replication_backfills_by_start ON replication_backfills (account, region, started, id);
CREATE UNIQUE INDEX replication_backfills_in_progress ON replication_backfills (account, region, to_region)
    WHERE ended IS NULL;

-- An image and a tag of it (or none, empty) for each; `status` is empty until it is decided.
CREATE TABLE replication_results (
    backfill TEXT NOT NULL REFERENCES replication_backfills (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    tag TEXT NOT NULL,
    repository INTEGER NOT NULL,
    is_index INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('', 'COMPLETE', 'FAILED')),
    failure TEXT NOT NULL,
    PRIMARY KEY (backfill, name, digest, tag)
) STRICT, WITHOUT ROWID;
