-- +goose Up
-- +goose StatementBegin
-- The first files of version 1 lack it.
CREATE INDEX IF NOT EXISTS pending_queue_cluster ON pending (cluster, background, due) WHERE hold = '' AND claimed_by = '';

ALTER TABLE pending ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pending ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
-- What the columns say now was said by these before.
UPDATE pending SET counted = background, damaged = (error LIKE 'the bytes are damaged%')
WHERE background <> 0 OR error LIKE 'the bytes are damaged%';

-- Sums of copies per cluster and state, kept by the triggers below.
CREATE TABLE copy_sums (
	cluster TEXT    NOT NULL,
	state   TEXT    NOT NULL,
	copies  INTEGER NOT NULL,
	objects INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	PRIMARY KEY (cluster, state)
) STRICT, WITHOUT ROWID;
INSERT INTO copy_sums (cluster, state, copies, objects, bytes)
SELECT cluster, state, count(*), sum(objects), sum(bytes) FROM copies GROUP BY cluster, state;

-- Buckets that have copies in a cluster, kept by the triggers below.
CREATE TABLE bucket_sums (
	cluster TEXT    NOT NULL PRIMARY KEY,
	buckets INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO bucket_sums (cluster, buckets) SELECT cluster, count(DISTINCT bucket) FROM copies GROUP BY cluster;

CREATE TRIGGER copies_added AFTER INSERT ON copies BEGIN
	INSERT INTO copy_sums (cluster, state, copies, objects, bytes) VALUES (new.cluster, new.state, 1, new.objects, new.bytes)
	ON CONFLICT (cluster, state) DO UPDATE SET copies = copies + 1, objects = objects + excluded.objects, bytes = bytes + excluded.bytes;
	INSERT INTO bucket_sums (cluster, buckets) SELECT new.cluster, 1
	WHERE NOT EXISTS (SELECT 1 FROM copies WHERE bucket = new.bucket AND cluster = new.cluster AND prefix <> new.prefix)
	ON CONFLICT (cluster) DO UPDATE SET buckets = buckets + 1;
END;

CREATE TRIGGER copies_changed AFTER UPDATE OF state, objects, bytes ON copies
WHEN old.state <> new.state OR old.objects <> new.objects OR old.bytes <> new.bytes BEGIN
	INSERT INTO copy_sums (cluster, state, copies, objects, bytes) VALUES (new.cluster, new.state, 1, new.objects, new.bytes)
	ON CONFLICT (cluster, state) DO UPDATE SET copies = copies + 1, objects = objects + excluded.objects, bytes = bytes + excluded.bytes;
	UPDATE copy_sums SET copies = copies - 1, objects = objects - old.objects, bytes = bytes - old.bytes
	WHERE cluster = old.cluster AND state = old.state;
	DELETE FROM copy_sums WHERE cluster = old.cluster AND state = old.state AND copies = 0;
END;

CREATE TRIGGER copies_removed AFTER DELETE ON copies BEGIN
	UPDATE copy_sums SET copies = copies - 1, objects = objects - old.objects, bytes = bytes - old.bytes
	WHERE cluster = old.cluster AND state = old.state;
	DELETE FROM copy_sums WHERE cluster = old.cluster AND state = old.state AND copies = 0;
	UPDATE bucket_sums SET buckets = buckets - 1
	WHERE cluster = old.cluster AND NOT EXISTS (SELECT 1 FROM copies WHERE bucket = old.bucket AND cluster = old.cluster);
	DELETE FROM bucket_sums WHERE cluster = old.cluster AND buckets = 0;
END;

-- Purges under way. They outlive their bucket.
CREATE TABLE purges (
	id              INTEGER PRIMARY KEY AUTOINCREMENT,
	bucket          TEXT    NOT NULL UNIQUE,
	mode            TEXT    NOT NULL,
	primary_cluster TEXT    NOT NULL,
	since           INTEGER NOT NULL
) STRICT;

CREATE TABLE purge_targets (
	bucket      TEXT    NOT NULL,
	cluster     TEXT    NOT NULL,
	is_primary  INTEGER NOT NULL,
	made_bucket INTEGER NOT NULL,
	verified    INTEGER NOT NULL,
	owned_until INTEGER NOT NULL,
	pulled_only INTEGER NOT NULL,
	PRIMARY KEY (bucket, cluster)
) STRICT, WITHOUT ROWID;

CREATE TABLE purge_keys (
	bucket  TEXT NOT NULL,
	cluster TEXT NOT NULL,
	key     TEXT NOT NULL,
	etag    TEXT NOT NULL, -- of an object copied on demand; '' for a key in conflict
	PRIMARY KEY (bucket, cluster, key)
) STRICT, WITHOUT ROWID;

-- What people decided about conflicts, until it is carried out.
CREATE TABLE resolutions (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	bucket    TEXT    NOT NULL,
	key       TEXT    NOT NULL, -- '' for all
	winner    TEXT    NOT NULL,
	discard   INTEGER NOT NULL,
	asked     INTEGER NOT NULL,
	after_key TEXT    NOT NULL,
	resolved  INTEGER NOT NULL,
	refused   INTEGER NOT NULL
) STRICT;
CREATE INDEX resolutions_bucket ON resolutions (bucket);

-- Deletes that people confirmed.
CREATE TABLE delete_allowances (
	bucket  TEXT    NOT NULL,
	prefix  TEXT    NOT NULL,
	cluster TEXT    NOT NULL,
	remains INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	PRIMARY KEY (bucket, prefix, cluster)
) STRICT, WITHOUT ROWID;

-- The last verification of each bucket, or the one under way.
CREATE TABLE verifications (
	bucket       TEXT    NOT NULL PRIMARY KEY,
	node         TEXT    NOT NULL,
	under_way    INTEGER NOT NULL,
	state        TEXT    NOT NULL,
	deep         INTEGER NOT NULL,
	error        TEXT    NOT NULL,
	started      INTEGER NOT NULL,
	finished     INTEGER NOT NULL,
	objects      INTEGER NOT NULL,
	bytes        INTEGER NOT NULL,
	total        INTEGER NOT NULL,
	total_bytes  INTEGER NOT NULL,
	mismatches   INTEGER NOT NULL,
	repaired     INTEGER NOT NULL,
	unrepairable INTEGER NOT NULL,
	done         TEXT    NOT NULL, -- steps, a JSON array
	step         TEXT    NOT NULL,
	cursor       TEXT    NOT NULL,
	step_objects INTEGER NOT NULL,
	step_bytes   INTEGER NOT NULL,
	damage       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX verifications_under_way ON verifications (bucket) WHERE under_way <> 0;
CREATE INDEX verifications_damaged ON verifications (bucket) WHERE damage <> '';

CREATE TABLE mismatches (
	bucket  TEXT NOT NULL,
	key     TEXT NOT NULL,
	cluster TEXT NOT NULL,
	reason  TEXT NOT NULL,
	state   TEXT NOT NULL,
	PRIMARY KEY (bucket, key, cluster)
) STRICT, WITHOUT ROWID;
CREATE INDEX mismatches_state ON mismatches (bucket, state, key, cluster);

-- What instances tell each other.
CREATE TABLE reports (
	name TEXT    NOT NULL PRIMARY KEY,
	body TEXT    NOT NULL,
	at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The switch that holds replication, and where the verification of all buckets stands.
CREATE TABLE engine (
	id            INTEGER PRIMARY KEY CHECK (id = 1),
	paused        INTEGER NOT NULL,
	scrub_last    INTEGER NOT NULL,
	scrub_running INTEGER NOT NULL,
	scrub_after   TEXT    NOT NULL
) STRICT;
INSERT INTO engine (id, paused, scrub_last, scrub_running, scrub_after) VALUES (1, 0, 0, 0, '');
-- +goose StatementEnd
