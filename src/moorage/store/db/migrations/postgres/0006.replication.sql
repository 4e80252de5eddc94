-- How the replication of images went, and backfills: existing images brought to a destination (docs/format.md).

-- `failure` is empty for an image that is there; `asked` is when the change was made that was replicated.
CREATE TABLE replication_statuses (
    image BIGINT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    failure TEXT COLLATE "C" NOT NULL,
    asked BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (image, account, region)
);

-- `total` is known when the images to bring are all written down.
CREATE TABLE replication_backfills (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    to_account TEXT COLLATE "C" NOT NULL,
    to_region TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL
        CHECK (status IN ('PREPARING', 'IN_PROGRESS', 'COMPLETE', 'FAILED', 'STOPPING', 'STOPPED')),
    failure TEXT COLLATE "C" NOT NULL,
    total BIGINT,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT
);
CREATE INDEX replication_backfills_by_start ON replication_backfills (account, region, started, id);
CREATE UNIQUE INDEX replication_backfills_in_progress ON replication_backfills (account, region, to_region)
    WHERE ended IS NULL;

-- An image and a tag of it (or none, empty) for each; `status` is empty until it is decided.
CREATE TABLE replication_results (
    backfill TEXT COLLATE "C" NOT NULL REFERENCES replication_backfills (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    repository BIGINT NOT NULL,
    is_index BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('', 'COMPLETE', 'FAILED')),
    failure TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (backfill, name, digest, tag)
);
