-- by_name: the repository of that name in a registry
SELECT id, account, region, name, created, mutability, mutability_filters, scan_on_push, encryption_type, key_arn,
       domain, allow_missing_references
FROM repositories WHERE account = :account AND region = :region AND name = :name

-- by_names: those of the names that exist, in name order; at most the 100 a caller may name
SELECT id, account, region, name, created, mutability, mutability_filters, scan_on_push, encryption_type, key_arn,
       domain, allow_missing_references
FROM repositories WHERE account = :account AND region = :region AND name IN :names ORDER BY name LIMIT 1000

-- page: in name order, after a name
SELECT id, account, region, name, created, mutability, mutability_filters, scan_on_push, encryption_type, key_arn,
       domain, allow_missing_references
FROM repositories WHERE account = :account AND region = :region AND name > :after AND name >= '0'
ORDER BY name LIMIT :limit

-- is_beyond: a row if a registry has more repositories than that
SELECT 1 FROM repositories WHERE account = :account AND region = :region AND name >= '0'
ORDER BY name LIMIT 1 OFFSET :most

-- insert: a new repository; the unique constraint refuses a second of that name
INSERT INTO repositories (account, region, name, created, mutability, mutability_filters, scan_on_push,
                          encryption_type, key_arn, domain, allow_missing_references, policy_epoch)
VALUES (:account, :region, :name, :created, :mutability, :mutability_filters, :scan_on_push, :encryption_type,
        :key_arn, :domain, :allow_missing_references, 0)

-- set_mutability: for later pushes
UPDATE repositories SET mutability = :mutability, mutability_filters = :mutability_filters WHERE id = :id

-- set_scanning: for later pushes
UPDATE repositories SET scan_on_push = :scan_on_push WHERE id = :id

-- has_images: one row if there is any image at all
SELECT 1 FROM images WHERE repository = :id LIMIT 1

-- leave_name: the name is free at once; what was in the repository is purged later
UPDATE repositories SET name = '!' || id WHERE id = :id AND name = :name

-- request_purge: work for the collector
INSERT INTO purges (repository, requested) VALUES (:id, :now)

-- next_purge: the one after a repository
SELECT repository FROM purges WHERE repository > :after ORDER BY repository LIMIT 1

-- purge_done: nothing is left of it
DELETE FROM purges WHERE repository = :id

-- delete: the last row of a purged repository
DELETE FROM repositories WHERE id = :id

-- tags_of: the resource tags of an ARN
SELECT key, value FROM resource_tags WHERE arn = :arn ORDER BY key LIMIT 200

-- set_tag: set or replace one
INSERT INTO resource_tags (arn, key, value) VALUES (:arn, :key, :value)
ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value

-- unset_tags: remove those
DELETE FROM resource_tags WHERE arn = :arn AND key IN :keys

-- clear_tags: remove all
DELETE FROM resource_tags WHERE arn = :arn

-- by_id: a repository that is not deleted
SELECT id, account, region, name, created, mutability, mutability_filters, scan_on_push, encryption_type, key_arn,
       domain, allow_missing_references
FROM repositories WHERE id = :id AND name >= '0'
