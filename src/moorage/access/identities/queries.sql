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

-- tags_of_all: of several owners
SELECT owner, key, value FROM identity_tags WHERE owner IN :owners ORDER BY owner, folded LIMIT 1000000

-- set_tag: set or replace one
INSERT INTO identity_tags (owner, key, folded, value) VALUES (:owner, :key, :folded, :value)
ON CONFLICT (owner, folded) DO UPDATE SET key = excluded.key, value = excluded.value

-- count_tags: of an owner
SELECT count(*) FROM identity_tags WHERE owner = :owner LIMIT 1

-- unset_tags: some of an owner
DELETE FROM identity_tags WHERE owner = :owner AND folded IN :folded

-- holdings: what keeps a user or group from being deleted: keys, inline and managed policies, groups, members
SELECT (SELECT count(*) FROM access_keys WHERE principal = :id),
       (SELECT count(*) FROM inline_policies WHERE principal = :id),
       (SELECT count(*) FROM attachments WHERE principal = :id),
       (SELECT count(*) FROM memberships WHERE member = :id),
       (SELECT count(*) FROM memberships WHERE grouped_in = :id)

-- keys_of_owner: of a user or root
SELECT id, account, principal, status, created, last_used, last_service, last_region
FROM access_keys WHERE principal = :owner AND id > :after ORDER BY id LIMIT :limit

-- keys_of_owners: of several, the oldest of each first
SELECT id, account, principal, status, created, last_used, last_service, last_region
FROM access_keys WHERE principal IN :owners ORDER BY principal, created, id LIMIT :limit

-- keys_of_all: of all accounts, with the name of their user
SELECT k.id, k.account, k.principal, k.status, k.created, k.last_used, k.last_service, k.last_region,
       COALESCE(p.name, '')
FROM access_keys k LEFT JOIN principals p ON p.id = k.principal
WHERE k.id > :after ORDER BY k.id LIMIT :limit

-- key_of_account: one, with the name of its user
SELECT k.id, k.account, k.principal, k.status, k.created, k.last_used, k.last_service, k.last_region,
       COALESCE(p.name, '')
FROM access_keys k LEFT JOIN principals p ON p.id = k.principal
WHERE k.id = :id AND k.account = :account

-- other_active_key: of the same account
SELECT id FROM access_keys WHERE account = :account AND status = 'Active' AND id <> :without ORDER BY id LIMIT 1

-- inline_names: of a user, group or role
SELECT name FROM inline_policies WHERE principal = :principal AND name > :after ORDER BY name LIMIT :limit

-- inline_of_all: of several; quotas bound their number
SELECT principal, name, document FROM inline_policies WHERE principal IN :principals
ORDER BY principal, name LIMIT 1000000

-- inline: one document
SELECT document FROM inline_policies WHERE principal = :principal AND name = :name

-- put_inline: set or replace one
INSERT INTO inline_policies (principal, name, document) VALUES (:principal, :name, :document)
ON CONFLICT (principal, name) DO UPDATE SET document = excluded.document

-- delete_inline: one
DELETE FROM inline_policies WHERE principal = :principal AND name = :name

-- members: the users of a group
SELECT p.id, p.account, p.kind, p.path, p.name, p.created, p.description, p.trust_policy, p.session_s, p.boundary,
       p.not_before, p.last_used, p.last_region
FROM memberships m JOIN principals p ON p.id = m.member
WHERE m.grouped_in = :group AND p.folded > :after ORDER BY p.folded LIMIT :limit

-- groups_of: the groups of a user
SELECT p.id, p.account, p.kind, p.path, p.name, p.created, p.description, p.trust_policy, p.session_s, p.boundary,
       p.not_before, p.last_used, p.last_region
FROM memberships m JOIN principals p ON p.id = m.grouped_in
WHERE m.member = :user AND p.folded > :after ORDER BY p.folded LIMIT :limit

-- group_names_of_all: the groups of several users
SELECT m.member, p.name FROM memberships m JOIN principals p ON p.id = m.grouped_in
WHERE m.member IN :users ORDER BY m.member, p.folded LIMIT 1000000

-- add_member: to a group
INSERT INTO memberships (member, grouped_in) VALUES (:user, :group) ON CONFLICT (member, grouped_in) DO NOTHING

-- remove_member: of a group
DELETE FROM memberships WHERE member = :user AND grouped_in = :group

-- count_kind: the users, groups or roles of an account
SELECT count(*) FROM principals WHERE account = :account AND kind = :kind

-- alias: of an account
SELECT alias FROM account_aliases WHERE account = :account

-- set_alias: set or replace it
INSERT INTO account_aliases (account, alias) VALUES (:account, :alias)
ON CONFLICT (account) DO UPDATE SET alias = excluded.alias

-- delete_alias: if it is that one
DELETE FROM account_aliases WHERE account = :account AND alias = :alias

-- account_created: when
SELECT created FROM accounts WHERE id = :account

-- versions_of_all: of several managed policies, newest first
SELECT policy, version, created, document FROM policy_versions WHERE policy IN :policies
ORDER BY policy, version DESC LIMIT 1000000

-- counts: of all that an account summary counts
SELECT (SELECT count(*) FROM principals WHERE account = :account AND kind = 'user'),
       (SELECT count(*) FROM principals WHERE account = :account AND kind = 'group'),
       (SELECT count(*) FROM principals WHERE account = :account AND kind = 'role'),
       (SELECT count(*) FROM managed_policies WHERE account = :account),
       (SELECT count(*) FROM policy_versions v JOIN managed_policies m ON m.arn = v.policy WHERE m.account = :account),
       (SELECT count(*) FROM identity_providers WHERE account = :account),
       (SELECT count(*) FROM access_keys WHERE account = :account AND principal = :root AND status = 'Active')

