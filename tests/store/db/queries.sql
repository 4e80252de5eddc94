-- put_account: new
INSERT INTO accounts (id, created) VALUES (:id, :created)

-- put_account_returning: new, and tell
INSERT INTO accounts (id, created) VALUES (:id, :created) RETURNING id, created

-- put_account_unless: new, unless it is there
INSERT INTO accounts (id, created) VALUES (:id, :created) ON CONFLICT (id) DO NOTHING

-- put_access_key: refers to an account
INSERT INTO access_keys (id, account, principal, sealed_secret, status, created)
VALUES (:id, :account, 'root', :secret, 'Active', 0)

-- access_key: its bytes
SELECT sealed_secret FROM access_keys WHERE id = :id

-- check_references_late [sqlite]: so that the commit is what fails
PRAGMA defer_foreign_keys = ON

-- touch_accounts: all of them
UPDATE accounts SET created = :created WHERE id IN :ids

-- account: by id
SELECT id, created FROM accounts WHERE id = :id

-- accounts: in order
SELECT id FROM accounts ORDER BY id LIMIT 1000

-- accounts_of: of those that exist
SELECT id FROM accounts WHERE id IN :ids AND created IN :created ORDER BY id LIMIT 1000

-- total: a sum is an integer
SELECT coalesce(sum(created), 0) FROM accounts

-- domain: what the repository refers to
INSERT INTO domain_keys (account, region, encryption_type, key_arn, wrapped_key, created)
VALUES ('1', 'r', 'AES256', '', :key, 0) RETURNING id

-- repository: one
INSERT INTO repositories (account, region, name, created, mutability, mutability_filters, scan_on_push,
                          encryption_type, key_arn, domain, policy_epoch)
VALUES ('1', 'r', 'app', 0, 'IMMUTABLE', '[]', 0, 'AES256', '', :domain, 0) RETURNING id

-- image: one push
INSERT INTO images (repository, digest, media_type, manifest_size, image_size, pushed, status, origin,
                    sealed_manifest)
VALUES (:repository, :digest, 'application/vnd.oci.image.manifest.v1+json', 1800, 0, 0, 'ACTIVE', 'push', :manifest)
RETURNING id

-- tag: new
INSERT INTO tags (repository, tag, image, created, moved) VALUES (:repository, :tag, :image, 0, 0)

-- tag_or_move: set or moved
INSERT INTO tags (repository, tag, image, created, moved) VALUES (:repository, :tag, :image, 0, 0)
ON CONFLICT (repository, tag) DO UPDATE SET image = excluded.image, moved = excluded.moved

-- tagged: the image behind a tag
SELECT image FROM tags WHERE repository = :repository AND tag = :tag

-- event: to be delivered
INSERT INTO outbox (occurred, account, region, kind, detail) VALUES (0, '1', 'r', 'ECR Image Action', '{}')

-- digests: some, in random order
SELECT digest FROM images ORDER BY random() LIMIT 20000

-- manifest: by repository and digest
SELECT id, media_type, sealed_manifest FROM images WHERE repository = :repository AND digest = :digest
