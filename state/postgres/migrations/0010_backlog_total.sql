-- +goose Up
-- +goose StatementBegin
-- The sum of all pending rows, so that nobody adds up the sums of the copies, of which there
-- may be as many as buckets: the rows of backlog without names. Its oldest row is the first of
-- this index.
CREATE INDEX pending_age ON fado.pending (since);

INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
SELECT '', '', sum(objects), sum(bytes), sum(held_deletes), sum(conflicts), sum(failing) FROM fado.backlog HAVING sum(objects) > 0;

CREATE OR REPLACE FUNCTION fado.pending_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM added) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	SELECT coalesce(bucket, ''), coalesce(cluster, ''), count(*), sum(size), count(*) FILTER (WHERE hold = 'deletes'),
	       count(*) FILTER (WHERE hold = 'conflict'), count(*) FILTER (WHERE attempts > 0 AND hold = '')
	FROM added GROUP BY GROUPING SETS ((bucket, cluster), ());
	PERFORM fado.order_objects();
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pending', bucket, key, cluster, false FROM added;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION fado.pending_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	SELECT coalesce(bucket, ''), coalesce(cluster, ''), 0, sum(bytes), sum(held), sum(conflict), sum(failing) FROM (
		SELECT bucket, cluster, size AS bytes, (hold = 'deletes')::int AS held, (hold = 'conflict')::int AS conflict,
		       (attempts > 0 AND hold = '')::int AS failing FROM new_rows
		UNION ALL
		SELECT bucket, cluster, -size, -(hold = 'deletes')::int, -(hold = 'conflict')::int,
		       -(attempts > 0 AND hold = '')::int FROM old_rows) AS differences
	GROUP BY GROUPING SETS ((bucket, cluster), ())
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

CREATE OR REPLACE FUNCTION fado.pending_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM removed) THEN
		RETURN NULL;
	END IF;
	INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
	SELECT coalesce(bucket, ''), coalesce(cluster, ''), -count(*), -sum(size), -count(*) FILTER (WHERE hold = 'deletes'),
	       -count(*) FILTER (WHERE hold = 'conflict'), -count(*) FILTER (WHERE attempts > 0 AND hold = '')
	FROM removed GROUP BY GROUPING SETS ((bucket, cluster), ());
	PERFORM fado.order_objects();
	IF (SELECT count(*) FROM removed) > 50000 THEN
		PERFORM fado.skip_objects();
		RETURN NULL;
	END IF;
	INSERT INTO fado.object_changes (seq, kind, bucket, key, cluster, gone)
	SELECT nextval('fado.object_seq'), 'pending', bucket, key, cluster, true FROM removed;
	RETURN NULL;
END $$;
-- +goose StatementEnd
