-- When the settings of a repository were changed, for their replication (docs/format.md).

-- `account` and `region` are where it was changed, if replication brought it; empty if it was here.
CREATE TABLE setting_changes (
    repository BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    setting TEXT COLLATE "C" NOT NULL CHECK (setting IN ('lifecycle', 'mutability', 'policy', 'scanning', 'tags')),
    changed BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, setting)
);
