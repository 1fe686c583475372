-- +goose Up
-- +goose StatementBegin
ALTER TABLE fado.pending ADD COLUMN damaged boolean NOT NULL DEFAULT false, ADD COLUMN counted boolean NOT NULL DEFAULT false;
-- What the columns say now was said by these before. It is no news to readers of the log.
ALTER TABLE fado.pending DISABLE TRIGGER pending_changed;
UPDATE fado.pending SET counted = background, damaged = error LIKE 'the bytes are damaged%'
WHERE background OR error LIKE 'the bytes are damaged%';
ALTER TABLE fado.pending ENABLE TRIGGER pending_changed;

-- Sums of copies per cluster and state, as backlog is of pending.
CREATE TABLE fado.copy_sums (
	cluster text    COLLATE "C" NOT NULL,
	state   text    COLLATE "C" NOT NULL,
	copies  bigint  NOT NULL,
	objects bigint  NOT NULL,
	bytes   bigint  NOT NULL,
	folded  boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX copy_sums_pair ON fado.copy_sums (cluster, state);
CREATE INDEX copy_sums_loose ON fado.copy_sums (cluster, state) WHERE NOT folded;

-- Buckets that have copies in a cluster, as the sums above. Changes of copies take turns
-- (fado.counters), so that none misses what another one adds.
CREATE TABLE fado.bucket_sums (
	cluster text    COLLATE "C" NOT NULL,
	buckets bigint  NOT NULL,
	folded  boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX bucket_sums_loose ON fado.bucket_sums (cluster) WHERE NOT folded;

CREATE FUNCTION fado.copies_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO fado.copy_sums (cluster, state, copies, objects, bytes)
	SELECT cluster, state, count(*), sum(objects), sum(bytes) FROM added GROUP BY cluster, state;
	INSERT INTO fado.bucket_sums (cluster, buckets)
	SELECT cluster, count(*) FROM (SELECT DISTINCT bucket, cluster FROM added) AS n
	WHERE NOT EXISTS (SELECT FROM fado.copies c WHERE c.bucket = n.bucket AND c.cluster = n.cluster
		AND (c.bucket, c.prefix, c.cluster) NOT IN (SELECT bucket, prefix, cluster FROM added))
	GROUP BY cluster;
	RETURN NULL;
END $$;
CREATE TRIGGER copies_added AFTER INSERT ON fado.copies
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION fado.copies_added();

CREATE FUNCTION fado.copies_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO fado.copy_sums (cluster, state, copies, objects, bytes)
	SELECT cluster, state, sum(copies), sum(objects), sum(bytes) FROM (
		SELECT cluster, state, 1 AS copies, objects, bytes FROM new_rows
		UNION ALL
		SELECT cluster, state, -1, -objects, -bytes FROM old_rows) AS differences
	GROUP BY cluster, state
	HAVING sum(copies) <> 0 OR sum(objects) <> 0 OR sum(bytes) <> 0;
	RETURN NULL;
END $$;
CREATE TRIGGER copies_changed AFTER UPDATE ON fado.copies
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION fado.copies_changed();

CREATE FUNCTION fado.copies_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO fado.copy_sums (cluster, state, copies, objects, bytes)
	SELECT cluster, state, -count(*), -sum(objects), -sum(bytes) FROM removed GROUP BY cluster, state;
	INSERT INTO fado.bucket_sums (cluster, buckets)
	SELECT cluster, -count(*) FROM (SELECT DISTINCT bucket, cluster FROM removed) AS n
	WHERE NOT EXISTS (SELECT FROM fado.copies c WHERE c.bucket = n.bucket AND c.cluster = n.cluster)
	GROUP BY cluster;
	RETURN NULL;
END $$;
CREATE TRIGGER copies_removed AFTER DELETE ON fado.copies
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION fado.copies_removed();

INSERT INTO fado.copy_sums (cluster, state, copies, objects, bytes, folded)
SELECT cluster, state, count(*), sum(objects), sum(bytes), true FROM fado.copies GROUP BY cluster, state;
INSERT INTO fado.bucket_sums (cluster, buckets, folded) SELECT cluster, count(DISTINCT bucket), true FROM fado.copies GROUP BY cluster;

-- One row: raised by what people ask for, so that a lost notification is noticed.
CREATE TABLE fado.news (
	id      boolean PRIMARY KEY CHECK (id),
	version bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO fado.news (id, version) VALUES (true, 0);

-- Purges under way. They outlive their bucket.
CREATE TABLE fado.purges (
	id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	bucket          text   COLLATE "C" NOT NULL UNIQUE,
	mode            text   NOT NULL,
	primary_cluster text   NOT NULL,
	since           bigint NOT NULL
);

CREATE TABLE fado.purge_targets (
	bucket      text    COLLATE "C" NOT NULL,
	cluster     text    COLLATE "C" NOT NULL,
	is_primary  boolean NOT NULL,
	made_bucket boolean NOT NULL,
	verified    boolean NOT NULL,
	owned_until bigint  NOT NULL,
	pulled_only boolean NOT NULL,
	PRIMARY KEY (bucket, cluster)
);

CREATE TABLE fado.purge_keys (
	bucket  text  COLLATE "C" NOT NULL,
	cluster text  COLLATE "C" NOT NULL,
	key     bytea NOT NULL,
	etag    text  NOT NULL, -- of an object copied on demand; '' for a key in conflict
	PRIMARY KEY (bucket, cluster, key)
);

-- What people decided about conflicts, until it is carried out.
CREATE TABLE fado.resolutions (
	id        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	bucket    text    COLLATE "C" NOT NULL,
	key       bytea   NOT NULL, -- '' for all
	winner    text    NOT NULL,
	discard   boolean NOT NULL,
	asked     bigint  NOT NULL,
	after_key bytea   NOT NULL,
	resolved  bigint  NOT NULL,
	refused   bigint  NOT NULL
);
CREATE INDEX resolutions_bucket ON fado.resolutions (bucket);

-- Deletes that people confirmed.
CREATE TABLE fado.delete_allowances (
	bucket  text   COLLATE "C" NOT NULL,
	prefix  bytea  NOT NULL,
	cluster text   COLLATE "C" NOT NULL,
	remains bigint NOT NULL,
	until   bigint NOT NULL,
	PRIMARY KEY (bucket, prefix, cluster)
) WITH (fillfactor = 70);

-- The last verification of each bucket, or the one under way.
CREATE TABLE fado.verifications (
	bucket       text    COLLATE "C" PRIMARY KEY,
	node         text    NOT NULL,
	under_way    boolean NOT NULL,
	state        text    NOT NULL,
	deep         boolean NOT NULL,
	error        text    NOT NULL,
	started      bigint  NOT NULL,
	finished     bigint  NOT NULL,
	objects      bigint  NOT NULL,
	bytes        bigint  NOT NULL,
	total        bigint  NOT NULL,
	total_bytes  bigint  NOT NULL,
	mismatches   bigint  NOT NULL,
	repaired     bigint  NOT NULL,
	unrepairable bigint  NOT NULL,
	done         text    NOT NULL, -- steps, a JSON array
	step         bytea   NOT NULL,
	cursor       bytea   NOT NULL,
	step_objects bigint  NOT NULL,
	step_bytes   bigint  NOT NULL,
	damage       text    NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX verifications_under_way ON fado.verifications (bucket) WHERE under_way;
CREATE INDEX verifications_damaged ON fado.verifications (bucket) WHERE damage <> '';

CREATE TABLE fado.mismatches (
	bucket  text  COLLATE "C" NOT NULL,
	key     bytea NOT NULL,
	cluster text  COLLATE "C" NOT NULL,
	reason  text  NOT NULL,
	state   text  COLLATE "C" NOT NULL,
	PRIMARY KEY (bucket, key, cluster)
);
CREATE INDEX mismatches_state ON fado.mismatches (bucket, state, key, cluster);

-- What instances tell each other.
CREATE TABLE fado.reports (
	name text   COLLATE "C" PRIMARY KEY,
	body text   NOT NULL,
	at   bigint NOT NULL
) WITH (fillfactor = 50);

-- The switch that holds replication, and where the verification of all buckets stands.
CREATE TABLE fado.engine (
	id            boolean PRIMARY KEY CHECK (id),
	paused        boolean NOT NULL,
	scrub_last    bigint  NOT NULL,
	scrub_running boolean NOT NULL,
	scrub_after   text    NOT NULL
) WITH (fillfactor = 50);
INSERT INTO fado.engine (id, paused, scrub_last, scrub_running, scrub_after) VALUES (true, false, 0, false, '');
-- +goose StatementEnd
