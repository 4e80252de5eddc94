-- begin: a session of this process
INSERT INTO uploads (id, repository, owner, process, blob, wrapped_key, started, expires)
VALUES (:id, :repository, :owner, :process, :blob, :wrapped_key, :started, :expires)

-- end: the session is over, finished or not
DELETE FROM uploads WHERE id = :id

-- left_behind: sessions of other processes, which are dead (one node)
SELECT id, blob FROM uploads WHERE process <> :process ORDER BY id LIMIT :limit

-- blob_exists: is this blob id committed?
SELECT 1 FROM blobs WHERE id = :blob

-- stored: the blob that holds a digest in a domain
SELECT b.id, b.size FROM blob_digests d JOIN blobs b ON b.id = d.blob WHERE d.domain = :domain AND d.digest = :digest

-- insert_blob: a blob whose file is durable already
INSERT INTO blobs (id, domain, digest, size, wrapped_key, created)
VALUES (:id, :domain, :digest, :size, :wrapped_key, :created)

-- insert_digest: one more name of a blob
INSERT INTO blob_digests (domain, digest, blob) VALUES (:domain, :digest, :blob)
ON CONFLICT (domain, digest) DO NOTHING

-- link: the repository has the blob under this digest
INSERT INTO repository_blobs (repository, digest, blob, linked) VALUES (:repository, :digest, :blob, :linked)
ON CONFLICT (repository, digest) DO NOTHING

-- add_candidate: nothing refers to the link yet; pushed forward if it is there already
INSERT INTO candidates (repository, digest, not_before)
SELECT :repository, :digest, :not_before
WHERE NOT EXISTS (SELECT 1 FROM image_blobs WHERE repository = :repository AND digest = :digest)
ON CONFLICT (repository, digest) DO UPDATE SET not_before = excluded.not_before

-- layer: what the repository has under a digest, and until when a candidate is safe
SELECT b.id, b.domain, b.digest, b.size, b.wrapped_key, c.not_before
FROM repository_blobs l
JOIN blobs b ON b.id = l.blob
LEFT JOIN candidates c ON c.repository = l.repository AND c.digest = l.digest
WHERE l.repository = :repository AND l.digest = :digest

-- layers: the same for several digests
SELECT l.digest, b.size, c.not_before
FROM repository_blobs l
JOIN blobs b ON b.id = l.blob
LEFT JOIN candidates c ON c.repository = l.repository AND c.digest = l.digest
WHERE l.repository = :repository AND l.digest IN :digests
ORDER BY l.digest LIMIT 1000

-- archived: which of the digests archived images use, and no other. The newest image is the likeliest to be active
SELECT l.digest FROM repository_blobs l
WHERE l.repository = :repository AND l.digest IN :digests
  AND EXISTS (SELECT 1 FROM image_blobs b WHERE b.repository = l.repository AND b.digest = l.digest)
  AND COALESCE((
      SELECT 1 FROM image_blobs b JOIN images i ON i.id = b.image
      WHERE b.repository = l.repository AND b.digest = l.digest AND i.status = 'ACTIVE'
      ORDER BY b.image DESC LIMIT 1), 0) = 0
ORDER BY l.digest LIMIT 1000

-- holders: repositories of the registry that have the digest in this domain, in name order
SELECT r.name, r.id, l.blob
FROM repository_blobs l JOIN repositories r ON r.id = l.repository JOIN blobs b ON b.id = l.blob
WHERE l.digest = :digest AND r.account = :account AND r.region = :region AND b.domain = :domain AND r.name >= '0'
ORDER BY r.name LIMIT :limit

-- holder: that repository, if it has the digest in this domain
SELECT r.name, r.id, l.blob
FROM repository_blobs l JOIN repositories r ON r.id = l.repository JOIN blobs b ON b.id = l.blob
WHERE l.digest = :digest AND r.account = :account AND r.region = :region AND b.domain = :domain AND r.name = :name

-- is_referenced: does an image of the repository use it?
SELECT 1 FROM image_blobs WHERE repository = :repository AND digest = :digest LIMIT 1

-- unlink: the repository no longer has it; the blob of the link is returned
DELETE FROM repository_blobs WHERE repository = :repository AND digest = :digest
AND NOT EXISTS (SELECT 1 FROM image_blobs WHERE repository = :repository AND digest = :digest)
RETURNING blob

-- drop_candidate: the link is gone or referenced
DELETE FROM candidates WHERE repository = :repository AND digest = :digest

-- due_candidates: links whose time has come, oldest first
SELECT repository, digest FROM candidates WHERE not_before <= :now ORDER BY not_before, repository, digest LIMIT :limit

-- collect_links: those links of a repository, unless an image refers to them; the blobs of the links are returned
DELETE FROM repository_blobs
WHERE repository = :repository AND digest IN :digests
AND NOT EXISTS (
    SELECT 1 FROM image_blobs i
    WHERE i.repository = repository_blobs.repository AND i.digest = repository_blobs.digest)
RETURNING blob

-- forget_candidates: the same, collected now
DELETE FROM candidates WHERE repository = :repository AND digest IN :digests

-- doom_unlinked: blobs that no repository has: their files are to go
INSERT INTO doomed_files (blob)
SELECT b.id FROM blobs b
WHERE b.id IN :blobs AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob = b.id)
ON CONFLICT (blob) DO NOTHING

-- delete_doomed_blobs: their rows, and so their keys, go with them
DELETE FROM blobs WHERE id IN :blobs AND EXISTS (SELECT 1 FROM doomed_files d WHERE d.blob = blobs.id)

-- doom_file: a file that never became a blob
INSERT INTO doomed_files (blob) VALUES (:blob) ON CONFLICT (blob) DO NOTHING

-- doom_file_unless_stored: a finished file whose row was not written
INSERT INTO doomed_files (blob) SELECT :blob WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE id = :blob)
ON CONFLICT (blob) DO NOTHING

-- doomed_files: files to remove
SELECT blob FROM doomed_files ORDER BY blob LIMIT :limit

-- file_gone: removed
DELETE FROM doomed_files WHERE blob = :blob

-- purge_links: some links of a deleted repository; their blobs are returned
DELETE FROM repository_blobs
WHERE repository = :repository AND digest IN (
    SELECT digest FROM repository_blobs WHERE repository = :repository ORDER BY digest LIMIT :limit)
RETURNING blob

-- purge_candidates: what was waiting there
DELETE FROM candidates WHERE repository = :repository

-- purge_uploads: sessions of a deleted repository; their blobs are returned
DELETE FROM uploads WHERE repository = :repository RETURNING blob
