-- emit: an event, with what causes it
INSERT INTO outbox (event, occurred, account, region, kind, repository, resources, detail, is_dispatched)
VALUES (:event, :now, :account, :region, :kind, :repository, :resources, :detail, 0)

-- first_undispatched: is there anything to do?
SELECT 1 FROM outbox WHERE is_dispatched = 0 LIMIT 1

-- undispatched: in the order of what happened
SELECT id, event, occurred, account, region, kind, repository, resources, detail
FROM outbox WHERE is_dispatched = 0 ORDER BY id LIMIT :limit

-- dispatched: they wait for those who have still to get them
UPDATE outbox SET is_dispatched = 1 WHERE id IN :ids

-- forget: nobody has to get them
DELETE FROM outbox WHERE id IN :ids
