package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const pendingColumns = `p.id, p.bucket, p.key, p.cluster, p.gen, p.size, p.since, p.attempts, p.next_attempt, p.error, p.cause, p.hold, p.is_foreign, p.foreign_of, p.damaged, p.counted, p.gone, p.background, p.claimed_by, p.claim_until, p.due`

// pendingArrays holds rows column by column, for unnest, in the order of their keys:
// every transaction locks rows in that order, which excludes deadlocks.
type pendingArrays struct {
	bucket, cluster, error, hold     []string
	key                              []blob
	gen, size, since, attempts, next []int64
	foreign, damaged                 []bool
	counted, background              []bool
	gone, foreignOf, cause           []string
}

func (a *pendingArrays) add(p state.Pending) {
	a.bucket, a.key, a.cluster, a.gen = append(a.bucket, p.Bucket), append(a.key, blob(p.Key)), append(a.cluster, p.Cluster), append(a.gen, p.Gen)
	a.size, a.since = append(a.size, p.Size), append(a.since, stored.ToMillis(p.Since))
	a.attempts, a.next = append(a.attempts, int64(p.Attempts)), append(a.next, stored.ToMillis(p.NextAttempt))
	a.error, a.hold = append(a.error, text(p.Error)), append(a.hold, string(p.Hold))
	a.foreign, a.damaged = append(a.foreign, p.Foreign != ""), append(a.damaged, p.Damaged)
	a.counted, a.background = append(a.counted, p.Counted), append(a.background, p.Background)
	a.gone, a.foreignOf, a.cause = append(a.gone, text(string(p.Gone))), append(a.foreignOf, text(string(p.Foreign))), append(a.cause, string(p.Cause))
}

// place names a row, whatever its generation.
type place struct{ bucket, key, cluster string }

func placeOf(p state.Pending) place       { return place{p.Bucket, p.Key, p.Cluster} }
func placeOfKey(k state.PendingKey) place { return place{k.Bucket, k.Key, k.Cluster} }
func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.key, b.key), cmp.Compare(a.cluster, b.cluster))
}

// merged returns one row per place, as adding them one after the other would leave them,
// in order of place; and which of the rows given were overtaken by a later one.
func merged(rows []state.Pending, now time.Time) (all []state.Pending, overtaken []int) {
	last := make(map[place]int, len(rows))
	sum := make(map[place]state.Pending, len(rows))
	for i, p := range rows {
		if p.Since.IsZero() {
			p.Since = now
		}
		at := placeOf(p)
		if first, twice := sum[at]; twice {
			overtaken = append(overtaken, last[at])
			p.Since, p.Size = first.Since, max(p.Size, first.Size)
			p.Foreign, p.Background = cmp.Or(p.Foreign, first.Foreign), p.Background && first.Background
			p.Damaged, p.Counted = p.Damaged || first.Damaged, p.Counted && first.Counted
			p.Gone = first.Gone.With(p.Gone)
		}
		sum[at], last[at] = p, i
	}
	for _, p := range sum {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b state.Pending) int { return comparePlaces(placeOf(a), placeOf(b)) })
	return all, overtaken
}

// addPending gives the number after the row is locked, so that it only ever grows.
const addPending = `INSERT INTO fado.pending AS p (bucket, key, cluster, gen, size, since, attempts, next_attempt, error, hold, is_foreign, damaged, counted, background, gone, foreign_of, cause, claimed_by, claim_until)
	SELECT n.bucket, n.key, n.cluster, fado.next_gen(), n.size, n.since, n.attempts, n.next_attempt, n.error, n.hold, n.is_foreign, n.damaged, n.counted, n.background, n.gone, n.foreign_of, n.cause, '', 0
	FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::bool[], $11::bool[],
		$12::bool[], $13::bool[], $14::text[], $16::text[], $17::text[])
		WITH ORDINALITY AS n (bucket, key, cluster, size, since, attempts, next_attempt, error, hold, is_foreign, damaged, counted, background, gone, foreign_of, cause, ord)
	ORDER BY n.ord
	ON CONFLICT (bucket, key, cluster) DO UPDATE SET
		gen = fado.next_gen(), size = greatest(p.size, excluded.size), attempts = excluded.attempts, next_attempt = excluded.next_attempt,
		error = excluded.error, cause = excluded.cause, hold = excluded.hold, is_foreign = p.is_foreign OR excluded.is_foreign,
		foreign_of = CASE excluded.foreign_of WHEN '' THEN p.foreign_of ELSE excluded.foreign_of END,
		damaged = p.damaged OR excluded.damaged, counted = p.counted AND excluded.counted,
		background = p.background AND excluded.background,
		gone = CASE WHEN p.gone = '' THEN excluded.gone WHEN excluded.gone = '' OR length(p.gone) + length(excluded.gone) > $15 THEN p.gone
			ELSE p.gone || ' ' || excluded.gone END,
		claimed_by = '', claim_until = 0
	RETURNING p.bucket, p.key, p.cluster, p.gen`

