-- of_account: all, the oldest first
SELECT id, account, region, service, network, subnets, security_groups, policy, private_dns, created
FROM private_endpoints WHERE account = :account ORDER BY created, id LIMIT :limit

-- of_region: all of an account in a region
SELECT id, account, region, service, network, subnets, security_groups, policy, private_dns, created
FROM private_endpoints WHERE account = :account AND region = :region ORDER BY id LIMIT :limit

-- by_ids: those named, as far as they are the account's
SELECT id, account, region, service, network, subnets, security_groups, policy, private_dns, created
FROM private_endpoints WHERE id IN :ids AND account = :account AND region = :region ORDER BY id LIMIT :limit

-- by_token: what was made with a client token, and a hash of what was asked for
SELECT id, asked FROM private_endpoints
WHERE account = :account AND region = :region AND client_token = :client_token AND client_token <> ''

-- count: of an account
SELECT COUNT(*) FROM private_endpoints WHERE account = :account

-- insert: a new one
INSERT INTO private_endpoints (id, account, region, service, network, subnets, security_groups, policy, private_dns,
                               client_token, asked, created)
VALUES (:id, :account, :region, :service, :network, :subnets, :security_groups, :policy, :private_dns,
        :client_token, :asked, :created)

-- modify: what can change
UPDATE private_endpoints SET subnets = :subnets, security_groups = :security_groups, policy = :policy,
                             private_dns = :private_dns
WHERE id = :id

-- delete: the row
DELETE FROM private_endpoints WHERE id = :id

-- tags_of: of several
SELECT endpoint, key, value FROM endpoint_tags WHERE endpoint IN :ids ORDER BY endpoint, key LIMIT :limit

-- set_tag: or replace it
INSERT INTO endpoint_tags (endpoint, key, value) VALUES (:id, :key, :value)
ON CONFLICT (endpoint, key) DO UPDATE SET value = excluded.value

-- unset_tag: whatever its value is
DELETE FROM endpoint_tags WHERE endpoint = :id AND key = :key

-- unset_tag_of_value: only with that value
DELETE FROM endpoint_tags WHERE endpoint = :id AND key = :key AND value = :value

-- clear_tags: all of one
DELETE FROM endpoint_tags WHERE endpoint = :id
