package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const verificationColumns = `bucket, node, under_way, state, deep, error, started, finished, objects, bytes, total, total_bytes,
	mismatches, repaired, unrepairable, done, step, cursor, step_objects, step_bytes, damage`

// takeVerification makes a bucket's row where there is none, and locks it.
const takeVerification = `INSERT INTO fado.verifications (` + verificationColumns + `)
	VALUES ($1, '', false, '', false, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, '[]', '', '', 0, 0, '')
	ON CONFLICT (bucket) DO UPDATE SET bucket = excluded.bucket RETURNING ` + verificationColumns

const putVerification = `UPDATE fado.verifications SET node = $2, under_way = $3, state = $4, deep = $5, error = $6, started = $7, finished = $8,
	objects = $9, bytes = $10, total = $11, total_bytes = $12, mismatches = $13, repaired = $14, unrepairable = $15, done = $16, step = $17,
	cursor = $18, step_objects = $19, step_bytes = $20, damage = $21 WHERE bucket = $1`

// verifications implements [state.Verifications].
type verifications struct{ db *core }

func (s verifications) UpdateVerification(ctx context.Context, bucket string, f func(v *state.Verification) error) (state.Verification, error) {
	const doing = "noting a verification"
	if err := s.db.usable(ctx); err != nil {
		return state.Verification{}, s.db.wrap(ctx, doing, err)
	}
	var after state.Verification
	var fErr error
	var told bool
	err := s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		fErr = nil
		all, err := collect(ctx, tx, scanVerification, takeVerification, bucket)
		if err != nil {
			return err
		}
		before := all[0] // an INSERT that updates returns its row
		v := before
		if fErr = f(&v); fErr != nil {
			return ownError{fErr}
		}
		v.Bucket = bucket
		after, told = stored.AsStored(v), stored.Weighty(before, v)
		return s.saveVerification(ctx, tx, before, after)
	})
	switch {
	case fErr != nil:
		return state.Verification{}, fErr
	case err != nil:
		return state.Verification{}, s.db.wrap(ctx, doing, err)
	}
	if told {
		s.db.watch.Wake()
	}
	return after, nil
}

func (s verifications) saveVerification(ctx context.Context, tx pgx.Tx, before, v state.Verification) error {
	done, err := stored.EncodeSteps(v.Done)
	if err != nil {
		return ownError{err}
	}
	var b pgx.Batch
	b.Queue(putVerification, v.Bucket, v.Node, v.UnderWay, v.State, v.Deep, text(v.Error), stored.ToMillis(v.Started), stored.ToMillis(v.Finished),
		v.Objects, v.Bytes, v.Total, v.TotalBytes, v.Mismatches, v.Repaired, v.Unrepairable, done, blob(v.Step), blob(v.Cursor), v.StepObjects, v.StepBytes, text(v.Damage))
	if !before.Started.Equal(v.Started) {
		b.Queue("DELETE FROM fado.mismatches WHERE bucket = $1", v.Bucket)
	}
	if stored.Weighty(before, v) {
		b.Queue("SELECT set_config('synchronous_commit', $1, true)", commitOf(tx.Conn()))
		queueNews(&b)
	}
	return tx.SendBatch(ctx, &b).Close()
}

func scanVerification(rows pgx.Rows) (v state.Verification, err error) {
	var started, finished int64
	var done string
	err = rows.Scan(&v.Bucket, &v.Node, &v.UnderWay, &v.State, &v.Deep, &v.Error, &started, &finished, &v.Objects, &v.Bytes, &v.Total, &v.TotalBytes,
		&v.Mismatches, &v.Repaired, &v.Unrepairable, &done, (*blob)(&v.Step), (*blob)(&v.Cursor), &v.StepObjects, &v.StepBytes, &v.Damage)
	if err != nil {
		return v, err
	}
	v.Started, v.Finished = stored.FromMillis(started), stored.FromMillis(finished)
	if v.Done, err = stored.DecodeSteps(done); err != nil {
		err = ownError{err}
	}
	return v, err
}

