-- Everything lies in the schema fado, and is named with it: search_path is the
-- session's, and a pooler may hand sessions on.
--
-- Times are Unix milliseconds in UTC; 0 is no time. Keys, prefixes and cursors are
-- bytea: they are whatever bytes a storage lists, they compare as S3 orders keys, and
-- text could hold neither a NUL nor anything that is not UTF-8. (To read them:
-- convert_from(key, 'UTF8').) Other text compares by its bytes, too, whatever the
-- collation of the database.

-- One row. Whoever raises seq holds it until the commit, so that numbers become visible
-- in order.
CREATE TABLE fado.counters (
	id              boolean PRIMARY KEY CHECK (id),
	seq             bigint  NOT NULL, -- of the last committed change
	changes_trimmed bigint  NOT NULL, -- changes up to this one are no longer kept
	objects_trimmed bigint  NOT NULL  -- the same of object_changes
) WITH (fillfactor = 10);
INSERT INTO fado.counters (id, seq, changes_trimmed, objects_trimmed) VALUES (true, 0, 0, 0);

CREATE TABLE fado.meta (
	key     text   COLLATE "C" PRIMARY KEY,
	value   text   NOT NULL,
	version bigint NOT NULL -- raised by every write
);

-- What opens the sealed secrets, beside the key.
CREATE TABLE fado.seal (
	id     boolean PRIMARY KEY CHECK (id),
	header text    NOT NULL
);

CREATE TABLE fado.resources (
	kind text   COLLATE "C" NOT NULL,
	name text   COLLATE "C" NOT NULL,
	rev  bigint NOT NULL,
	body text   NOT NULL, -- JSON, secrets sealed
	refs text   NOT NULL, -- 'policy/gold cluster/c1'
	PRIMARY KEY (kind, name)
);

-- resources.refs turned round, for "what refers to this".
CREATE TABLE fado.referrers (
	to_kind text COLLATE "C" NOT NULL,
	to_name text COLLATE "C" NOT NULL,
	kind    text COLLATE "C" NOT NULL,
	name    text COLLATE "C" NOT NULL,
	PRIMARY KEY (to_kind, to_name, kind, name)
);
CREATE INDEX referrers_from ON fado.referrers (kind, name);

CREATE TABLE fado.copies (
	bucket      text   COLLATE "C" NOT NULL,
	prefix      bytea  NOT NULL,
	cluster     text   COLLATE "C" NOT NULL,
	state       text   NOT NULL,
	flags       bigint NOT NULL, -- 1 primary, 2 made_bucket, 4 held_deletes, 8 former_primary
	cursor      bytea  NOT NULL,
	objects     bigint NOT NULL,
	bytes       bigint NOT NULL,
	error       text   NOT NULL,
	verified_at bigint NOT NULL,
	scan_cursor bytea  NOT NULL,
	owned_until bigint NOT NULL,
	drain_since bigint NOT NULL,
	PRIMARY KEY (bucket, prefix, cluster)
) WITH (fillfactor = 70);

CREATE TABLE fado.changes (
	seq      bigint  NOT NULL,
	ord      bigint  NOT NULL,
	kind     text    NOT NULL,
	resource text    NOT NULL,
	name     text    NOT NULL,
	deleted  boolean NOT NULL,
	PRIMARY KEY (seq, ord)
);

-- Generations: the low 20 bits are random. A power cut may take the last moments of a
-- sequence with the transactions that used it; the numbers come again then, and a worker
-- that outlived the database must not take the new row for its own.
CREATE SEQUENCE fado.pending_gen;

CREATE FUNCTION fado.next_gen() RETURNS bigint LANGUAGE sql VOLATILE
	AS $$ SELECT nextval('fado.pending_gen') << 20 | (random() * 1048575)::bigint $$;

