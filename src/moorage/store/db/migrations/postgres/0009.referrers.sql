-- What upstream registries say refers to images of the pull-through cache (docs/format.md).

-- `sealed` is an image index, sealed as the manifest of that digest would be.
CREATE TABLE upstream_listings (
    image BIGINT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    looked BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    sealed BYTEA NOT NULL
);

CREATE TABLE upstream_referrers (
    image BIGINT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    repository BIGINT NOT NULL,
    PRIMARY KEY (image, digest)
);
CREATE INDEX upstream_referrers_by_digest ON upstream_referrers (repository, digest);
