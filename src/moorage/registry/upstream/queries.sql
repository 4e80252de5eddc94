-- insert_rule: a pull through cache rule; the unique constraint refuses a second of that prefix
INSERT INTO upstream_rules (account, region, prefix, written, upstream, url, upstream_prefix, credential_arn, role_arn,
                            created, updated)
VALUES (:account, :region, :prefix, :written, :upstream, :url, :upstream_prefix, :credential_arn, :role_arn, :now, NULL)

-- rules_by_prefixes: those of the prefixes that exist
SELECT prefix, written, upstream, url, upstream_prefix, credential_arn, role_arn, created, updated FROM upstream_rules
WHERE account = :account AND region = :region AND prefix IN :prefixes ORDER BY prefix LIMIT 10000

-- rule_page: by prefix, after one
SELECT prefix, written, upstream, url, upstream_prefix, credential_arn, role_arn, created, updated FROM upstream_rules
WHERE account = :account AND region = :region AND prefix > :after ORDER BY prefix LIMIT :limit

-- update_rule: other credentials
UPDATE upstream_rules SET credential_arn = :credential_arn, role_arn = :role_arn, updated = :now
WHERE account = :account AND region = :region AND prefix = :prefix

-- delete_rule: what was cached by it stays
DELETE FROM upstream_rules WHERE account = :account AND region = :region AND prefix = :prefix

-- secret: by its name
SELECT id, account, region, name, suffix, description, tags, created, changed, deleted FROM secrets
WHERE account = :account AND region = :region AND name = :name

-- secrets: by name
SELECT id, account, region, name, suffix, description, tags, created, changed, deleted FROM secrets
WHERE account = :account AND region = :region ORDER BY name LIMIT 100000

-- insert_secret: without a value yet; the unique constraint refuses a second of that name
INSERT INTO secrets (account, region, name, suffix, description, tags, created, changed)
VALUES (:account, :region, :name, :suffix, :description, :tags, :now, :now)

-- change_secret: it has another value
UPDATE secrets SET changed = :now WHERE id = :id

-- describe_secret: it has another description
UPDATE secrets SET description = :description, changed = :now WHERE id = :id

-- schedule_deletion: it cannot be used, and goes for good at a time; NULL restores it
UPDATE secrets SET deleted = :at WHERE id = :id

-- delete_secret: its versions go with it
DELETE FROM secrets WHERE id = :id

-- forget_deleted: those whose time has come
DELETE FROM secrets WHERE deleted <= :now

-- versions: of a secret, the newest first
SELECT id, stages FROM secret_versions WHERE secret = :secret ORDER BY created DESC, id LIMIT 1000

-- versions_of: of several secrets
SELECT secret, id, stages FROM secret_versions WHERE secret IN :secrets ORDER BY secret, created DESC, id LIMIT 10000

-- version: a value
SELECT sealed, is_text, created FROM secret_versions WHERE secret = :secret AND id = :id

-- insert_version: a value with its stages
INSERT INTO secret_versions (secret, id, sealed, is_text, stages, created)
VALUES (:secret, :id, :sealed, :is_text, :stages, :now)

-- set_stages: other labels
UPDATE secret_versions SET stages = :stages WHERE secret = :secret AND id = :id

-- delete_version: nothing points at it
DELETE FROM secret_versions WHERE secret = :secret AND id = :id

-- validated: when a tag of the cache was last seen to be what it is upstream
SELECT validated FROM upstream_tags WHERE repository = :repository AND tag = :tag

-- set_validated: it was seen so now
INSERT INTO upstream_tags (repository, tag, validated) VALUES (:repository, :tag, :now)
ON CONFLICT (repository, tag) DO UPDATE SET validated = excluded.validated

-- belongs: an index of the cache has the digest as a child, or its upstream registry listed it as a referrer
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM index_children c JOIN images i ON i.id = c.image
    WHERE c.repository = :repository AND c.child = :digest AND i.origin = 'cache')
OR EXISTS (SELECT 1 FROM upstream_referrers r WHERE r.repository = :repository AND r.digest = :digest)

-- lacks: one row if a layer or a child of the image is not here, or a layer of a child
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM image_blobs b
    WHERE b.image = :image AND NOT EXISTS (
        SELECT 1 FROM repository_blobs l WHERE l.repository = b.repository AND l.digest = b.digest))
OR EXISTS (
    SELECT 1 FROM index_children c
    LEFT JOIN images i ON i.repository = c.repository AND i.digest = c.child
    LEFT JOIN image_blobs b ON b.image = i.id
    LEFT JOIN repository_blobs l ON l.repository = b.repository AND l.digest = b.digest
    WHERE c.image = :image AND (i.id IS NULL OR (b.digest IS NOT NULL AND l.digest IS NULL)))

-- layer_user: an image of the cache that uses a layer
SELECT i.digest, i.media_type, i.sealed_manifest FROM image_blobs b JOIN images i ON i.id = b.image
WHERE b.repository = :repository AND b.digest = :digest AND i.origin = 'cache' AND i.status = 'ACTIVE'
ORDER BY i.id LIMIT 1

-- listing: of an image of the cache, what its upstream registry said about who refers to it, and when
SELECT i.id, r.looked, r.digest, r.sealed FROM images i LEFT JOIN upstream_listings r ON r.image = i.id
WHERE i.repository = :repository AND i.digest = :digest AND i.origin = 'cache'

-- set_listing: it says this now; for an image that is still there
INSERT INTO upstream_listings (image, looked, digest, sealed)
SELECT i.id, :now, :digest, :sealed FROM images i WHERE i.id = :image
ON CONFLICT (image) DO UPDATE SET looked = excluded.looked, digest = excluded.digest, sealed = excluded.sealed

-- forget_referrers: those that it listed before
DELETE FROM upstream_referrers WHERE image = :image

-- add_referrer: one that it lists
INSERT INTO upstream_referrers (image, digest, repository)
SELECT i.id, :digest, i.repository FROM images i WHERE i.id = :image
ON CONFLICT (image, digest) DO NOTHING