-- names_of: what some ids of an account are called now
SELECT id, kind, path, name FROM principals WHERE account = :account AND id IN :ids ORDER BY id LIMIT 1000000

-- policy: a managed policy, and how often it is attached and bounds
SELECT m.arn, m.id, m.path, m.name, m.description, m.created, m.updated, m.default_version,
       (SELECT count(*) FROM attachments a WHERE a.policy = m.arn),
       (SELECT count(*) FROM principals p WHERE p.boundary = m.arn AND p.boundary <> '')
FROM managed_policies m WHERE m.arn = :arn AND m.account = :account

-- policies: those of an account under a path, by name; only those attached, only those that bound, or all
SELECT m.arn, m.id, m.path, m.name, m.description, m.created, m.updated, m.default_version,
       (SELECT count(*) FROM attachments a WHERE a.policy = m.arn),
       (SELECT count(*) FROM principals p WHERE p.boundary = m.arn AND p.boundary <> '')
FROM managed_policies m
WHERE m.account = :account AND m.folded > :after AND m.path >= :path AND m.path < :beyond
  AND (:attached = 0 OR EXISTS (SELECT 1 FROM attachments a WHERE a.policy = m.arn))
  AND (:bounding = 0 OR EXISTS (SELECT 1 FROM principals p WHERE p.boundary = m.arn AND p.boundary <> ''))
ORDER BY m.folded LIMIT :limit

-- uses_of_policies: how often an account attaches some policies
SELECT a.policy, count(*) FROM attachments a JOIN principals p ON p.id = a.principal
WHERE a.policy IN :arns AND p.account = :account GROUP BY a.policy ORDER BY a.policy LIMIT 1000000

-- bounds_of_policies: how often some policies bound in an account
SELECT boundary, count(*) FROM principals WHERE boundary IN :arns AND boundary <> '' AND account = :account
GROUP BY boundary ORDER BY boundary LIMIT 1000000

-- policy_named: the ARN of an account's policy
SELECT arn FROM managed_policies WHERE account = :account AND folded = :folded

-- insert_policy: a new one; its first version follows
INSERT INTO managed_policies (arn, id, account, path, name, folded, description, created, updated, default_version,
                              latest_version)
VALUES (:arn, :id, :account, :path, :name, :folded, :description, :created, :created, 1, 1)

-- latest_version: that a policy has had
SELECT latest_version FROM managed_policies WHERE arn = :arn

-- insert_version: of a policy
INSERT INTO policy_versions (policy, version, document, created) VALUES (:policy, :version, :document, :created)

-- count_version: that a policy has had one more
UPDATE managed_policies SET latest_version = :version, updated = :now WHERE arn = :policy

-- set_default_version: the one that counts
UPDATE managed_policies SET default_version = :version, updated = :now WHERE arn = :policy

-- versions: of a policy, newest first
SELECT version, created, document FROM policy_versions WHERE policy = :policy ORDER BY version DESC LIMIT 100

-- delete_version: one
DELETE FROM policy_versions WHERE policy = :policy AND version = :version

-- delete_policy: its versions go with it
DELETE FROM managed_policies WHERE arn = :arn

-- attached: the managed policies of a principal
SELECT policy FROM attachments WHERE principal = :principal ORDER BY policy LIMIT 1000

-- attached_to_all: the managed policies of several principals
SELECT principal, policy FROM attachments WHERE principal IN :principals ORDER BY principal, policy LIMIT 1000000

-- attach: a managed policy
INSERT INTO attachments (principal, policy) VALUES (:principal, :policy) ON CONFLICT (principal, policy) DO NOTHING

-- detach: a managed policy
DELETE FROM attachments WHERE principal = :principal AND policy = :policy

-- detach_all: every managed policy of a principal
DELETE FROM attachments WHERE principal = :principal

-- entities_of_policy: whom it is attached to or bounds, by kind and name
SELECT p.kind, p.name, p.id FROM principals p
WHERE p.id IN (SELECT principal FROM attachments WHERE policy = :arn AND :permissions = 1
               UNION SELECT id FROM principals WHERE boundary = :arn AND boundary <> '' AND :bounding = 1)
  AND p.account = :account AND p.kind IN :kinds AND p.path >= :path AND p.path < :beyond
  AND (p.kind > :kind OR (p.kind = :kind AND p.folded > :after))
ORDER BY p.kind, p.folded LIMIT :limit

-- provider: an identity provider
SELECT arn, account, url, audiences, thumbprints, jwks, created FROM identity_providers
WHERE arn = :arn AND account = :account

-- providers: of an account
SELECT arn, account, url, audiences, thumbprints, jwks, created FROM identity_providers
WHERE account = :account ORDER BY arn LIMIT 1000

-- providers_of_all: of all accounts
SELECT arn, account, url, audiences, thumbprints, jwks, created FROM identity_providers ORDER BY arn LIMIT 100000

-- insert_provider: a new one
INSERT INTO identity_providers (arn, account, url, audiences, thumbprints, jwks, created)
VALUES (:arn, :account, :url, :audiences, :thumbprints, :jwks, :created)

-- set_provider: what may change
UPDATE identity_providers SET audiences = :audiences, thumbprints = :thumbprints, jwks = :jwks WHERE arn = :arn

-- delete_provider: its tags are cleared apart
DELETE FROM identity_providers WHERE arn = :arn
