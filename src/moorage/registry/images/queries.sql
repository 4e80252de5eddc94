-- by_digest: an image with its manifest
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled, i.sealed_manifest
FROM images i WHERE i.repository = :repository AND i.digest = :digest

-- by_tag: the image that a tag points at, with its manifest
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled, i.sealed_manifest
FROM tags t JOIN images i ON i.id = t.image WHERE t.repository = :repository AND t.tag = :tag

-- existing: which of the digests are images of the repository, with their sizes
SELECT digest, image_size FROM images WHERE repository = :repository AND digest IN :digests ORDER BY digest LIMIT 10000

-- insert: a new image; one that is there already stays as it is
INSERT INTO images (repository, digest, media_type, artifact_type, config_media_type, manifest_size, image_size,
                    subject, pushed, status, origin, sealed_manifest)
VALUES (:repository, :digest, :media_type, :artifact_type, :config_media_type, :manifest_size, :image_size,
        :subject, :pushed, 'ACTIVE', :origin, :sealed_manifest)
ON CONFLICT (repository, digest) DO NOTHING

-- is_beyond: a row if the repository has more images than that
SELECT 1 FROM images WHERE repository = :repository ORDER BY digest LIMIT 1 OFFSET :most

-- restore: pushing an archived image makes it active at once
UPDATE images SET status = 'ACTIVE', activated = :now
WHERE repository = :repository AND digest = :digest AND status <> 'ACTIVE'

-- id_of: the row of an image
SELECT id FROM images WHERE repository = :repository AND digest = :digest

-- insert_blob: the image uses a layer
INSERT INTO image_blobs (image, digest, repository) VALUES (:image, :digest, :repository)
ON CONFLICT (image, digest) DO NOTHING

-- insert_child: the index has a child
INSERT INTO index_children (image, child, repository) VALUES (:image, :child, :repository)
ON CONFLICT (image, child) DO NOTHING

-- grow_parents: indexes that had come before this child have the size of the largest (ECR: ImageDetail)
UPDATE images SET image_size = (
    SELECT MAX(k.image_size) FROM index_children c JOIN images k ON k.repository = c.repository AND k.digest = c.child
    WHERE c.image = images.id)
WHERE id IN (SELECT c.image FROM index_children c WHERE c.repository = :repository AND c.child = :child)

-- tag_target: where a tag points
SELECT i.digest FROM tags t JOIN images i ON i.id = t.image WHERE t.repository = :repository AND t.tag = :tag

-- insert_tag: a tag that must not exist yet; the unique constraint decides
INSERT INTO tags (repository, tag, image, created, moved) VALUES (:repository, :tag, :image, :now, :now)

-- move_tag: a tag that may exist
INSERT INTO tags (repository, tag, image, created, moved) VALUES (:repository, :tag, :image, :now, :now)
ON CONFLICT (repository, tag) DO UPDATE SET image = excluded.image, moved = excluded.moved

-- tags_of: the tags of an image, in byte order
SELECT tag FROM tags WHERE image = :image ORDER BY tag LIMIT 1000000

-- tags_of_found: the tags of several images; of one without any a row without a tag, of one that is gone none
SELECT i.id, t.tag FROM images i LEFT JOIN tags t ON t.image = i.id WHERE i.id IN :images
ORDER BY i.id, t.tag LIMIT 1000000

-- tags_of_all: the tags of several images
SELECT image, tag FROM tags WHERE image IN :images ORDER BY image, tag LIMIT 1000000

-- tag_page: tags in byte order, after one
SELECT tag FROM tags WHERE repository = :repository AND tag > :after ORDER BY tag LIMIT :limit

-- image_page: newest first, from after (pushed, digest); a row for each tag
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled, t.tag
FROM (
    SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
           i.pushed, i.status, i.archived, i.activated, i.pulled
    FROM images i
    WHERE i.repository = :repository AND i.pushed <= :pushed AND (i.pushed < :pushed OR i.digest > :digest)
      AND i.status IN :statuses
    ORDER BY i.pushed DESC, i.digest LIMIT :limit) i
LEFT JOIN tags t ON t.image = i.id
ORDER BY i.pushed DESC, i.digest, t.tag LIMIT 1000000

-- image_page_tagged: only those with a tag, a row for each
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled, t.tag
FROM (
    SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
           i.pushed, i.status, i.archived, i.activated, i.pulled
    FROM images i
    WHERE i.repository = :repository AND i.pushed <= :pushed AND (i.pushed < :pushed OR i.digest > :digest)
      AND i.status IN :statuses AND EXISTS (SELECT 1 FROM tags t WHERE t.image = i.id)
    ORDER BY i.pushed DESC, i.digest LIMIT :limit) i
LEFT JOIN tags t ON t.image = i.id
ORDER BY i.pushed DESC, i.digest, t.tag LIMIT 1000000

-- image_page_untagged: only those without
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled, NULL
FROM images i
WHERE i.repository = :repository AND i.pushed <= :pushed AND (i.pushed < :pushed OR i.digest > :digest)
  AND i.status IN :statuses AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.image = i.id)
ORDER BY i.pushed DESC, i.digest LIMIT :limit

