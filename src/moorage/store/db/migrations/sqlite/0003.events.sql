-- Jobs that can be seen and repeated, events on their way to those who want them, and the record of calls.

ALTER TABLE jobs ADD COLUMN payload TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
-- How often it was asked for: what is asked for while it runs is run once more.
ALTER TABLE jobs ADD COLUMN asked INTEGER NOT NULL DEFAULT 1;
-- When it was given up.
ALTER TABLE jobs ADD COLUMN failed INTEGER;
ALTER TABLE jobs ADD COLUMN error TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX jobs_by_kind ON jobs (kind, due, id);

-- What has happened and was not handed on yet: nearly always empty. Nothing was ever written to its first form.
DROP TABLE outbox;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    occurred INTEGER NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    resources TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- Events that somebody has still to get, in the order in which they were handed on.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    occurred INTEGER NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    resources TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- What a target has still to get. A lane is a repository of a registry: in it the order is kept.
CREATE TABLE deliveries (
    target TEXT NOT NULL,
    lane TEXT NOT NULL,
    event INTEGER NOT NULL REFERENCES events (id),
    PRIMARY KEY (target, lane, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_event ON deliveries (event);

CREATE TABLE delivery_lanes (
    target TEXT NOT NULL,
    lane TEXT NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (target, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_lanes_by_time ON delivery_lanes (target, due, lane);

-- One row for each call on record. `document` is the whole record; the columns before it are what it is found by.
-- `hash` is of the hash before and the document, where records are chained.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL UNIQUE,
    occurred INTEGER NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    username TEXT NOT NULL,
    access_key TEXT NOT NULL,
    is_read_only INTEGER NOT NULL,
    resource_type TEXT NOT NULL,
    resource TEXT NOT NULL,
    document TEXT NOT NULL,
    hash BLOB
) STRICT;
CREATE INDEX audit_by_time ON audit (account, region, occurred, id);
CREATE INDEX audit_by_name ON audit (account, region, name, occurred, id);
CREATE INDEX audit_by_username ON audit (account, region, username, occurred, id);
CREATE INDEX audit_by_key ON audit (account, region, access_key, occurred, id);
CREATE INDEX audit_by_resource ON audit (account, region, resource, occurred, id);

-- Where the chain begins after old records were removed: the hash of the last of them.
CREATE TABLE audit_anchor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hash BLOB NOT NULL
) STRICT;
