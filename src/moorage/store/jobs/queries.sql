-- put: a job, once for each kind and subject; what was given up is tried again
INSERT INTO jobs (kind, subject, payload, created, due, attempts)
VALUES (:kind, :subject, :payload, :now, :due, 0)
ON CONFLICT (kind, subject) DO UPDATE SET
    payload = excluded.payload,
    created = CASE WHEN jobs.failed IS NOT NULL THEN excluded.created ELSE jobs.created END,
    due = CASE WHEN excluded.due < jobs.due OR jobs.failed IS NOT NULL THEN excluded.due ELSE jobs.due END,
    attempts = CASE WHEN jobs.failed IS NOT NULL THEN 0 ELSE jobs.attempts END,
    failed = NULL,
    asked = jobs.asked + 1

-- soonest: when each kind has something to do next
SELECT kind, MIN(CASE WHEN lease IS NULL THEN due ELSE leased_until END) FROM jobs
WHERE failed IS NULL GROUP BY kind ORDER BY kind LIMIT 1000

-- claim: the job of a kind that has waited longest, or whose process has gone
UPDATE jobs SET lease = :process, leased_until = :until, attempts = attempts + 1, due = :never
WHERE id = (
    SELECT id FROM jobs
    WHERE kind = :kind AND failed IS NULL
      AND ((lease IS NULL AND due <= :now) OR leased_until < :now)
    ORDER BY due, id LIMIT 1)
RETURNING id, kind, subject, payload, attempts, asked

-- claim [postgres]: skips what another node is claiming
UPDATE jobs SET lease = :process, leased_until = :until, attempts = attempts + 1, due = :never
WHERE id = (
    SELECT id FROM jobs
    WHERE kind = :kind AND failed IS NULL
      AND ((lease IS NULL AND due <= :now) OR leased_until < :now)
    ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, kind, subject, payload, attempts, asked

-- keep_leases: the jobs of a process go on
UPDATE jobs SET leased_until = :until WHERE lease = :process AND id IN :ids

-- progress: what a job has done so far
UPDATE jobs SET done = :done, total = :total, note = :note WHERE id = :id AND lease = :process

-- done: it is gone, unless it was asked for again meanwhile
DELETE FROM jobs WHERE id = :id AND lease = :process AND asked = :asked

-- drop: what does not run, of subjects that begin so
DELETE FROM jobs WHERE kind = :kind AND subject >= :first AND subject < :beyond AND lease IS NULL

-- release: it is tried at a time, or sooner if somebody has asked for that
UPDATE jobs SET lease = NULL, leased_until = NULL, attempts = :attempts, error = :error,
    due = CASE WHEN :due < due THEN :due ELSE due END
WHERE id = :id AND lease = :process

-- give_up: it stays to be seen, until it is asked for again
UPDATE jobs SET lease = NULL, leased_until = NULL, failed = :now, error = :error
WHERE id = :id AND lease = :process AND asked = :asked

-- page: all jobs, by id
SELECT id, kind, subject, created, due, attempts, lease, failed, error, done, total, note
FROM jobs WHERE id > :after ORDER BY id LIMIT :limit

-- find: a job, by what it is about
SELECT id, kind, subject, created, due, attempts, lease, failed, error, done, total, note
FROM jobs WHERE kind = :kind AND subject = :subject LIMIT 1

-- retry: at once, from the first attempt on
UPDATE jobs SET due = :now, attempts = 0, failed = NULL WHERE id = :id AND lease IS NULL

-- counts: how many there are, by kind and state
SELECT kind, CASE WHEN failed IS NOT NULL THEN 'failed' WHEN lease IS NOT NULL THEN 'running' ELSE 'waiting' END,
       COUNT(*)
FROM jobs
GROUP BY kind, CASE WHEN failed IS NOT NULL THEN 'failed' WHEN lease IS NOT NULL THEN 'running' ELSE 'waiting' END
ORDER BY 1, 2 LIMIT 1000