// queue implements [state.Queue].
type queue struct{ db *core }

// AddPending implements state.Queue. Where the database crashes before the rows are on
// disk, an error leaves them there or not: added again they are the same.
func (s queue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	all, overtaken := merged(rows, time.Now())
	var a pendingArrays
	for _, p := range all {
		a.add(p)
	}
	gens := make([]int64, len(rows))
	given := make(map[place]int64, len(all))
	err := s.db.write(ctx, "adding pending objects", func(ctx context.Context, q querier) error {
		var b pgx.Batch // one transaction
		for _, i := range overtaken {
			b.Queue("SELECT fado.next_gen()").QueryRow(func(row pgx.Row) error { return row.Scan(&gens[i]) })
		}
		b.Queue(addPending, a.bucket, a.key, a.cluster, a.size, a.since, a.attempts, a.next, a.error, a.hold, a.foreign, a.damaged, a.counted, a.background, a.gone, state.MaxVersionIDs, a.foreignOf, a.cause).Query(func(r pgx.Rows) error {
			for r.Next() {
				var at place
				var gen int64
				if err := r.Scan(&at.bucket, (*blob)(&at.key), &at.cluster, &gen); err != nil {
					return err
				}
				given[at] = gen
			}
			return r.Err()
		})
		if err := q.SendBatch(ctx, &b).Close(); err != nil {
			return err
		}
		return flush(ctx, q.(pooled).Conn())
	})
	if err != nil {
		return nil, err
	}
	for i, p := range rows {
		if gens[i] == 0 {
			gens[i] = given[placeOf(p)]
		}
	}
	s.db.watch.Wake()
	return gens, nil
}

func (s queue) ClaimPending(ctx context.Context, node string, max int, lease time.Duration, now time.Time) ([]state.Pending, error) {
	return s.ClaimPendingIn(ctx, node, "", max, lease, now)
}

// freeExpired frees rows whose claim ran out, so that they stand in line by when they
// were due.
const freeExpired = `UPDATE fado.pending SET claimed_by = '', claim_until = 0
	WHERE id IN (SELECT id FROM fado.pending WHERE claimed_by <> '' AND claim_until <= $1 FOR UPDATE SKIP LOCKED)`

// claimQuery claims live rows, then background ones. Rows that others are claiming are
// passed over, not waited for. What is chosen is looked up as an array: in a join the
// planner, who can't know the second limit, would walk the table.
func claimQuery(class func(where, limit string) string, ofCluster string) string {
	return `WITH live AS MATERIALIZED (` + class("background = false"+ofCluster, "$4::bigint") + `),
		back AS MATERIALIZED (` + class("background = true"+ofCluster, "$4::bigint - (SELECT count(*) FROM live)") + `)
		UPDATE fado.pending p SET claimed_by = $1, claim_until = $2
		WHERE p.id = ANY (ARRAY(SELECT id FROM live UNION ALL SELECT id FROM back))
		RETURNING ` + pendingColumns
}

// claimable selects rows of a class in the order in which they are due.
func claimable(where, limit string) string {
	return `SELECT id FROM fado.pending WHERE hold = '' AND claimed_by = '' AND ` + where + `
		AND due <= $3 ORDER BY due, id LIMIT ` + limit + ` FOR UPDATE SKIP LOCKED`
}

// claimableOf selects rows of a class of the buckets $6, the first of each looked up by itself, so
// that no row of another bucket is. Four times as many as are wanted leave some where others claim
// at the same time.
func claimableOf(where, limit string) string {
	return `SELECT id FROM fado.pending WHERE id = ANY (ARRAY(
			SELECT c.id FROM unnest($6::text[]) AS b (name) CROSS JOIN LATERAL (
				SELECT id, due FROM fado.pending WHERE hold = '' AND claimed_by = '' AND ` + where + ` AND bucket = b.name
				AND due <= $3 ORDER BY due, id LIMIT 4 * $4::bigint) c
			ORDER BY c.due, c.id LIMIT 4 * $4::bigint))
		AND hold = '' AND claimed_by = '' ORDER BY due, id LIMIT ` + limit + ` FOR UPDATE SKIP LOCKED`
}

