-- setting: a value, or a document in JSON
SELECT value FROM registry_settings WHERE account = :account AND region = :region AND name = :name

-- set: replace it
INSERT INTO registry_settings (account, region, name, value, updated)
VALUES (:account, :region, :name, :value, :now)
ON CONFLICT (account, region, name) DO UPDATE SET value = excluded.value, updated = excluded.updated

-- unset: it is as if it had never been set
DELETE FROM registry_settings WHERE account = :account AND region = :region AND name = :name

-- exclude: a principal whose pulls do not count; the unique constraint refuses a second row
INSERT INTO pull_time_exclusions (account, region, principal, created)
VALUES (:account, :region, :principal, :now)

-- include: its pulls count again
DELETE FROM pull_time_exclusions WHERE account = :account AND region = :region AND principal = :principal

-- exclusion_page: by ARN, after one
SELECT principal FROM pull_time_exclusions
WHERE account = :account AND region = :region AND principal > :after ORDER BY principal LIMIT :limit

-- exclusions: of every registry; each has at most 100
SELECT account, region, principal FROM pull_time_exclusions ORDER BY account, region, principal LIMIT 1000000

-- setting_change: when a setting of a repository was changed, and where, if replication brought it
SELECT changed, account, region FROM setting_changes WHERE repository = :repository AND setting = :setting LIMIT 1

-- note_setting_change: the last one only
INSERT INTO setting_changes (repository, setting, changed, account, region)
VALUES (:repository, :setting, :changed, :account, :region)
ON CONFLICT (repository, setting) DO UPDATE SET
    changed = excluded.changed, account = excluded.account, region = excluded.region

-- waiting: a job that is neither done nor given up
SELECT id FROM jobs WHERE kind = :kind AND subject = :subject AND failed IS NULL LIMIT 1
