-- Times are Unix milliseconds in UTC; 0 is no time. Text compares by its UTF-8
-- bytes (SQLite's BINARY collation), which is S3's key order.

CREATE TABLE counters (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	seq     INTEGER NOT NULL, -- of the last committed change
	trimmed INTEGER NOT NULL, -- changes up to this one are no longer kept
	gen     INTEGER NOT NULL  -- the last generation given to a pending row
) STRICT;
INSERT INTO counters (id, seq, trimmed, gen) VALUES (1, 0, 0, 0);

CREATE TABLE meta (
	key   TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What opens the sealed secrets, beside the key (state.Sealer).
CREATE TABLE seal (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	header TEXT NOT NULL
) STRICT;

CREATE TABLE resources (
	kind TEXT    NOT NULL,
	name TEXT    NOT NULL,
	rev  INTEGER NOT NULL,
	body TEXT    NOT NULL, -- JSON, secrets sealed
	refs TEXT    NOT NULL, -- 'policy/gold cluster/c1'
	PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- resources.refs turned round, for "what refers to this".
CREATE TABLE referrers (
	to_kind TEXT NOT NULL,
	to_name TEXT NOT NULL,
	kind    TEXT NOT NULL,
	name    TEXT NOT NULL,
	PRIMARY KEY (to_kind, to_name, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE copies (
	bucket      TEXT    NOT NULL,
	prefix      TEXT    NOT NULL,
	cluster     TEXT    NOT NULL,
	state       TEXT    NOT NULL,
	flags       INTEGER NOT NULL, -- 1 primary, 2 made_bucket, 4 held_deletes, 8 former_primary
	cursor      TEXT    NOT NULL,
	objects     INTEGER NOT NULL,
	bytes       INTEGER NOT NULL,
	error       TEXT    NOT NULL,
	verified_at INTEGER NOT NULL,
	scan_cursor TEXT    NOT NULL,
	owned_until INTEGER NOT NULL,
	drain_since INTEGER NOT NULL,
	PRIMARY KEY (bucket, prefix, cluster)
) STRICT, WITHOUT ROWID;

-- A rowid table: keys of up to 1,024 bytes are then held twice (row and unique
-- index), however many indexes there are.
CREATE TABLE pending (
	id           INTEGER PRIMARY KEY,
	bucket       TEXT    NOT NULL,
	key          TEXT    NOT NULL,
	cluster      TEXT    NOT NULL,
	gen          INTEGER NOT NULL,
	size         INTEGER NOT NULL,
	since        INTEGER NOT NULL,
	attempts     INTEGER NOT NULL,
	next_attempt INTEGER NOT NULL,
	error        TEXT    NOT NULL,
	hold         TEXT    NOT NULL,
	is_foreign   INTEGER NOT NULL,
	background   INTEGER NOT NULL,
	claimed_by   TEXT    NOT NULL,
	claim_until  INTEGER NOT NULL,
	due          INTEGER NOT NULL AS (CASE next_attempt WHEN 0 THEN since ELSE next_attempt END) VIRTUAL,
	UNIQUE (bucket, key, cluster)
) STRICT;

-- Rows that may be claimed, in the order in which they are.
CREATE INDEX pending_queue ON pending (background, due) WHERE hold = '' AND claimed_by = '';
CREATE INDEX pending_queue_cluster ON pending (cluster, background, due) WHERE hold = '' AND claimed_by = '';
-- Claims, to free those that ran out.
CREATE INDEX pending_claims ON pending (claim_until) WHERE claimed_by <> '';
-- The oldest row of a copy.
CREATE INDEX pending_since ON pending (bucket, cluster, since);
-- What people look at: failing and held rows, however many others there are.
CREATE INDEX pending_failing ON pending (bucket, key, cluster) WHERE attempts > 0 AND hold = '';
CREATE INDEX pending_failing_copy ON pending (bucket, cluster) WHERE attempts > 0 AND hold = '';
CREATE INDEX pending_held ON pending (bucket, key, cluster) WHERE hold <> '';

-- Sums of pending per copy, kept by the triggers below.
CREATE TABLE backlog (
	bucket       TEXT    NOT NULL,
	cluster      TEXT    NOT NULL,
	objects      INTEGER NOT NULL,
	bytes        INTEGER NOT NULL,
	held_deletes INTEGER NOT NULL,
	conflicts    INTEGER NOT NULL,
	failing      INTEGER NOT NULL,
	PRIMARY KEY (bucket, cluster)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER pending_added AFTER INSERT ON pending BEGIN
	INSERT INTO backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	VALUES (new.bucket, new.cluster, 1, new.size, new.hold = 'deletes', new.hold = 'conflict',
	        new.attempts > 0 AND new.hold = '')
	ON CONFLICT (bucket, cluster) DO UPDATE SET
		objects      = objects + 1,
		bytes        = bytes + excluded.bytes,
		held_deletes = held_deletes + excluded.held_deletes,
		conflicts    = conflicts + excluded.conflicts,
		failing      = failing + excluded.failing;
END;

CREATE TRIGGER pending_changed AFTER UPDATE OF size, hold, attempts ON pending
WHEN old.size <> new.size OR old.hold <> new.hold OR old.attempts <> new.attempts BEGIN
	UPDATE backlog SET
		bytes        = bytes + new.size - old.size,
		held_deletes = held_deletes + (new.hold = 'deletes') - (old.hold = 'deletes'),
		conflicts    = conflicts + (new.hold = 'conflict') - (old.hold = 'conflict'),
		failing      = failing + (new.attempts > 0 AND new.hold = '') - (old.attempts > 0 AND old.hold = '')
	WHERE bucket = new.bucket AND cluster = new.cluster;
END;

CREATE TRIGGER pending_removed AFTER DELETE ON pending BEGIN
	UPDATE backlog SET
		objects      = objects - 1,
		bytes        = bytes - old.size,
		held_deletes = held_deletes - (old.hold = 'deletes'),
		conflicts    = conflicts - (old.hold = 'conflict'),
		failing      = failing - (old.attempts > 0 AND old.hold = '')
	WHERE bucket = old.bucket AND cluster = old.cluster;
END;

CREATE TRIGGER backlog_empty AFTER UPDATE OF objects ON backlog WHEN new.objects = 0 BEGIN
	DELETE FROM backlog WHERE bucket = new.bucket AND cluster = new.cluster;
END;

CREATE TABLE changes (
	id       INTEGER PRIMARY KEY,
	seq      INTEGER NOT NULL,
	kind     TEXT    NOT NULL,
	resource TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	deleted  INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_seq ON changes (seq);
-- Objects that lie in a cluster because an invocation there asked for them.
CREATE TABLE pulled (
	id      INTEGER PRIMARY KEY,
	bucket  TEXT    NOT NULL,
	key     TEXT    NOT NULL,
	cluster TEXT    NOT NULL,
	size    INTEGER NOT NULL,
	etag    TEXT    NOT NULL,
	used_at INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	UNIQUE (bucket, key, cluster)
) STRICT;

-- Least recently used first: of all, of a cluster, of a bucket, of a bucket's cluster.
CREATE INDEX pulled_used ON pulled (used_at);
CREATE INDEX pulled_used_cluster ON pulled (cluster, used_at);
CREATE INDEX pulled_used_bucket ON pulled (bucket, used_at);
-- What has expired, however much has not.
CREATE INDEX pulled_until ON pulled (until);

-- Sums of pulled per cluster, kept by the triggers below.
CREATE TABLE pulled_sums (
	cluster TEXT    NOT NULL PRIMARY KEY,
	objects INTEGER NOT NULL,
	bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER pulled_added AFTER INSERT ON pulled BEGIN
	INSERT INTO pulled_sums (cluster, objects, bytes) VALUES (new.cluster, 1, new.size)
	ON CONFLICT (cluster) DO UPDATE SET objects = objects + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER pulled_changed AFTER UPDATE OF size ON pulled WHEN old.size <> new.size BEGIN
	UPDATE pulled_sums SET bytes = bytes + new.size - old.size WHERE cluster = new.cluster;
END;

CREATE TRIGGER pulled_removed AFTER DELETE ON pulled BEGIN
	UPDATE pulled_sums SET objects = objects - 1, bytes = bytes - old.size WHERE cluster = old.cluster;
	DELETE FROM pulled_sums WHERE cluster = old.cluster AND objects = 0;
END;

-- Multipart uploads begun and neither completed nor aborted.
CREATE TABLE uploads (
	bucket  TEXT    NOT NULL,
	key     TEXT    NOT NULL,
	cluster TEXT    NOT NULL,
	token   TEXT    NOT NULL,
	started INTEGER NOT NULL,
	PRIMARY KEY (bucket, key, cluster)
) STRICT, WITHOUT ROWID;