var (
	claimAny   = claimQuery(claimable, "")
	claimIn    = claimQuery(claimable, " AND cluster = $5")
	claimAmong = claimQuery(claimableOf, " AND cluster = $5")
)

// ClaimPendingIn implements state.Queue; the cluster "" is any, where no buckets are named. The times are the
// caller's: instances whose clocks differ by a part of the lease may take claims early.
func (s queue) ClaimPendingIn(ctx context.Context, node, cluster string, max int, lease time.Duration, now time.Time, among ...string) ([]state.Pending, error) {
	if max <= 0 {
		return nil, nil
	}
	claim, args := claimAny, []any{node, stored.ToMillis(now.Add(lease)), stored.ToMillis(now), max}
	switch {
	case len(among) > 0:
		claim, args = claimAmong, append(args, cluster, among)
	case cluster != "":
		claim, args = claimIn, append(args, cluster)
	}
	var claimed []sortedRow
	err := s.db.write(ctx, "claiming pending objects", func(ctx context.Context, q querier) error {
		var b pgx.Batch
		b.Queue(freeExpired, stored.ToMillis(now))
		b.Queue(claim, args...).Query(func(rows pgx.Rows) (err error) {
			claimed, err = collectRows(rows, scanSorted)
			return err
		})
		return q.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b sortedRow) int { // an UPDATE returns rows in no order
		switch {
		case a.Background != b.Background && b.Background:
			return -1
		case a.Background != b.Background:
			return 1
		}
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	all := make([]state.Pending, len(claimed))
	for i, r := range claimed {
		all[i] = r.Pending
	}
	return all, nil
}

// keyArrays gives rows' names in order of place.
func keyArrays(keys []state.PendingKey) (a pendingArrays) {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b state.PendingKey) int {
		return cmp.Or(comparePlaces(placeOfKey(a), placeOfKey(b)), cmp.Compare(a.Gen, b.Gen))
	})
	for _, k := range slices.Compact(sorted) {
		a.add(state.Pending{Bucket: k.Bucket, Key: k.Key, Cluster: k.Cluster, Gen: k.Gen})
	}
	return a
}

// lockRows locks the rows named, those at the very generation, in order.
const lockRows = `WITH named AS MATERIALIZED (
		SELECT p.id FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[]) WITH ORDINALITY AS n (bucket, key, cluster, gen, ord)
		JOIN fado.pending p ON p.bucket = n.bucket AND p.key = n.key AND p.cluster = n.cluster AND p.gen = n.gen
		ORDER BY n.ord FOR UPDATE OF p) `

func scanKey(rows pgx.Rows) (k state.PendingKey, err error) {
	return k, rows.Scan(&k.Bucket, (*blob)(&k.Key), &k.Cluster, &k.Gen)
}

func (s queue) ExtendClaims(ctx context.Context, node string, until time.Time, rows ...state.PendingKey) (lost []state.PendingKey, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	a := keyArrays(rows)
	var kept []state.PendingKey
	err = s.db.read(ctx, "extending claims", func(ctx context.Context, q querier) (err error) {
		kept, err = collect(ctx, q, scanKey, lockRows+`UPDATE fado.pending p SET claim_until = $5 FROM named
			WHERE p.id = named.id AND p.claimed_by = $6 RETURNING p.bucket, p.key, p.cluster, p.gen`,
			a.bucket, a.key, a.cluster, a.gen, stored.ToMillis(until), node)
		return err
	})
	if err != nil {
		return nil, err
	}
	has := setOf(kept)
	for _, k := range rows {
		if !has[k] {
			lost = append(lost, k)
		}
	}
	return lost, nil
}

