-- policy: of a repository, when it was put, and when it was last applied
SELECT policy, put, evaluated FROM lifecycle_policies WHERE repository = :repository LIMIT 1

-- put_policy: a new one has not been applied yet
INSERT INTO lifecycle_policies (repository, policy, put) VALUES (:repository, :policy, :now)
ON CONFLICT (repository) DO UPDATE SET policy = excluded.policy, put = excluded.put, evaluated = NULL

-- delete_policy: with what it did last
DELETE FROM lifecycle_policies WHERE repository = :repository

-- with_policies: repositories of a registry that have one, in name order
SELECT r.name FROM lifecycle_policies p JOIN repositories r ON r.id = p.repository
WHERE r.account = :account AND r.region = :region AND r.name > :after AND r.name >= '0' ORDER BY r.name LIMIT :limit

-- images: all of a repository, by digest
SELECT id, digest, pushed, status, archived, activated, pulled, subject FROM images
WHERE repository = :repository AND digest > :after ORDER BY digest LIMIT :limit

-- tags: all of a repository, in byte order
SELECT tag, image, moved FROM tags WHERE repository = :repository AND tag > :after ORDER BY tag LIMIT :limit

-- children: which index has which child, by child
SELECT child, image FROM index_children
WHERE repository = :repository AND child >= :child AND (child > :child OR image > :image)
ORDER BY child, image LIMIT :limit

-- standing: some images as they are now
SELECT id, digest, pushed, status, archived, activated, pulled, subject FROM images WHERE id IN :images
ORDER BY id LIMIT 1000

-- there: which of the images are as they were counted
SELECT id FROM images WHERE id IN :images AND status = 'ACTIVE' ORDER BY id LIMIT 1000

-- begin_run: what the last one did is forgotten
INSERT INTO lifecycle_runs (repository, started, expired, archived, untagged, failed)
VALUES (:repository, :now, 0, 0, 0, 0)
ON CONFLICT (repository) DO UPDATE SET
    started = excluded.started, finished = NULL, expired = 0, archived = 0, untagged = 0, failed = 0

-- forget_failures: of the run before
DELETE FROM lifecycle_failures WHERE repository = :repository

-- add_failure: an image that had to be left
INSERT INTO lifecycle_failures (repository, digest, priority, code, reason)
VALUES (:repository, :digest, :priority, :code, :reason)
ON CONFLICT (repository, digest) DO NOTHING

-- failures: images that had to be left, by digest
SELECT digest, priority, code, reason FROM lifecycle_failures
WHERE repository = :repository ORDER BY digest LIMIT :limit

-- add_to_run: what a batch has done
UPDATE lifecycle_runs SET expired = expired + :expired, archived = archived + :archived,
    untagged = untagged + :untagged, failed = failed + :failed
WHERE repository = :repository

-- finish_run: it is over
UPDATE lifecycle_runs SET finished = :now WHERE repository = :repository

-- applied: the policy has been, if it is still that one
UPDATE lifecycle_policies SET evaluated = :now WHERE repository = :repository AND put = :put

-- run: the last one
SELECT started, finished, expired, archived, untagged, failed FROM lifecycle_runs WHERE repository = :repository
LIMIT 1

-- preview: the last one
SELECT number, policy, started, status, finished, expiring, transitioning FROM lifecycle_previews
WHERE repository = :repository LIMIT 1

-- begin_preview: in place of the one before
INSERT INTO lifecycle_previews (repository, number, policy, started, status, expiring, transitioning)
VALUES (:repository, 1, :policy, :now, 'IN_PROGRESS', 0, 0)
ON CONFLICT (repository) DO UPDATE SET
    number = lifecycle_previews.number + 1, policy = excluded.policy, started = excluded.started,
    status = excluded.status, finished = NULL, expiring = 0, transitioning = 0

-- finish_preview: its results are there
UPDATE lifecycle_previews SET status = 'COMPLETE', finished = :now, expiring = :expiring, transitioning = :transitioning
WHERE repository = :repository AND number = :number

-- expire_preview: its results are not kept
UPDATE lifecycle_previews SET status = 'EXPIRED' WHERE repository = :repository AND number = :number

-- clear_results: some of them
DELETE FROM lifecycle_preview_results WHERE repository = :repository AND position IN (
    SELECT position FROM lifecycle_preview_results WHERE repository = :repository ORDER BY position LIMIT :limit)

-- add_result: an image that the policy would take
INSERT INTO lifecycle_preview_results (repository, position, digest, tags, is_tagged, pushed, action, priority,
                                       storage_class)
