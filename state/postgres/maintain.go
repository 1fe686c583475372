package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	buryEvery = time.Second
	foldEvery = 10 * time.Second
	// foldPairs is how many sums one transaction adds up.
	foldPairs = 1000
)

// maintain does what has to be done by anybody: it removes instances whose leases have
// ended, adds up sums, and trims the logs.
func (s *Store) maintain() {
	bury, fold := time.NewTicker(buryEvery), time.NewTicker(foldEvery)
	defer bury.Stop()
	defer fold.Stop()
	for {
		var err error
		select {
		case <-s.done.Done():
			return
		case <-bury.C:
			if !s.frozen.Load() {
				err = s.read(s.done, "looking for instances that are gone", s.bury)
			}
		case <-fold.C:
			err = s.fold(s.done)
		}
		if err != nil {
			s.log.Debug("maintenance of the database failed", zap.Error(err))
		}
	}
}

// fold adds up what transactions left in the sums, and trims the logs. One instance does,
// the others pass.
func (s *Store) fold(ctx context.Context) error {
	const doing = "adding up sums"
	if err := s.usable(ctx); err != nil {
		return s.wrap(ctx, doing, err)
	}
	return s.wrap(ctx, doing, s.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		mine, _, err := one[bool](ctx, tx, "SELECT pg_try_advisory_xact_lock($1, $2)", lockSpace, lockFold)
		if err != nil || !mine {
			return err
		}
		var b pgx.Batch
		queueFolds(&b)
		queueTrim(&b)
		b.Queue(trimObjects, keepObjects)
		return tx.SendBatch(ctx, &b).Close()
	}))
}

// trimObjects counts rows instead of going by their numbers: those have gaps wider than
// all that is kept (see skipLost), and a gap must not make readers load everything.
const trimObjects = `WITH upto AS (SELECT seq FROM fado.object_changes ORDER BY seq DESC OFFSET $1 LIMIT 1),
	gone AS (DELETE FROM fado.object_changes WHERE seq <= (SELECT seq FROM upto))
	UPDATE fado.counters SET objects_trimmed = upto.seq FROM upto WHERE upto.seq > objects_trimmed`

// queueFolds makes one row of the rows of each copy that has loose ones.
func queueFolds(b *pgx.Batch) {
	b.Queue(`WITH loose AS (SELECT DISTINCT bucket, cluster FROM fado.backlog WHERE NOT folded LIMIT $1),
		gone AS (DELETE FROM fado.backlog b USING loose WHERE b.bucket = loose.bucket AND b.cluster = loose.cluster RETURNING b.*)
		INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing, folded)
		SELECT bucket, cluster, sum(objects), sum(bytes), sum(held_deletes), sum(conflicts), sum(failing), true
		FROM gone GROUP BY bucket, cluster HAVING sum(objects) <> 0`, foldPairs)
	b.Queue(`WITH loose AS (SELECT DISTINCT cluster FROM fado.pulled_sums WHERE NOT folded LIMIT $1),
		gone AS (DELETE FROM fado.pulled_sums p USING loose WHERE p.cluster = loose.cluster RETURNING p.*)
		INSERT INTO fado.pulled_sums (cluster, bytes, objects, folded)
		SELECT cluster, sum(bytes), sum(objects), true FROM gone GROUP BY cluster HAVING sum(objects) <> 0`, foldPairs)
}
