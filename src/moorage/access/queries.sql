-- account_of_key: whose epoch tells whether it changed
SELECT account FROM access_keys WHERE id = :id

-- access_key: one, with its secret
SELECT account, principal, sealed_secret, status FROM access_keys WHERE id = :id

-- insert_access_key: a new one
INSERT INTO access_keys (id, account, principal, sealed_secret, status, created)
VALUES (:id, :account, :principal, :sealed_secret, 'Active', :created)

-- accounts: all, in order
SELECT id, created FROM accounts WHERE id > :after ORDER BY id LIMIT :limit

-- account: whether it is there
SELECT 1 FROM accounts WHERE id = :id

-- insert_account: a new one
INSERT INTO accounts (id, created) VALUES (:id, :created)

-- setting: one value of an installation, an account, or an account in a region
SELECT value FROM settings WHERE account = :account AND region = :region AND name = :name

-- set_setting: set or replace it
INSERT INTO settings (account, region, name, value) VALUES (:account, :region, :name, :value)
ON CONFLICT (account, region, name) DO UPDATE SET value = excluded.value

-- raise_epoch: something changed about who may do what in an account; the numbers are of all accounts together
INSERT INTO access_epochs (account, epoch)
VALUES (:account, (SELECT COALESCE(MAX(epoch), 0) + 1 FROM access_epochs))
ON CONFLICT (account) DO UPDATE SET epoch = excluded.epoch

-- epochs_after: what changed after a number, in order
SELECT account, epoch FROM access_epochs WHERE epoch > :after ORDER BY epoch LIMIT 10000

-- keep_session_document: what a session brought along
INSERT INTO session_documents (digest, document, until) VALUES (:digest, :document, :until)
ON CONFLICT (digest) DO UPDATE SET
    until = CASE WHEN excluded.until > session_documents.until THEN excluded.until ELSE session_documents.until END

-- session_document: by its hash
SELECT document FROM session_documents WHERE digest = :digest

-- forget_session_documents: of sessions that are over
DELETE FROM session_documents WHERE until < :now

-- ended_session: one that was ended before its time
SELECT 1 FROM ended_sessions WHERE id = :id

-- end_session: refuse it from now on
INSERT INTO ended_sessions (id, account, until) VALUES (:id, :account, :until)
ON CONFLICT (id) DO UPDATE SET until = excluded.until

-- forget_ended_sessions: those that would be over anyway
DELETE FROM ended_sessions WHERE until < :now

-- use_key: when, for what and where a key was last used
UPDATE access_keys SET last_used = :now, last_service = :service, last_region = :region WHERE id = :id

-- resource_policies: of a repository and its registry
SELECT arn, policy FROM resource_policies WHERE arn IN :arns LIMIT 2

-- resource_policy: of one resource
SELECT policy FROM resource_policies WHERE arn = :arn

-- resource_tags: of an ARN
SELECT key, value FROM resource_tags WHERE arn = :arn ORDER BY key LIMIT 200

-- set_key_status: switch a key of an owner on or off
UPDATE access_keys SET status = :status WHERE id = :id AND principal = :owner

-- delete_key: one of an owner
DELETE FROM access_keys WHERE id = :id AND principal = :owner

-- set_resource_policy: of a repository or a registry
INSERT INTO resource_policies (arn, policy, updated) VALUES (:arn, :policy, :now)
ON CONFLICT (arn) DO UPDATE SET policy = excluded.policy, updated = excluded.updated

-- clear_resource_policy: the resource has none any more
DELETE FROM resource_policies WHERE arn = :arn