CREATE TABLE fado.pending (
	id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	bucket       text    COLLATE "C" NOT NULL,
	key          bytea   NOT NULL,
	cluster      text    COLLATE "C" NOT NULL,
	gen          bigint  NOT NULL,
	size         bigint  NOT NULL,
	since        bigint  NOT NULL,
	attempts     bigint  NOT NULL,
	next_attempt bigint  NOT NULL,
	error        text    NOT NULL,
	hold         text    COLLATE "C" NOT NULL,
	is_foreign   boolean NOT NULL,
	background   boolean NOT NULL,
	claimed_by   text    COLLATE "C" NOT NULL,
	claim_until  bigint  NOT NULL,
	due          bigint  NOT NULL GENERATED ALWAYS AS (CASE next_attempt WHEN 0 THEN since ELSE next_attempt END) STORED,
	UNIQUE (bucket, key, cluster)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Rows that may be claimed, in the order in which they are.
CREATE INDEX pending_queue ON fado.pending (background, due, id) WHERE hold = '' AND claimed_by = '';
CREATE INDEX pending_queue_cluster ON fado.pending (cluster, background, due, id) WHERE hold = '' AND claimed_by = '';
-- Claims, to free those of one who is gone, and those that ran out.
CREATE INDEX pending_claims ON fado.pending (claimed_by) WHERE claimed_by <> '';
CREATE INDEX pending_claims_until ON fado.pending (claim_until) WHERE claimed_by <> '';
-- The oldest row of a copy.
CREATE INDEX pending_since ON fado.pending (bucket, cluster, since);
-- What people look at: failing and held rows, however many others there are.
CREATE INDEX pending_failing ON fado.pending (bucket, key, cluster) WHERE attempts > 0 AND hold = '';
CREATE INDEX pending_failing_copy ON fado.pending (bucket, cluster) WHERE attempts > 0 AND hold = '';
CREATE INDEX pending_held ON fado.pending (bucket, key, cluster) WHERE hold <> '';

-- Sums of pending per copy. A transaction adds what it changes as rows of its own, so
-- that instances do not wait for each other; fado.fold adds them up now and then.
CREATE TABLE fado.backlog (
	bucket       text    COLLATE "C" NOT NULL,
	cluster      text    COLLATE "C" NOT NULL,
	objects      bigint  NOT NULL,
	bytes        bigint  NOT NULL,
	held_deletes bigint  NOT NULL,
	conflicts    bigint  NOT NULL,
	failing      bigint  NOT NULL,
	folded       boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX backlog_copy ON fado.backlog (bucket, cluster);
CREATE INDEX backlog_loose ON fado.backlog (bucket, cluster) WHERE NOT folded;

-- Objects that lie in a cluster because an invocation there asked for them.
CREATE TABLE fado.pulled (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	bucket  text   COLLATE "C" NOT NULL,
	key     bytea  NOT NULL,
	cluster text   COLLATE "C" NOT NULL,
	size    bigint NOT NULL,
	etag    text   NOT NULL,
	used_at bigint NOT NULL,
	until   bigint NOT NULL,
	UNIQUE (bucket, key, cluster)
);
CREATE INDEX pulled_used ON fado.pulled (used_at, id);
CREATE INDEX pulled_used_cluster ON fado.pulled (cluster, used_at, id);
CREATE INDEX pulled_used_bucket ON fado.pulled (bucket, used_at, id);
CREATE INDEX pulled_until ON fado.pulled (until);

-- Sums of pulled per cluster, as backlog is of pending.
CREATE TABLE fado.pulled_sums (
	cluster text    COLLATE "C" NOT NULL,
	bytes   bigint  NOT NULL,
	objects bigint  NOT NULL,
	folded  boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX pulled_sums_loose ON fado.pulled_sums (cluster) WHERE NOT folded;

-- Multipart uploads begun and neither completed nor aborted.
CREATE TABLE fado.uploads (
	bucket  text   COLLATE "C" NOT NULL,
	key     bytea  NOT NULL,
	cluster text   COLLATE "C" NOT NULL,
	token   text   NOT NULL,
	started bigint NOT NULL,
	PRIMARY KEY (bucket, key, cluster)
);

-- What became an exception to "as the copies' states say", and what ceased to be one.
CREATE SEQUENCE fado.object_seq;
CREATE TABLE fado.object_changes (
	seq     bigint  PRIMARY KEY,
	kind    text    NOT NULL,
	bucket  text    NOT NULL,
	key     bytea   NOT NULL,
	cluster text    NOT NULL,
	gone    boolean NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Instances. A row is a lease: it is removed when it ended, with the locks it holds,
-- and can't be renewed after.
CREATE TABLE fado.members (
	id          text        COLLATE "C" PRIMARY KEY,
	node        text        NOT NULL,
	joined      boolean     NOT NULL, -- routes, so that others wait until it has seen changes
	changes     bigint      NOT NULL,
	objects     bigint      NOT NULL,
	lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE fado.locks (
	name   text COLLATE "C" PRIMARY KEY,
	member text COLLATE "C" NOT NULL REFERENCES fado.members (id) ON DELETE CASCADE
);
CREATE INDEX locks_member ON fado.locks (member);

-- What a statement changed in pending goes to the sums and to the log. Numbers of the
-- log are given under a lock that lasts until the commit, so that they become visible in
-- order; statements that change rows are the last of their transactions, which keeps it
-- short. (The lock's numbers are "FaDO" in ASCII, and 1.)
CREATE FUNCTION fado.order_objects() RETURNS void LANGUAGE sql VOLATILE
	AS $$ SELECT pg_advisory_xact_lock(1180779599, 1); SELECT pg_notify('fado', 'objects') $$;

-- A statement that changes more than the log would keep is not logged: readers are told
-- to load everything.
CREATE FUNCTION fado.skip_objects() RETURNS void LANGUAGE sql VOLATILE
	AS $$ UPDATE fado.counters SET objects_trimmed = nextval('fado.object_seq') $$;

CREATE FUNCTION fado.pending_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM added) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	SELECT bucket, cluster, count(*), sum(size), count(*) FILTER (WHERE hold = 'deletes'),
	       count(*) FILTER (WHERE hold = 'conflict'), count(*) FILTER (WHERE attempts > 0 AND hold = '')
	FROM added GROUP BY bucket, cluster;
	PERFORM fado.order_objects();
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pending', bucket, key, cluster, false FROM added;
	RETURN NULL;
END $$;
CREATE TRIGGER pending_added AFTER INSERT ON fado.pending
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION fado.pending_added();

CREATE FUNCTION fado.pending_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	SELECT bucket, cluster, 0, sum(bytes), sum(held), sum(conflict), sum(failing) FROM (
		SELECT bucket, cluster, size AS bytes, (hold = 'deletes')::int AS held, (hold = 'conflict')::int AS conflict,
		       (attempts > 0 AND hold = '')::int AS failing FROM new_rows
		UNION ALL
		SELECT bucket, cluster, -size, -(hold = 'deletes')::int, -(hold = 'conflict')::int,
		       -(attempts > 0 AND hold = '')::int FROM old_rows) AS differences
	GROUP BY bucket, cluster
	HAVING sum(bytes) <> 0 OR sum(held) <> 0 OR sum(conflict) <> 0 OR sum(failing) <> 0;
	IF NOT EXISTS (SELECT FROM new_rows n JOIN old_rows o USING (id) WHERE n.gen <> o.gen) THEN
		RETURN NULL;
	END IF;
	PERFORM fado.order_objects();
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pending', n.bucket, n.key, n.cluster, false
	FROM new_rows n JOIN old_rows o USING (id) WHERE n.gen <> o.gen;
	RETURN NULL;
END $$;
CREATE TRIGGER pending_changed AFTER UPDATE ON fado.pending
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION fado.pending_changed();

CREATE FUNCTION fado.pending_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM removed) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	SELECT bucket, cluster, -count(*), -sum(size), -count(*) FILTER (WHERE hold = 'deletes'),
	       -count(*) FILTER (WHERE hold = 'conflict'), -count(*) FILTER (WHERE attempts > 0 AND hold = '')
	FROM removed GROUP BY bucket, cluster;
	PERFORM fado.order_objects();
	IF (SELECT count(*) FROM removed) > 50000 THEN
		PERFORM fado.skip_objects();
		RETURN NULL;
	END IF;
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pending', bucket, key, cluster, true FROM removed;
	RETURN NULL;
END $$;
CREATE TRIGGER pending_removed AFTER DELETE ON fado.pending
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION fado.pending_removed();

CREATE FUNCTION fado.pulled_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM added) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.pulled_sums (cluster, bytes, objects) SELECT cluster, sum(size), count(*) FROM added GROUP BY cluster;
	PERFORM fado.order_objects();
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pulled', bucket, key, cluster, false FROM added;
	RETURN NULL;
END $$;
CREATE TRIGGER pulled_added AFTER INSERT ON fado.pulled
	REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION fado.pulled_added();

-- A use (used_at, until) is no exception to anything, and not logged.
CREATE FUNCTION fado.pulled_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM new_rows n JOIN old_rows o USING (id) WHERE n.size <> o.size OR n.etag <> o.etag) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.pulled_sums (cluster, bytes, objects)
	SELECT n.cluster, sum(n.size - o.size), 0 FROM new_rows n JOIN old_rows o USING (id) GROUP BY n.cluster;
	PERFORM fado.order_objects();
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pulled', n.bucket, n.key, n.cluster, false
	FROM new_rows n JOIN old_rows o USING (id) WHERE n.size <> o.size OR n.etag <> o.etag;
	RETURN NULL;
END $$;
CREATE TRIGGER pulled_changed AFTER UPDATE ON fado.pulled
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION fado.pulled_changed();

CREATE FUNCTION fado.pulled_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM removed) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.pulled_sums (cluster, bytes, objects) SELECT cluster, -sum(size), -count(*) FROM removed GROUP BY cluster;
	PERFORM fado.order_objects();
	IF (SELECT count(*) FROM removed) > 50000 THEN
		PERFORM fado.skip_objects();
		RETURN NULL;
	END IF;
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pulled', bucket, key, cluster, true FROM removed;
	RETURN NULL;
END $$;
CREATE TRIGGER pulled_removed AFTER DELETE ON fado.pulled
	REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION fado.pulled_removed();
