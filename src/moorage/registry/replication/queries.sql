-- statuses: where an image was replicated to, and how that went
SELECT account, region, failure FROM replication_statuses WHERE image = :image ORDER BY account, region LIMIT 1000

-- pending: the jobs about an image that are not done; a job that was given up is among them
SELECT subject, CASE WHEN failed IS NULL THEN 0 ELSE 1 END FROM jobs
WHERE kind = :kind AND subject > :first AND subject < :beyond ORDER BY subject LIMIT 10000

-- note_status: how it went, for an image that is still there
INSERT INTO replication_statuses (image, account, region, failure, asked, updated)
SELECT i.id, :account, :region, :failure, :asked, :now FROM images i
WHERE i.repository = :repository AND i.digest = :digest
ON CONFLICT (image, account, region) DO UPDATE SET
    failure = excluded.failure, asked = excluded.asked, updated = excluded.updated

-- oldest: when the change was made that waits longest
SELECT created FROM jobs WHERE kind IN :kinds AND failed IS NULL ORDER BY created, id LIMIT 1

-- earlier: a tag of a repository that is to go to a registry, put down before a time
SELECT due FROM jobs
WHERE kind = :kind AND subject > :first AND subject < :beyond AND subject LIKE :to AND created <= :before
  AND failed IS NULL
ORDER BY due, id LIMIT 1

-- replica: an image that replication brought, and how many indexes have it as a child
SELECT i.id, (SELECT COUNT(*) FROM index_children c WHERE c.repository = i.repository AND c.child = i.digest)
FROM images i WHERE i.repository = :repository AND i.digest = :digest AND i.origin = 'replica'

-- children_gone: what an index has as children that a repository has not
SELECT c.child FROM index_children c
WHERE c.image = :image
  AND NOT EXISTS (SELECT 1 FROM images s WHERE s.repository = :source AND s.digest = c.child)
ORDER BY c.child LIMIT :limit

-- missing_referrers: images pushed here whose subject is the digest, and that are not there
SELECT r.digest FROM images r
WHERE r.repository = :repository AND r.subject = :subject AND r.status = 'ACTIVE' AND r.origin = 'push'
  AND NOT EXISTS (SELECT 1 FROM images t WHERE t.repository = :target AND t.digest = r.digest)
ORDER BY r.digest LIMIT :limit

-- begin_backfill: the unique index refuses a second one to a region
INSERT INTO replication_backfills (id, account, region, to_account, to_region, status, failure, total, completed,
                                   failed, started, ended)
VALUES (:id, :account, :region, :to_account, :to_region, 'PREPARING', '', NULL, 0, 0, :now, NULL)

-- backfill: one of a registry
SELECT id, account, region, to_account, to_region, status, failure, total, completed, failed, started, ended
FROM replication_backfills WHERE id = :id

-- backfill_page: those of a registry, the newest first, from after (started, id)
SELECT id, account, region, to_account, to_region, status, failure, total, completed, failed, started, ended
FROM replication_backfills
WHERE account = :account AND region = :region
  AND started <= :started AND (started < :started OR id > :after)
ORDER BY started DESC, id LIMIT :limit

-- unfinished_backfills: how many of a registry have not ended
SELECT COUNT(*) FROM replication_backfills WHERE account = :account AND region = :region AND ended IS NULL

-- failure_codes: why images of a backfill could not be brought
SELECT DISTINCT failure FROM replication_results WHERE backfill = :id AND status = 'FAILED' ORDER BY failure LIMIT 100

-- existing: images pushed to a repository or cached in it and whole, an element for each tag and one for an untagged
-- image; by (digest, tag)
SELECT i.digest, COALESCE(t.tag, ''), i.media_type, i.subject
FROM images i LEFT JOIN tags t ON t.image = i.id
WHERE i.repository = :repository AND i.digest >= :digest AND (i.digest > :digest OR COALESCE(t.tag, '') > :tag)
  AND i.status = 'ACTIVE' AND (i.origin = 'push' OR (
      i.origin = 'cache'
      AND NOT EXISTS (
          SELECT 1 FROM image_blobs b
          LEFT JOIN repository_blobs l ON l.repository = b.repository AND l.digest = b.digest
          WHERE b.image = i.id AND l.digest IS NULL)
      AND NOT EXISTS (
          SELECT 1 FROM index_children c
          LEFT JOIN images k ON k.repository = c.repository AND k.digest = c.child
          LEFT JOIN image_blobs b ON b.image = k.id
          LEFT JOIN repository_blobs l ON l.repository = b.repository AND l.digest = b.digest
          WHERE c.image = i.id AND (k.id IS NULL OR (b.digest IS NOT NULL AND l.digest IS NULL)))))
ORDER BY i.digest, COALESCE(t.tag, '') LIMIT :limit

-- add_result: one that is to be brought
INSERT INTO replication_results (backfill, name, digest, tag, repository, is_index, status, failure)
VALUES (:backfill, :name, :digest, :tag, :repository, :is_index, '', '')
ON CONFLICT (backfill, name, digest, tag) DO NOTHING

-- prepared: all that are to be brought are written down
UPDATE replication_backfills
SET status = 'IN_PROGRESS', total = (SELECT COUNT(*) FROM replication_results r WHERE r.backfill = :id)
WHERE id = :id AND status = 'PREPARING'

-- undecided: the next that are to be brought
SELECT name, digest, tag, repository FROM replication_results
WHERE backfill = :id AND status = '' AND (name > :name OR (name = :name AND (digest > :digest
      OR (digest = :digest AND tag > :tag))))
ORDER BY name, digest, tag LIMIT :limit

-- decide: how it went
UPDATE replication_results SET status = :status, failure = :failure
WHERE backfill = :backfill AND name = :name AND digest = :digest AND tag = :tag AND status = ''

-- count_decided: so many more went well, or did not
UPDATE replication_backfills SET completed = completed + :completed, failed = failed + :failed WHERE id = :id

-- stop_backfill: what is being brought is brought
UPDATE replication_backfills SET status = 'STOPPING' WHERE id = :id AND ended IS NULL

-- end_backfill: it is over
UPDATE replication_backfills SET status = :status, failure = :failure, ended = :now WHERE id = :id AND ended IS NULL

-- results: of a backfill, from after (name, digest, tag)
SELECT name, digest, tag, is_index, status, failure FROM replication_results
WHERE backfill = :id AND status IN :statuses AND (name > :name OR (name = :name AND (digest > :digest
      OR (digest = :digest AND tag > :tag))))
ORDER BY name, digest, tag LIMIT :limit

-- forget_backfills: long over, with their results
DELETE FROM replication_backfills WHERE ended < :before