VALUES (:repository, :position, :digest, :tags, :is_tagged, :pushed, :action, :priority, :storage_class)

-- results: in the order in which they would be taken
SELECT position, digest, tags, pushed, action, priority, storage_class FROM lifecycle_preview_results
WHERE repository = :repository AND position > :after AND is_tagged IN :tagged ORDER BY position LIMIT :limit

-- results_of: those of some images
SELECT position, digest, tags, pushed, action, priority, storage_class FROM lifecycle_preview_results
WHERE repository = :repository AND digest IN :digests AND is_tagged IN :tagged ORDER BY position LIMIT 1000

-- default: of a registry, and when it was put
SELECT policy, put FROM lifecycle_defaults WHERE account = :account AND region = :region

-- put_default: for repositories without a policy of their own
INSERT INTO lifecycle_defaults (account, region, policy, put) VALUES (:account, :region, :policy, :now)
ON CONFLICT (account, region) DO UPDATE SET policy = excluded.policy, put = excluded.put

-- delete_default: from now on those have none
DELETE FROM lifecycle_defaults WHERE account = :account AND region = :region

-- without_policies: repositories of a registry that have none of their own, in name order
SELECT r.id, r.name FROM repositories r
WHERE r.account = :account AND r.region = :region AND r.name > :after AND r.name >= '0'
  AND NOT EXISTS (SELECT 1 FROM lifecycle_policies p WHERE p.repository = r.id)
ORDER BY r.name LIMIT :limit

-- protect: a consumer runs an image
INSERT INTO image_uses (repository, digest, consumer, since, until)
VALUES (:repository, :digest, :consumer, :now, :until)
ON CONFLICT (repository, digest, consumer) DO UPDATE SET until = excluded.until

-- unprotect: it no longer does
DELETE FROM image_uses WHERE repository = :repository AND digest = :digest AND consumer = :consumer

-- uses: who runs which image, by digest and consumer
SELECT digest, consumer, since, until FROM image_uses
WHERE repository = :repository AND digest >= :digest AND (digest > :digest OR consumer > :consumer)
  AND COALESCE(until, :now) >= :now
ORDER BY digest, consumer LIMIT :limit

-- uses_page: the same of one consumer or all, up to a digest
SELECT digest, consumer, since, until FROM image_uses
WHERE repository = :repository AND digest >= :digest AND (digest > :digest OR consumer > :consumer)
  AND digest <= :last AND (consumer = :wanted OR :wanted = '')
  AND COALESCE(until, :now) >= :now
ORDER BY digest, consumer LIMIT :limit

-- use: since when a consumer runs an image, and until when
SELECT since, until FROM image_uses
WHERE repository = :repository AND digest = :digest AND consumer = :consumer AND COALESCE(until, :now) >= :now

-- count_uses: how many have registered an image
SELECT COUNT(*) FROM image_uses WHERE repository = :repository AND digest = :digest

-- used_among: which of the digests somebody runs
SELECT DISTINCT digest FROM image_uses
WHERE repository = :repository AND digest IN :digests AND COALESCE(until, :now) >= :now ORDER BY digest LIMIT 10000

-- forget_uses: those that are over
DELETE FROM image_uses WHERE until < :now

-- tags_standing: some tags as they are now
SELECT t.tag, t.moved, i.digest FROM tags t JOIN images i ON i.id = t.image
WHERE t.repository = :repository AND t.tag IN :tags ORDER BY t.tag LIMIT 10000

-- keep_erased: what was taken can be brought back until then
INSERT INTO erased_images (repository, digest, media_type, tags, sealed_manifest, erased, until)
VALUES (:repository, :digest, :media_type, :tags, :sealed_manifest, :now, :until)
ON CONFLICT (repository, digest) DO UPDATE SET tags = excluded.tags, erased = excluded.erased, until = excluded.until

-- erased: what can be brought back, by digest
SELECT digest, media_type, tags, erased, until FROM erased_images
WHERE repository = :repository AND digest > :after AND until > :now ORDER BY digest LIMIT :limit

-- erased_image: one of them, with its manifest
SELECT media_type, tags, sealed_manifest FROM erased_images
WHERE repository = :repository AND digest = :digest AND until > :now

-- forget_erased: it is back
DELETE FROM erased_images WHERE repository = :repository AND digest = :digest

-- forget_overdue: what cannot be brought back any more
DELETE FROM erased_images WHERE until <= :now
