-- When the settings of a repository were changed, for their replication (docs/format.md).

-- `account` and `region` are where it was changed, if replication brought it; empty if it was here.
CREATE TABLE setting_changes (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    setting TEXT NOT NULL CHECK (setting IN ('lifecycle', 'mutability', 'policy', 'scanning', 'tags')),
    changed INTEGER NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    PRIMARY KEY (repository, setting)
) STRICT, WITHOUT ROWID;