func (s verifications) GetVerification(ctx context.Context, bucket string) (v state.Verification, err error) {
	err = s.db.read(ctx, "reading a verification", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, scanVerification, "SELECT "+verificationColumns+" FROM fado.verifications WHERE bucket = $1", bucket)
		if err == nil && len(all) == 0 {
			return fmt.Errorf("verification of bucket %s: %w", bucket, state.ErrNotFound)
		}
		if err == nil {
			v = all[0]
		}
		return err
	})
	return v, err
}

func (s verifications) ListVerifications(ctx context.Context, f state.VerificationFilter, after string, limit int) (all []state.Verification, err error) {
	terms, args := []string{"bucket > $1"}, []any{after, noLimit(limit)}
	if f.Damaged {
		terms = append(terms, "damage <> ''")
	}
	if f.UnderWay {
		terms = append(terms, "under_way")
	}
	if f.Node != "" {
		terms, args = append(terms, "node = $3"), append(args, f.Node)
	}
	err = s.db.read(ctx, "listing verifications", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanVerification, "SELECT "+verificationColumns+" FROM fado.verifications WHERE "+strings.Join(terms, " AND ")+
			" ORDER BY bucket LIMIT $2", args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// PutMismatches implements state.Verifications. The verification's row keeps its bucket
// from being forgotten meanwhile.
func (s verifications) PutMismatches(ctx context.Context, bucket string, rows ...state.Mismatch) error {
	const doing = "noting what a verification found"
	if err := s.db.usable(ctx); err != nil {
		return s.db.wrap(ctx, doing, err)
	}
	return s.db.wrap(ctx, doing, s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, there, err := one[string](ctx, tx, "SELECT bucket FROM fado.verifications WHERE bucket = $1 FOR UPDATE", bucket)
		if err == nil && !there {
			err = fmt.Errorf("verification of bucket %s: %w", bucket, state.ErrNotFound)
		}
		if err != nil {
			return err
		}
		var b pgx.Batch
		for _, m := range rows {
			b.Queue(`INSERT INTO fado.mismatches (bucket, key, cluster, reason, state) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (bucket, key, cluster) DO UPDATE SET reason = excluded.reason, state = excluded.state`,
				bucket, blob(m.Key), m.Cluster, text(m.Reason), m.State)
		}
		return tx.SendBatch(ctx, &b).Close()
	}))
}

func (s verifications) ListMismatches(ctx context.Context, bucket string, f state.MismatchFilter, after state.Mismatch, limit int) (all []state.Mismatch, err error) {
	where, args := "", []any{bucket, blob(after.Key), after.Cluster, noLimit(limit)}
	if f.State != "" {
		where, args = " AND state = $5", append(args, f.State)
	}
	err = s.db.read(ctx, "listing what a verification found", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (m state.Mismatch, err error) {
			return m, rows.Scan((*blob)(&m.Key), &m.Cluster, &m.Reason, &m.State)
		}, "SELECT key, cluster, reason, state FROM fado.mismatches WHERE bucket = $1"+where+
			" AND (key, cluster) > ($2, $3) ORDER BY key, cluster LIMIT $4", args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s verifications) GetScrub(ctx context.Context) (v state.Scrub, err error) {
	err = s.db.read(ctx, "reading how far the verification of all buckets is", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, func(rows pgx.Rows) (v state.Scrub, err error) {
			var last int64
			err = rows.Scan(&last, &v.Running, &v.After)
			v.Last = stored.FromMillis(last)
			return v, err
		}, "SELECT scrub_last, scrub_running, scrub_after FROM fado.engine")
		if err == nil && len(all) == 1 {
			v = all[0]
		}
		return err
	})
	return v, err
}

func (s verifications) SaveScrub(ctx context.Context, v state.Scrub) error {
	return s.db.read(ctx, "noting how far the verification of all buckets is", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "UPDATE fado.engine SET scrub_last = $1, scrub_running = $2, scrub_after = $3", stored.ToMillis(v.Last), v.Running, v.After)
		return err
	})
}
