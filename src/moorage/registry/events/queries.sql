-- emit: an event, with what causes it
INSERT INTO outbox (event, occurred, account, region, kind, repository, resources, detail)
VALUES (:event, :now, :account, :region, :kind, :repository, :resources, :detail)

-- is_waiting: is there anything to hand on?
SELECT 1 FROM outbox LIMIT 1

-- first: what is handed on next, in the order of what happened
SELECT id, event, occurred, account, region, kind, repository, resources, detail
FROM outbox ORDER BY id LIMIT :limit

-- keep: an event that somebody may have still to get
INSERT INTO events (event, occurred, account, region, kind, repository, resources, detail)
SELECT event, occurred, account, region, kind, repository, resources, detail FROM outbox WHERE id = :id
RETURNING id

-- forget: nobody has to get it
DELETE FROM events WHERE id = :id

-- handed_on: they are no longer in the outbox
DELETE FROM outbox WHERE id IN :ids

-- waiting: how many have not been handed on, and since when
SELECT COUNT(*), MIN(occurred) FROM outbox LIMIT 1

-- add_lane: a target has something to get of a repository
INSERT INTO delivery_lanes (target, lane, due, attempts, error) VALUES (:target, :lane, :now, 0, '')
ON CONFLICT (target, lane) DO NOTHING

-- add_delivery: an event that a target has still to get
INSERT INTO deliveries (target, lane, event) VALUES (:target, :lane, :event)

-- due_lanes: those that a target may be tried with, the longest waiting first
SELECT lane, attempts FROM delivery_lanes WHERE target = :target AND due <= :now ORDER BY due, lane LIMIT :limit

-- next_lane: when a target may be tried again
SELECT due FROM delivery_lanes WHERE target = :target ORDER BY due, lane LIMIT 1

-- first_of_lane: what a target gets next of a repository, in order
SELECT o.id, o.event, o.occurred, o.account, o.region, o.kind, o.repository, o.resources, o.detail
FROM deliveries d JOIN events o ON o.id = d.event
WHERE d.target = :target AND d.lane = :lane ORDER BY d.event LIMIT :limit

-- delivered: the target has them
DELETE FROM deliveries WHERE target = :target AND lane = :lane AND event IN :events

-- forget_if_delivered: those that nobody has still to get
DELETE FROM events WHERE id IN :events AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = events.id)

-- end_lane: there is nothing left in it
DELETE FROM delivery_lanes WHERE target = :target AND lane = :lane
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.target = :target AND d.lane = :lane)

-- lane_goes_on: there is more, at once
UPDATE delivery_lanes SET due = :now, attempts = 0, error = '' WHERE target = :target AND lane = :lane

-- put_off: it is tried again later
UPDATE delivery_lanes SET due = :due, attempts = :attempts, error = :error WHERE target = :target AND lane = :lane

-- targets_with_lanes: who has still to get something
SELECT DISTINCT target FROM delivery_lanes ORDER BY target LIMIT 10000

-- forget_deliveries: the target is not configured any more
DELETE FROM deliveries WHERE target = :target

-- forget_lanes: nor are its lanes
DELETE FROM delivery_lanes WHERE target = :target

-- forget_delivered: events that were handed on, and nobody has still to get
DELETE FROM events WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = events.id)

-- lags: what each target has still to get
SELECT d.target, COUNT(*), MIN(o.occurred) FROM deliveries d JOIN events o ON o.id = d.event
GROUP BY d.target ORDER BY d.target LIMIT 10000
