-- access_key: one, with its secret
SELECT id, account, principal, sealed_secret, status FROM access_keys WHERE id = :id

-- insert_access_key: a new one
INSERT INTO access_keys (id, account, principal, sealed_secret, status, created)
VALUES (:id, :account, :principal, :sealed_secret, 'Active', :created)

-- accounts: all, in order
SELECT id, created FROM accounts WHERE id > :after ORDER BY id LIMIT :limit

-- insert_account: a new one
INSERT INTO accounts (id, created) VALUES (:id, :created)

-- setting: one value of an installation, an account, or an account in a region
SELECT value FROM settings WHERE account = :account AND region = :region AND name = :name

-- set_setting: set or replace it
INSERT INTO settings (account, region, name, value) VALUES (:account, :region, :name, :value)
ON CONFLICT (account, region, name) DO UPDATE SET value = excluded.value

-- raise_epoch: something changed about who may do what
INSERT INTO access_epochs (account, epoch) VALUES (:account, 1)
ON CONFLICT (account) DO UPDATE SET epoch = access_epochs.epoch + 1

-- epochs: of all accounts that have changed anything
SELECT account, epoch FROM access_epochs
