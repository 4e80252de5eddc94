-- Tags that the pull-through cache keeps up to date, and when each was last seen to be what it is upstream.
CREATE TABLE upstream_tags (
    repository BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    tag TEXT COLLATE "C" NOT NULL,
    validated BIGINT NOT NULL,
    PRIMARY KEY (repository, tag)
);
