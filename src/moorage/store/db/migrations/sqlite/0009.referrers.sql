-- What upstream registries say refers to images of the pull-through cache (docs/format.md).

-- `sealed` is an image index, sealed as the manifest of that digest would be.
CREATE TABLE upstream_listings (
    image INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    looked INTEGER NOT NULL,
    digest BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE upstream_referrers (
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    repository INTEGER NOT NULL,
    PRIMARY KEY (image, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX upstream_referrers_by_digest ON upstream_referrers (repository, digest);