-- id_page: an element for each tag, one for an untagged image; by (digest, tag)
SELECT i.digest, COALESCE(t.tag, '')
FROM images i LEFT JOIN tags t ON t.image = i.id
WHERE i.repository = :repository AND i.digest >= :digest AND (i.digest > :digest OR COALESCE(t.tag, '') > :tag)
  AND i.status IN :statuses
ORDER BY i.digest, COALESCE(t.tag, '') LIMIT :limit

-- id_page_tagged: only tags
SELECT i.digest, t.tag
FROM images i JOIN tags t ON t.image = i.id
WHERE i.repository = :repository AND i.digest >= :digest AND (i.digest > :digest OR t.tag > :tag)
  AND i.status IN :statuses
ORDER BY i.digest, t.tag LIMIT :limit

-- id_page_untagged: only untagged images
SELECT i.digest, ''
FROM images i
WHERE i.repository = :repository AND i.digest > :digest
  AND i.status IN :statuses AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.image = i.id)
ORDER BY i.digest LIMIT :limit

-- referrers: images whose subject is the digest, in order of arrival
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.manifest_size, i.sealed_manifest, i.status
FROM images i
WHERE i.repository = :repository AND i.subject = :subject AND i.id > :after
ORDER BY i.id LIMIT :limit

-- referrers_of_type: only those of the artifact types
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.manifest_size, i.sealed_manifest, i.status
FROM images i
WHERE i.repository = :repository AND i.subject = :subject AND i.id > :after AND i.artifact_type IN :artifact_types
ORDER BY i.id LIMIT :limit

-- recorded_referrers: which of the digests have the subject
SELECT i.digest FROM images i WHERE i.repository = :repository AND i.digest IN :digests AND i.subject = :subject
ORDER BY i.digest LIMIT 1000

-- parents: indexes that have the digest as a child
SELECT i.digest FROM index_children c JOIN images i ON i.id = c.image
WHERE c.repository = :repository AND c.child = :child ORDER BY i.digest LIMIT 100

-- delete_tag: one tag
DELETE FROM tags WHERE repository = :repository AND tag = :tag

-- delete_tags_of: all tags of an image
DELETE FROM tags WHERE image = :image

-- abandon_blobs: what only this image used becomes a candidate
INSERT INTO candidates (repository, digest, not_before)
SELECT b.repository, b.digest, :not_before FROM image_blobs b
WHERE b.image = :image AND NOT EXISTS (
    SELECT 1 FROM image_blobs o WHERE o.repository = b.repository AND o.digest = b.digest AND o.image <> b.image)
ON CONFLICT (repository, digest) DO UPDATE SET
    not_before = CASE WHEN candidates.not_before > excluded.not_before THEN candidates.not_before
                      ELSE excluded.not_before END

-- set_pulled: when it was last pulled; an earlier time changes nothing
UPDATE images SET pulled = :pulled WHERE id = :image AND (pulled IS NULL OR pulled < :pulled)

-- delete: the image; its rows in image_blobs and index_children go with it
DELETE FROM images WHERE id = :image

-- some_of: images of a purged repository
SELECT id FROM images WHERE repository = :repository ORDER BY digest LIMIT :limit

-- archive: it can no longer be pulled
UPDATE images SET status = 'ARCHIVED', archived = :now WHERE id = :image AND status = 'ACTIVE'

-- begin_restore: it is on its way back
UPDATE images SET status = 'ACTIVATING' WHERE id = :image AND status = 'ARCHIVED'

-- activate: it is back
UPDATE images SET status = 'ACTIVE', activated = :now WHERE id = :image AND status = 'ACTIVATING'

-- followers: images whose subject is one of the digests
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled
FROM images i WHERE i.repository = :repository AND i.subject IN :subjects ORDER BY i.id LIMIT :limit

-- by_id: an image with its manifest
SELECT i.id, i.digest, i.media_type, i.artifact_type, i.config_media_type, i.manifest_size, i.image_size, i.subject,
       i.pushed, i.status, i.archived, i.activated, i.pulled, i.sealed_manifest, i.repository
FROM images i WHERE i.id = :image

-- active_parents: indexes that have the digest as a child and can be pulled
SELECT i.digest FROM index_children c JOIN images i ON i.id = c.image
WHERE c.repository = :repository AND c.child = :child AND i.status = 'ACTIVE' ORDER BY i.digest LIMIT 100

-- blobs_of: what an image uses
SELECT DISTINCT l.blob FROM image_blobs b
JOIN repository_blobs l ON l.repository = b.repository AND l.digest = b.digest
WHERE b.image = :image ORDER BY l.blob LIMIT 100000

-- stays_near: one row if something other than an archived image has the blob: an image, or a link that waits for one
SELECT 1 FROM repository_blobs l
WHERE l.blob = :blob AND (
    NOT EXISTS (SELECT 1 FROM image_blobs b WHERE b.repository = l.repository AND b.digest = l.digest)
    OR EXISTS (
        SELECT 1 FROM image_blobs b JOIN images i ON i.id = b.image
        WHERE b.repository = l.repository AND b.digest = l.digest AND i.status <> 'ARCHIVED'))
LIMIT 1
