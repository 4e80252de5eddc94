-- domain: the key of an encryption domain by what it is for
SELECT id, wrapped_key FROM domain_keys
WHERE account = :account AND region = :region AND encryption_type = :encryption_type AND key_arn = :key_arn

-- domain_by_id: the same by its id, with what it is for
SELECT account, region, encryption_type, key_arn, wrapped_key FROM domain_keys WHERE id = :id

-- insert_domain: a domain is made by its first use; one that is there already stays
INSERT INTO domain_keys (account, region, encryption_type, key_arn, wrapped_key, created)
VALUES (:account, :region, :encryption_type, :key_arn, :wrapped_key, :created)
ON CONFLICT (account, region, encryption_type, key_arn) DO NOTHING

-- token_keys: the keys of a purpose that still open tokens, the newest first
SELECT id, wrapped_key FROM token_keys WHERE purpose = :purpose AND retired IS NULL ORDER BY id DESC LIMIT 100

-- insert_token_key: the first key of a purpose
INSERT INTO token_keys (purpose, wrapped_key, created)
SELECT :purpose, :wrapped_key, :created
WHERE NOT EXISTS (SELECT 1 FROM token_keys WHERE purpose = :purpose AND retired IS NULL)
