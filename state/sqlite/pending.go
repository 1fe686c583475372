package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const pendingColumns = `id, bucket, key, cluster, gen, size, since, attempts, next_attempt, error, cause, hold, is_foreign, foreign_of, damaged, counted, gone, background, claimed_by, claim_until, due`

// queue implements [state.Queue].
type queue struct{ db *core }

func (s queue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	gens := make([]int64, len(rows))
	now := time.Now()
	err := s.db.write(ctx, "adding pending objects", progress, func(w *writer) error {
		last, _, err := one[int64](w, "UPDATE counters SET gen = gen + ? RETURNING gen", len(rows))
		if err != nil {
			return err
		}
		first := last - int64(len(rows)) + 1
		for i, p := range rows {
			gens[i] = first + int64(i)
			if err := addPending(w, p, gens[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.db.watch.Wake()
	return gens, nil
}

func addPending(w *writer, p state.Pending, gen int64, now time.Time) error {
	if p.Since.IsZero() {
		p.Since = now
	}
	_, err := w.exec(`INSERT INTO pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, error, hold, is_foreign, damaged, counted, background, gone, foreign_of, cause, claimed_by, claim_until)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?17, ?18, '', 0)
		ON CONFLICT (bucket, key, cluster) DO UPDATE SET
			gen = ?4, size = max(size, ?5), attempts = ?7, next_attempt = ?8, error = ?9, cause = ?18, hold = ?10,
			is_foreign = max(is_foreign, ?11), foreign_of = CASE ?17 WHEN '' THEN foreign_of ELSE ?17 END, damaged = max(damaged, ?12), counted = min(counted, ?13), background = min(background, ?14),
			gone = CASE WHEN gone = '' THEN ?15 WHEN ?15 = '' OR length(gone) + length(?15) > ?16 THEN gone ELSE gone || ' ' || ?15 END,
			claimed_by = '', claim_until = 0`,
		p.Bucket, p.Key, p.Cluster, gen, p.Size, stored.ToMillis(p.Since), p.Attempts, stored.ToMillis(p.NextAttempt), p.Error,
		string(p.Hold), p.Foreign != "", p.Damaged, p.Counted, p.Background, string(p.Gone), state.MaxVersionIDs, string(p.Foreign), string(p.Cause))
	return err
}

func (s queue) ClaimPending(ctx context.Context, node string, max int, lease time.Duration, now time.Time) ([]state.Pending, error) {
	return s.ClaimPendingIn(ctx, node, "", max, lease, now)
}

// ClaimPendingIn implements state.Queue; the cluster "" is any, where no buckets are named.
func (s queue) ClaimPendingIn(ctx context.Context, node, cluster string, max int, lease time.Duration, now time.Time, among ...string) ([]state.Pending, error) {
	if max <= 0 {
		return nil, nil
	}
	var claimed []state.Pending
	err := s.db.write(ctx, "claiming pending objects", progress, func(w *writer) error {
		// Freed first, rows whose claim ran out stand in line by when they were due.
		if _, err := w.exec("UPDATE pending SET claimed_by = '', claim_until = 0 WHERE claimed_by <> '' AND claim_until <= ?", stored.ToMillis(now)); err != nil {
			return err
		}
		claimed = nil
		for background := range 2 {
			rows, err := claimOf(w, background, node, cluster, max-len(claimed), now.Add(lease), now, among)
			if err != nil {
				return err
			}
			claimed = append(claimed, rows...)
			if len(claimed) == max {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// claimOf claims live (0) or background (1) rows. An UPDATE returns its rows in no
// particular order, so they are sorted here.
func claimOf(w *writer, background int, node, cluster string, max int, until, now time.Time, among []string) ([]state.Pending, error) {
	index, where := "pending_queue", ""
	args := []any{node, stored.ToMillis(until), background, stored.ToMillis(now), max}
	if cluster != "" {
		index, where = "pending_queue_cluster", " AND cluster = ?6"
		args = append(args, cluster)
	}
	ids := `SELECT id FROM pending INDEXED BY ` + index + `
			WHERE hold = '' AND claimed_by = ''` + where + ` AND background = ?3 AND due <= ?4 ORDER BY due, id LIMIT ?5`
	if len(among) > 0 {
		first, err := firstDue(w, background, cluster, max, now, among)
		if err != nil || len(first) == 0 {
			return nil, err
		}
		ids, args = "SELECT value FROM json_each(?3)", []any{node, stored.ToMillis(until), first.json()}
	}
	rows, err := collect(w, new(pendingRow).scanSorted, `UPDATE pending SET claimed_by = ?1, claim_until = ?2
		WHERE id IN (`+ids+`)
		RETURNING `+pendingColumns, args...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b sortedRow) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	claimed := make([]state.Pending, len(rows))
	for i, r := range rows {
		claimed[i] = r.Pending
	}
	return claimed, nil
}

// dueRow is a row by when it is due.
type dueRow struct{ due, id int64 }

type dueRows []dueRow

// json returns the rows' IDs as a JSON array.
func (rows dueRows) json() string {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = strconv.FormatInt(r.id, 10)
	}
	return "[" + strings.Join(ids, ",") + "]"
}

const firstDueOf = `SELECT due, id FROM pending INDEXED BY pending_queue_copy
	WHERE hold = '' AND claimed_by = '' AND cluster = ? AND bucket = ? AND background = ? AND due <= ? ORDER BY due, id LIMIT ?`

// firstDue returns the rows of some buckets that are to be claimed first, each bucket's looked up
// by itself, so that no row of another one is.
func firstDue(w *writer, background int, cluster string, max int, now time.Time, among []string) (first dueRows, err error) {
	for _, bucket := range among {
		rows, err := collect(w, func(r *sql.Rows) (d dueRow, err error) { return d, r.Scan(&d.due, &d.id) },
			firstDueOf, cluster, bucket, background, stored.ToMillis(now), max)
		if err != nil {
			return nil, err
		}
		first = append(first, rows...)
	}
	slices.SortFunc(first, func(a, b dueRow) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) })
	return first[:min(max, len(first))], nil
}

func (s queue) ExtendClaims(ctx context.Context, node string, until time.Time, rows ...state.PendingKey) (lost []state.PendingKey, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	err = s.db.write(ctx, "extending claims", progress, func(w *writer) error {
		for _, k := range rows {
			n, err := w.exec("UPDATE pending SET claim_until = ? WHERE bucket = ? AND key = ? AND cluster = ? AND gen = ? AND claimed_by = ?",
				stored.ToMillis(until), k.Bucket, k.Key, k.Cluster, k.Gen, node)
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, k)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// FinishPending implements state.Queue. AddPending has already released a row whose
// Gen moved on; a later claim of it stays.
func (s queue) FinishPending(ctx context.Context, rows ...state.PendingKey) ([]bool, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	removed := make([]bool, len(rows))
	err := s.db.write(ctx, "finishing pending objects", progress, func(w *writer) error {
		for i, k := range rows {
			n, err := w.exec("DELETE FROM pending WHERE bucket = ? AND key = ? AND cluster = ? AND gen = ?", k.Bucket, k.Key, k.Cluster, k.Gen)
			if err != nil {
				return err
			}
			if n == 0 {
				_, there, err := one[int64](w, "SELECT gen FROM pending WHERE bucket = ? AND key = ? AND cluster = ?", k.Bucket, k.Key, k.Cluster)
				if err != nil {
					return err
				}
				removed[i] = !there
				continue
			}
			removed[i] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

func (s queue) FailPending(ctx context.Context, rows ...state.Pending) error {
	if len(rows) == 0 {
		return nil
	}
	return s.db.write(ctx, "noting failed attempts", progress, func(w *writer) error {
		for _, p := range rows {
			if _, err := w.exec(`UPDATE pending SET attempts = ?, next_attempt = ?, error = ?, cause = ?, hold = ?, is_foreign = max(is_foreign, ?),
				foreign_of = CASE ? WHEN '' THEN foreign_of ELSE ? END, claimed_by = '', claim_until = 0
				WHERE bucket = ? AND key = ? AND cluster = ? AND gen = ?`,
				p.Attempts, stored.ToMillis(p.NextAttempt), p.Error, string(p.Cause), string(p.Hold), p.Foreign != "", string(p.Foreign), string(p.Foreign), p.Bucket, p.Key, p.Cluster, p.Gen); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s queue) ReleaseClaims(ctx context.Context, node string) error {
	err := s.db.write(ctx, "releasing claims", progress, func(w *writer) error {
		_, err := w.exec("UPDATE pending SET claimed_by = '', claim_until = 0 WHERE claimed_by <> '' AND claimed_by = ?", node)
		return err
	})
	if err == nil {
		s.db.watch.Wake()
	}
	return err
}

// RetryPending implements state.Queue. A row that is due earlier stays so.
func (s queue) RetryPending(ctx context.Context, f state.PendingFilter, now time.Time) (int, error) {
	f.Failed = true
	return s.touch(ctx, "retrying failed objects", "UPDATE pending SET next_attempt = min(next_attempt, ?) WHERE ", f, now)
}

func (s queue) Unhold(ctx context.Context, f state.PendingFilter, now time.Time) (int, error) {
	return s.touch(ctx, "releasing held objects", "UPDATE pending SET hold = '', next_attempt = ? WHERE hold <> '' AND ", f, now)
}

// touch updates the rows that match, and wakes those who wait for them.
func (s queue) touch(ctx context.Context, doing, update string, f state.PendingFilter, now time.Time) (int, error) {
	where, args := whereOf(f)
	var n int64
	err := s.db.write(ctx, doing, progress, func(w *writer) (err error) {
		n, err = w.exec(update+where, append([]any{stored.ToMillis(now)}, args...)...)
		return err
	})
	if err != nil {
		return 0, err
	}
	if n > 0 {
		s.db.watch.Wake()
	}
	return int(n), nil
}

// whereOf returns the condition of a filter. The terms about holds and failures are
// written as those of the partial indexes, which is what makes SQLite use them.
func whereOf(f state.PendingFilter) (string, []any) {
	terms := []string{"TRUE"}
	var args []any
	add := func(term string, arg ...any) { terms, args = append(terms, term), append(args, arg...) }
	if f.Bucket != "" {
		add("bucket = ?", f.Bucket)
	}
	if f.Cluster != "" {
		add("cluster = ?", f.Cluster)
	}
	if f.Hold != nil {
		if *f.Hold == state.HoldNone {
			add("hold = ''")
		} else {
			add("hold <> '' AND hold = ?", string(*f.Hold))
		}
	}
	if f.Failed {
		add("attempts > 0 AND hold = ''")
	}
	if f.Gone {
		add("gone <> ''")
	}
	return strings.Join(terms, " AND "), args
}

func (s queue) ListPending(ctx context.Context, f state.PendingFilter, after state.PendingKey, limit int) ([]state.Pending, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Pending
		text, args := listQuery(f, after, limit)
		if all, err = collect(s.db.r, new(pendingRow).scan, text, args...); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("listing pending objects", err)
}

// listQuery names the index to walk: in order of key, and no larger than it has to be.
func listQuery(f state.PendingFilter, after state.PendingKey, limit int) (string, []any) {
	where, args := whereOf(f)
	index := "sqlite_autoindex_pending_1" // UNIQUE (bucket, key, cluster)
	switch {
	case f.Gone:
		index = "pending_gone"
	case f.Failed:
		index = "pending_failing"
	case f.Hold != nil && *f.Hold != state.HoldNone:
		index = "pending_held"
	}
	switch {
	case f.Bucket == "" || after.Bucket > f.Bucket:
		where += " AND (bucket, key, cluster) > (?, ?, ?)"
		args = append(args, after.Bucket, after.Key, after.Cluster)
	case after.Bucket == f.Bucket:
		where += " AND (key, cluster) > (?, ?)"
		args = append(args, after.Key, after.Cluster)
	}
	return "SELECT " + pendingColumns + " FROM pending INDEXED BY " + index + " WHERE " + where +
		" ORDER BY bucket, key, cluster LIMIT ?", append(args, noLimit(limit))
}

// EachPending implements state.Queue. The order is that in which rows came up.
func (s queue) EachPending(ctx context.Context, f func(state.Pending) error) error {
	after := int64(0)
	return stored.Pages(func() (page []sortedRow, err error) {
		if err = s.db.reading(ctx); err == nil {
			page, err = collect(s.db.r, new(pendingRow).scanSorted, "SELECT "+pendingColumns+" FROM pending WHERE id > ? ORDER BY id LIMIT ?", after, stored.PageRows)
		}
		return page, s.db.wrap("reading pending objects", err)
	}, func(r sortedRow) error {
		after = r.id
		return f(r.Pending)
	})
}

// backlogSums walks the causes of a copy from one to the next, so that it looks at no more rows
// than there are causes.
const backlogSums = `SELECT bucket, cluster, objects, bytes, held_deletes, conflicts, failing,
	coalesce((SELECT min(since) FROM pending p WHERE p.bucket = b.bucket AND p.cluster = b.cluster), 0),
	CASE held_deletes WHEN 0 THEN 0 ELSE coalesce((SELECT min(since) FROM pending p INDEXED BY pending_held_deletes
		WHERE p.bucket = b.bucket AND p.cluster = b.cluster AND hold = 'deletes'), 0) END,
	CASE failing WHEN 0 THEN '' ELSE (
		WITH RECURSIVE oldest (id) AS (
			SELECT (SELECT id FROM pending p INDEXED BY pending_causes
				WHERE p.bucket = b.bucket AND p.cluster = b.cluster AND attempts > 0 AND hold = '' ORDER BY cause, since LIMIT 1)
			UNION ALL
			SELECT (SELECT id FROM pending p INDEXED BY pending_causes
				WHERE p.bucket = b.bucket AND p.cluster = b.cluster AND attempts > 0 AND hold = '' AND cause > was.cause ORDER BY cause, since LIMIT 1)
			FROM oldest JOIN pending was ON was.id = oldest.id)
		SELECT json_group_array(json_array(cause, since, error)) FROM oldest JOIN pending USING (id)) END
	FROM backlog b`

func (s queue) Backlogs(ctx context.Context, buckets ...string) ([]state.Backlog, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Backlog
		switch {
		case len(buckets) != 1:
			all, err = collect(s.db.r, stored.ScanBacklog[*sql.Rows], backlogSums+" WHERE bucket IN (SELECT value FROM json_each(?)) ORDER BY bucket, cluster", stored.EncodeNames(buckets))
		case buckets[0] == "":
			all, err = collect(s.db.r, stored.ScanBacklog[*sql.Rows], backlogSums+" WHERE bucket > '' ORDER BY bucket, cluster")
		default:
			all, err = collect(s.db.r, stored.ScanBacklog[*sql.Rows], backlogSums+" WHERE bucket = ? ORDER BY cluster", buckets[0])
		}
		if err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("summing pending objects", err)
}

func (s queue) BacklogTotal(ctx context.Context) (state.Backlog, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Backlog
		all, err = collect(s.db.r, stored.ScanBacklog[*sql.Rows], `SELECT bucket, cluster, objects, bytes, held_deletes, conflicts, failing,
			coalesce((SELECT min(since) FROM pending), 0), 0, '' FROM backlog WHERE bucket = '' AND cluster = ''`)
		if err == nil && len(all) > 0 {
			return all[0], nil
		}
	}
	return state.Backlog{}, s.db.wrap("summing pending objects", err)
}

// sortedRow is a row with what orders it.
type sortedRow struct {
	state.Pending
	id, due int64
}

// pendingRow scans rows of pendingColumns, reusing what it scans into.
type pendingRow struct {
	r                  sortedRow
	since, next, until int64
	foreign            bool
	dest               []any
}

func (r *pendingRow) scanSorted(rows *sql.Rows) (sortedRow, error) {
	if r.dest == nil {
		p := &r.r
		r.dest = []any{
			&p.id, &p.Bucket, &p.Key, &p.Cluster, &p.Gen, &p.Size, &r.since, &p.Attempts, &r.next, &p.Error,
			(*string)(&p.Cause), (*string)(&p.Hold), &r.foreign, (*string)(&p.Foreign), &p.Damaged, &p.Counted, (*string)(&p.Gone), &p.Background, &p.ClaimedBy, &r.until, &p.due,
		}
	}
	if err := rows.Scan(r.dest...); err != nil {
		return sortedRow{}, err
	}
	r.r.Foreign = stored.Foreign(r.foreign, r.r.Foreign)
	r.r.Since, r.r.NextAttempt, r.r.ClaimUntil = stored.FromMillis(r.since), stored.FromMillis(r.next), stored.FromMillis(r.until)
	return r.r, nil
}

func (r *pendingRow) scan(rows *sql.Rows) (state.Pending, error) {
	p, err := r.scanSorted(rows)
	return p.Pending, err
}
