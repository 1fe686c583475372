-- +goose Up
-- +goose StatementBegin
-- The sum of all pending rows, so that nobody adds up the sums of the copies, of which there
-- may be as many as buckets: the row of backlog without names. Its oldest row is the first of
-- this index.
CREATE INDEX pending_age ON pending (since);

INSERT INTO backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
SELECT '', '', sum(objects), sum(bytes), sum(held_deletes), sum(conflicts), sum(failing) FROM backlog HAVING count(*) > 0;

CREATE TRIGGER pending_added_total AFTER INSERT ON pending BEGIN
	INSERT INTO backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	VALUES ('', '', 1, new.size, new.hold = 'deletes', new.hold = 'conflict', new.attempts > 0 AND new.hold = '')
	ON CONFLICT (bucket, cluster) DO UPDATE SET
		objects      = objects + 1,
		bytes        = bytes + excluded.bytes,
		held_deletes = held_deletes + excluded.held_deletes,
		conflicts    = conflicts + excluded.conflicts,
		failing      = failing + excluded.failing;
END;

CREATE TRIGGER pending_changed_total AFTER UPDATE OF size, hold, attempts ON pending
WHEN old.size <> new.size OR old.hold <> new.hold OR old.attempts <> new.attempts BEGIN
	UPDATE backlog SET
		bytes        = bytes + new.size - old.size,
		held_deletes = held_deletes + (new.hold = 'deletes') - (old.hold = 'deletes'),
		conflicts    = conflicts + (new.hold = 'conflict') - (old.hold = 'conflict'),
		failing      = failing + (new.attempts > 0 AND new.hold = '') - (old.attempts > 0 AND old.hold = '')
	WHERE bucket = '' AND cluster = '';
END;

CREATE TRIGGER pending_removed_total AFTER DELETE ON pending BEGIN
	UPDATE backlog SET
		objects      = objects - 1,
		bytes        = bytes - old.size,
		held_deletes = held_deletes - (old.hold = 'deletes'),
		conflicts    = conflicts - (old.hold = 'conflict'),
		failing      = failing - (old.attempts > 0 AND old.hold = '')
	WHERE bucket = '' AND cluster = '';
END;
-- +goose StatementEnd
