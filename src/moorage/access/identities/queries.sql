-- by_name: a user, group or role
SELECT id, account, kind, path, name, created, description, trust_policy, session_s, boundary, not_before, last_used,
       last_region
FROM principals WHERE account = :account AND kind = :kind AND folded = :folded

-- by_id: the same
SELECT id, account, kind, path, name, created, description, trust_policy, session_s, boundary, not_before, last_used,
       last_region
FROM principals WHERE id = :id

-- page: those under a path, in the order of their names
SELECT id, account, kind, path, name, created, description, trust_policy, session_s, boundary, not_before, last_used,
       last_region
FROM principals
WHERE account = :account AND kind = :kind AND folded > :after AND path >= :path AND path < :beyond
ORDER BY folded LIMIT :limit

-- insert: a new one
INSERT INTO principals (id, account, kind, path, name, folded, created, description, trust_policy, session_s, boundary,
                        not_before, last_region)
VALUES (:id, :account, :kind, :path, :name, :folded, :created, :description, :trust_policy, :session_s, :boundary,
        0, '')

-- rename: another name or path
UPDATE principals SET name = :name, folded = :folded, path = :path WHERE id = :id

-- set_boundary: the policy that bounds its permissions, or none
UPDATE principals SET boundary = :boundary WHERE id = :id

-- set_role: who may assume it, what it is for, how long a session may be
UPDATE principals SET trust_policy = :trust_policy, description = :description, session_s = :session_s WHERE id = :id

-- end_sessions: refuse what was issued before
UPDATE principals SET not_before = :not_before WHERE id = :id

-- delete: the row
DELETE FROM principals WHERE id = :id

-- clear_tags: all of an owner
DELETE FROM identity_tags WHERE owner = :owner

-- tags_of: of a user, role, policy or provider
SELECT key, value FROM identity_tags WHERE owner = :owner ORDER BY folded LIMIT 200

-- grants: every policy that speaks for a principal: its own, those of its groups, inline and managed
SELECT 'inline', p.kind, p.name, i.name, i.document
FROM inline_policies i JOIN principals p ON p.id = i.principal
WHERE i.principal IN (SELECT :principal UNION SELECT grouped_in FROM memberships WHERE member = :principal)
UNION ALL
SELECT 'managed', '', '', a.policy, COALESCE(v.document, '')
FROM attachments a
LEFT JOIN managed_policies m ON m.arn = a.policy
LEFT JOIN policy_versions v ON v.policy = m.arn AND v.version = m.default_version
WHERE a.principal IN (SELECT :principal UNION SELECT grouped_in FROM memberships WHERE member = :principal)

-- managed_document: the default version of a managed policy
SELECT v.document FROM managed_policies m
JOIN policy_versions v ON v.policy = m.arn AND v.version = m.default_version WHERE m.arn = :arn

-- use_role: when and where a role was last used
UPDATE principals SET last_used = :now, last_region = :region WHERE id = :id

-- set_tag: set or replace one
INSERT INTO identity_tags (owner, key, folded, value) VALUES (:owner, :key, :folded, :value)
ON CONFLICT (owner, folded) DO UPDATE SET key = excluded.key, value = excluded.value

-- count_tags: of an owner
SELECT count(*) FROM identity_tags WHERE owner = :owner

-- unset_tags: some of an owner
DELETE FROM identity_tags WHERE owner = :owner AND folded IN :folded