func setOf(keys []state.PendingKey) map[state.PendingKey]bool {
	set := make(map[state.PendingKey]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set
}

// finishRows is how many rows one transaction removes: the log's numbers are held that
// long.
const finishRows = 5000

// FinishPending implements state.Queue. AddPending has already released a row whose Gen
// moved on; a later claim of it stays.
func (s queue) FinishPending(ctx context.Context, rows ...state.PendingKey) ([]bool, error) {
	var removed []bool
	for part := range slices.Chunk(rows, finishRows) {
		done, err := s.finishPart(ctx, part)
		if err != nil {
			return nil, err
		}
		removed = append(removed, done...)
	}
	return removed, nil
}

func (s queue) finishPart(ctx context.Context, rows []state.PendingKey) ([]bool, error) {
	a := keyArrays(rows)
	var gone, left []state.PendingKey
	err := s.db.read(ctx, "finishing pending objects", func(ctx context.Context, q querier) error {
		into := func(keys *[]state.PendingKey) func(pgx.Rows) error {
			return func(rows pgx.Rows) (err error) {
				*keys, err = collectRows(rows, scanKey)
				return err
			}
		}
		var b pgx.Batch
		b.Queue(lockRows+"DELETE FROM fado.pending p USING named WHERE p.id = named.id RETURNING p.bucket, p.key, p.cluster, p.gen",
			a.bucket, a.key, a.cluster, a.gen).Query(into(&gone))
		b.Queue(`SELECT p.bucket, p.key, p.cluster, p.gen FROM unnest($1::text[], $2::bytea[], $3::text[]) AS n (bucket, key, cluster)
			JOIN fado.pending p ON p.bucket = n.bucket AND p.key = n.key AND p.cluster = n.cluster`,
			a.bucket, a.key, a.cluster).Query(into(&left))
		return q.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return nil, err
	}
	return finished(rows, gone, left), nil
}

// finished says for each row named whether it went, as if they had been finished one
// after the other: of a row named at several generations only the right one removes it.
func finished(rows, gone, left []state.PendingKey) []bool {
	there := make(map[place]int64, len(gone)+len(left)) // at which generation
	for _, k := range append(left, gone...) {
		there[placeOfKey(k)] = k.Gen
	}
	went := setOf(gone)
	removed := make([]bool, len(rows))
	for i, k := range rows {
		if went[k] {
			delete(there, placeOfKey(k))
		}
		_, still := there[placeOfKey(k)]
		removed[i] = !still
	}
	return removed
}

func (s queue) FailPending(ctx context.Context, rows ...state.Pending) error {
	if len(rows) == 0 {
		return nil
	}
	last := make(map[state.PendingKey]state.Pending, len(rows)) // of a row given twice the later counts
	for _, p := range rows {
		p.Foreign = cmp.Or(p.Foreign, last[p.RowKey()].Foreign)
		last[p.RowKey()] = p
	}
	all := make([]state.Pending, 0, len(last))
	for _, p := range last {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b state.Pending) int { return comparePlaces(placeOf(a), placeOf(b)) })
	var a pendingArrays
	for _, p := range all {
		a.add(p)
	}
	return s.db.read(ctx, "noting failed attempts", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, `WITH named AS MATERIALIZED (
				SELECT p.id, n.* FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bool[], $10::text[], $11::text[])
					WITH ORDINALITY AS n (bucket, key, cluster, gen, attempts, next_attempt, error, hold, is_foreign, foreign_of, cause, ord)
				JOIN fado.pending p ON p.bucket = n.bucket AND p.key = n.key AND p.cluster = n.cluster AND p.gen = n.gen
				ORDER BY n.ord FOR UPDATE OF p)
			UPDATE fado.pending p SET attempts = named.attempts, next_attempt = named.next_attempt, error = named.error, cause = named.cause, hold = named.hold,
				is_foreign = p.is_foreign OR named.is_foreign, foreign_of = CASE named.foreign_of WHEN '' THEN p.foreign_of ELSE named.foreign_of END, claimed_by = '', claim_until = 0
			FROM named WHERE p.id = named.id`,
			a.bucket, a.key, a.cluster, a.gen, a.attempts, a.next, a.error, a.hold, a.foreign, a.foreignOf, a.cause)
		return err
	})
}

// sortedRow is a row with what orders it.
type sortedRow struct {
	state.Pending
	id, due int64
}

func scanSorted(rows pgx.Rows) (r sortedRow, err error) {
	var since, next, until int64
	var foreign bool
	err = rows.Scan(&r.id, &r.Bucket, (*blob)(&r.Key), &r.Cluster, &r.Gen, &r.Size, &since, &r.Attempts, &next, &r.Error,
		(*string)(&r.Cause), (*string)(&r.Hold), &foreign, (*string)(&r.Foreign), &r.Damaged, &r.Counted, (*string)(&r.Gone), &r.Background, &r.ClaimedBy, &until, &r.due)
	r.Foreign = stored.Foreign(foreign, r.Foreign)
	r.Since, r.NextAttempt, r.ClaimUntil = stored.FromMillis(since), stored.FromMillis(next), stored.FromMillis(until)
	return r, err
}

func scanPending(rows pgx.Rows) (state.Pending, error) {
	r, err := scanSorted(rows)
	return r.Pending, err
}
