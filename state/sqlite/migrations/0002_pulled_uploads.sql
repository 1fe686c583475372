-- +goose Up
-- +goose StatementBegin
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
-- +goose StatementEnd
