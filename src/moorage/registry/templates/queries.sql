-- insert: a template; the unique constraint refuses a second of that prefix
INSERT INTO creation_templates (account, region, prefix, written, content, created, updated)
VALUES (:account, :region, :prefix, :written, :content, :now, :now)

-- by_prefixes: those of the prefixes that exist
SELECT prefix, written, content, created, updated FROM creation_templates
WHERE account = :account AND region = :region AND prefix IN :prefixes ORDER BY prefix LIMIT 10000

-- page: by prefix, after one
SELECT prefix, written, content, created, updated FROM creation_templates
WHERE account = :account AND region = :region AND prefix > :after ORDER BY prefix LIMIT :limit

-- update: what it says, not when it was made
UPDATE creation_templates SET content = :content, updated = :now
WHERE account = :account AND region = :region AND prefix = :prefix

-- delete: repositories that were made from it stay as they are
DELETE FROM creation_templates WHERE account = :account AND region = :region AND prefix = :prefix
