-- insert: a record, once
INSERT INTO audit (event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type,
                   resource, document, hash)
VALUES (:event, :occurred, :account, :region, :source, :name, :username, :access_key, :is_read_only, :resource_type,
        :resource, :document, :hash)
ON CONFLICT (event) DO NOTHING

-- page: newest first, before a position
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_key: those of an access key
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND access_key = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_event: the one of that id
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND event = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_name: those of an operation
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND name = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_source: those of a service
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND source = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_read_only: those that read, or those that write
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND is_read_only = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_resource: those about something of that name
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND resource = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_type: those about something of that type
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND resource_type = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- page_of_username: those of a caller
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit
WHERE account = :account AND region = :region AND username = :value AND occurred >= :since AND occurred <= :occurred
  AND (occurred < :occurred OR id < :id)
ORDER BY occurred DESC, id DESC LIMIT :limit

-- latest: of all registries, newest first, before a record
SELECT id, event, occurred, account, region, source, name, username, access_key, is_read_only, resource_type, resource,
       document
FROM audit WHERE id < :before AND occurred >= :since ORDER BY id DESC LIMIT :limit

-- oldest: what may be old enough to go
SELECT id, occurred, hash FROM audit ORDER BY id LIMIT :limit

-- remove_through: all records up to one
DELETE FROM audit WHERE id <= :id

-- anchor: the hash of the last record that was removed
SELECT hash FROM audit_anchor WHERE id = 1

-- set_anchor: the chain goes on from here
INSERT INTO audit_anchor (id, hash) VALUES (1, :hash)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash

-- last_hash: what the next record is chained to
SELECT hash FROM audit ORDER BY id DESC LIMIT 1

-- with_hash: is there a record with that hash?
SELECT 1 FROM audit WHERE hash = :hash LIMIT 1

-- in_order: as they were written, after one
SELECT id, event, name, document, hash FROM audit WHERE id > :after ORDER BY id LIMIT :limit
