package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const verificationColumns = `bucket, node, under_way, state, deep, error, started, finished, objects, bytes, total, total_bytes,
	mismatches, repaired, unrepairable, done, step, cursor, step_objects, step_bytes, damage`

// verifications implements [state.Verifications].
type verifications struct{ db *core }

func (s verifications) UpdateVerification(ctx context.Context, bucket string, f func(v *state.Verification) error) (state.Verification, error) {
	const doing = "noting a verification"
	if err := s.db.w.take(ctx); err != nil {
		return state.Verification{}, s.db.wrap(doing, err)
	}
	defer s.db.w.give()
	before, _, err := verificationOf(s.db.w, bucket) // nothing else writes meanwhile
	if err != nil {
		return state.Verification{}, s.db.wrap(doing, err)
	}
	v := before
	if err := f(&v); err != nil {
		return state.Verification{}, err
	}
	v.Bucket = bucket
	v = stored.AsStored(v)
	d := progress
	if stored.Weighty(before, v) {
		d = durable
	}
	err = s.db.w.transact(ctx, d, func(w *writer) error {
		if !before.Started.Equal(v.Started) {
			if _, err := w.exec("DELETE FROM mismatches WHERE bucket = ?", bucket); err != nil {
				return err
			}
		}
		return putVerification(w, v)
	})
	if err != nil {
		return state.Verification{}, s.db.wrap(doing, err)
	}
	if d == durable {
		s.db.watch.Wake()
	}
	return v, nil
}

func putVerification(w *writer, v state.Verification) error {
	done, err := stored.EncodeSteps(v.Done)
	if err != nil {
		return err
	}
	_, err = w.exec(`INSERT OR REPLACE INTO verifications (`+verificationColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Bucket, v.Node, v.UnderWay, v.State, v.Deep, v.Error, stored.ToMillis(v.Started), stored.ToMillis(v.Finished),
		v.Objects, v.Bytes, v.Total, v.TotalBytes, v.Mismatches, v.Repaired, v.Unrepairable, done, v.Step, v.Cursor, v.StepObjects, v.StepBytes, v.Damage)
	return err
}

// verificationOf reads a bucket's; one with only its bucket set where there is none.
func verificationOf(q querier, bucket string) (v state.Verification, there bool, err error) {
	all, err := collect(q, scanVerification, "SELECT "+verificationColumns+" FROM verifications WHERE bucket = ?", bucket)
	if err != nil || len(all) == 0 {
		return state.Verification{Bucket: bucket}, false, err
	}
	return all[0], true, nil
}

func scanVerification(rows *sql.Rows) (v state.Verification, err error) {
	var started, finished int64
	var done string
	err = rows.Scan(&v.Bucket, &v.Node, &v.UnderWay, &v.State, &v.Deep, &v.Error, &started, &finished, &v.Objects, &v.Bytes, &v.Total, &v.TotalBytes,
		&v.Mismatches, &v.Repaired, &v.Unrepairable, &done, &v.Step, &v.Cursor, &v.StepObjects, &v.StepBytes, &v.Damage)
	if err != nil {
		return v, err
	}
	v.Started, v.Finished = stored.FromMillis(started), stored.FromMillis(finished)
	v.Done, err = stored.DecodeSteps(done)
	return v, err
}

func (s verifications) GetVerification(ctx context.Context, bucket string) (state.Verification, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var v state.Verification
		var there bool
		v, there, err = verificationOf(s.db.r, bucket)
		if err == nil && there {
			return v, nil
		}
		if err == nil {
			err = fmt.Errorf("verification of bucket %s: %w", bucket, state.ErrNotFound)
		}
	}
	return state.Verification{}, s.db.wrap("reading a verification", err)
}

func (s verifications) ListVerifications(ctx context.Context, f state.VerificationFilter, after string, limit int) ([]state.Verification, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Verification
		text, args := verificationQuery(f, after, limit)
		if all, err = collect(s.db.r, scanVerification, text, args...); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("listing verifications", err)
}

// verificationQuery names the index with the fewest rows that match.
func verificationQuery(f state.VerificationFilter, after string, limit int) (string, []any) {
	index, terms, args := "", []string{"bucket > ?"}, []any{after}
	if f.Damaged {
		index, terms = " INDEXED BY verifications_damaged", append(terms, "damage <> ''")
	}
	if f.UnderWay {
		index, terms = " INDEXED BY verifications_under_way", append(terms, "under_way <> 0")
	}
	if f.Node != "" {
		terms, args = append(terms, "node = ?"), append(args, f.Node)
	}
	return "SELECT " + verificationColumns + " FROM verifications" + index + " WHERE " + strings.Join(terms, " AND ") +
		" ORDER BY bucket LIMIT ?", append(args, noLimit(limit))
}

func (s verifications) PutMismatches(ctx context.Context, bucket string, rows ...state.Mismatch) error {
	return s.db.write(ctx, "noting what a verification found", progress, func(w *writer) error {
		_, there, err := verificationOf(w, bucket)
		if err == nil && !there {
			err = fmt.Errorf("verification of bucket %s: %w", bucket, state.ErrNotFound)
		}
		for _, m := range rows {
			if err != nil {
				break
			}
			_, err = w.exec(`INSERT INTO mismatches (bucket, key, cluster, reason, state) VALUES (?1, ?2, ?3, ?4, ?5)
				ON CONFLICT (bucket, key, cluster) DO UPDATE SET reason = ?4, state = ?5`, bucket, m.Key, m.Cluster, m.Reason, m.State)
		}
		return err
	})
}

func (s verifications) ListMismatches(ctx context.Context, bucket string, f state.MismatchFilter, after state.Mismatch, limit int) ([]state.Mismatch, error) {
	text, args := `SELECT key, cluster, reason, state FROM mismatches WHERE bucket = ? AND (key, cluster) > (?, ?) ORDER BY key, cluster LIMIT ?`,
		[]any{bucket, after.Key, after.Cluster, noLimit(limit)}
	if f.State != "" {
		text = `SELECT key, cluster, reason, state FROM mismatches INDEXED BY mismatches_state
			WHERE bucket = ? AND state = ? AND (key, cluster) > (?, ?) ORDER BY key, cluster LIMIT ?`
		args = []any{bucket, f.State, after.Key, after.Cluster, noLimit(limit)}
	}
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Mismatch
		if all, err = collect(s.db.r, func(rows *sql.Rows) (m state.Mismatch, err error) {
			return m, rows.Scan(&m.Key, &m.Cluster, &m.Reason, &m.State)
		}, text, args...); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("listing what a verification found", err)
}

func (s verifications) GetScrub(ctx context.Context) (state.Scrub, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Scrub
		all, err = collect(s.db.r, func(rows *sql.Rows) (v state.Scrub, err error) {
			var last int64
			err = rows.Scan(&last, &v.Running, &v.After)
			v.Last = stored.FromMillis(last)
			return v, err
		}, "SELECT scrub_last, scrub_running, scrub_after FROM engine")
		if err == nil && len(all) == 1 {
			return all[0], nil
		}
		if err == nil {
			err = fmt.Errorf("no row in table engine: %w", state.ErrCorrupt)
		}
	}
	return state.Scrub{}, s.db.wrap("reading how far the verification of all buckets is", err)
}

func (s verifications) SaveScrub(ctx context.Context, v state.Scrub) error {
	return s.db.write(ctx, "noting how far the verification of all buckets is", progress, func(w *writer) error {
		_, err := w.exec("UPDATE engine SET scrub_last = ?, scrub_running = ?, scrub_after = ?", stored.ToMillis(v.Last), v.Running, v.After)
		return err
	})
}
