-- Jobs that can be seen and repeated, events on their way to those who want them, and the record of calls.

ALTER TABLE jobs ADD COLUMN payload TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN created BIGINT NOT NULL DEFAULT 0;
-- How often it was asked for: what is asked for while it runs is run once more.
ALTER TABLE jobs ADD COLUMN asked BIGINT NOT NULL DEFAULT 1;
-- When it was given up.
ALTER TABLE jobs ADD COLUMN failed BIGINT;
ALTER TABLE jobs ADD COLUMN error TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN done BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN total BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN note TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX jobs_by_kind ON jobs (kind, due, id);

-- What has happened and was not handed on yet: nearly always empty. Nothing was ever written to its first form.
DROP TABLE outbox;
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event TEXT COLLATE "C" NOT NULL,
    occurred BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    resources TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL
);

-- Events that somebody has still to get, in the order in which they were handed on.
CREATE TABLE events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event TEXT COLLATE "C" NOT NULL,
    occurred BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    resources TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL
);

-- What a target has still to get. A lane is a repository of a registry: in it the order is kept.
CREATE TABLE deliveries (
    target TEXT COLLATE "C" NOT NULL,
    lane TEXT COLLATE "C" NOT NULL,
    event BIGINT NOT NULL REFERENCES events (id),
    PRIMARY KEY (target, lane, event)
);
CREATE INDEX deliveries_by_event ON deliveries (event);

CREATE TABLE delivery_lanes (
    target TEXT COLLATE "C" NOT NULL,
    lane TEXT COLLATE "C" NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (target, lane)
);
CREATE INDEX delivery_lanes_by_time ON delivery_lanes (target, due, lane);

-- One row for each call on record. `document` is the whole record; the columns before it are what it is found by.
-- `hash` is of the hash before and the document, where records are chained.
CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event TEXT COLLATE "C" NOT NULL UNIQUE,
    occurred BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    username TEXT COLLATE "C" NOT NULL,
    access_key TEXT COLLATE "C" NOT NULL,
    is_read_only BIGINT NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    hash BYTEA
);
CREATE INDEX audit_by_time ON audit (account, region, occurred, id);
CREATE INDEX audit_by_name ON audit (account, region, name, occurred, id);
CREATE INDEX audit_by_username ON audit (account, region, username, occurred, id);
CREATE INDEX audit_by_key ON audit (account, region, access_key, occurred, id);
CREATE INDEX audit_by_resource ON audit (account, region, resource, occurred, id);

-- Where the chain begins after old records were removed: the hash of the last of them.
CREATE TABLE audit_anchor (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    hash BYTEA NOT NULL
);
