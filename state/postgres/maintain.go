package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	foldEvery = 10 * time.Second
	// foldPairs is how many sums one transaction adds up.
	foldPairs = 1000
)

// upkeep is what instances do for all of them, one at a time.
type upkeep struct{ db *core }

// maintain does what any instance may do for all: it adds up sums, and trims the logs.
// (Every poll removes instances whose leases have ended.)
func (s upkeep) maintain() {
	every := time.NewTicker(foldEvery)
	defer every.Stop()
	var last untidy
	for {
		select {
		case <-s.db.done.Done():
			return
		case <-every.C:
		}
		if err := s.tidy(s.db.done, &last); err != nil && s.db.done.Err() == nil {
			s.db.log.Debug("adding up sums in the database failed; will retry", zap.Error(err))
		}
	}
}

// untidy says whether there is anything to add up, and how far the logs went when they
// were trimmed last.
type untidy struct {
	loose        bool
	seq, objects int64
}

// tidy folds unless nothing has changed since the last time.
func (s upkeep) tidy(ctx context.Context, last *untidy) error {
	var now untidy
	err := s.db.read(ctx, "looking for sums to add up", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, func(rows pgx.Rows) (u untidy, err error) { return u, rows.Scan(&u.loose, &u.seq, &u.objects) },
			`SELECT EXISTS (SELECT FROM fado.backlog WHERE NOT folded) OR EXISTS (SELECT FROM fado.pulled_sums WHERE NOT folded)
				OR EXISTS (SELECT FROM fado.copy_sums WHERE NOT folded) OR EXISTS (SELECT FROM fado.bucket_sums WHERE NOT folded), seq, (`+lastObject+`) FROM fado.counters`)
		if err == nil && len(all) == 1 {
			now = all[0]
		}
		return err
	})
	if err != nil || now == *last && !now.loose {
		return err
	}
	if err := s.fold(ctx); err != nil {
		return err
	}
	now.loose = false
	*last = now
	return nil
}

// fold adds up what transactions left in the sums, and trims the logs. One instance does,
// the others pass.
func (s upkeep) fold(ctx context.Context) error {
	const doing = "adding up sums"
	if err := s.db.usable(ctx); err != nil {
		return s.db.wrap(ctx, doing, err)
	}
	for more := true; more && ctx.Err() == nil; {
		err := s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			more, err = foldSome(ctx, tx)
			return err
		})
		if err != nil {
			return s.db.wrap(ctx, doing, err)
		}
	}
	return nil
}

// foldSome is a part of fold, so that no transaction takes long. It says whether there may
// be more to add up.
func foldSome(ctx context.Context, tx pgx.Tx) (more bool, err error) {
	mine, _, err := one[bool](ctx, tx, "SELECT pg_try_advisory_xact_lock($1, $2)", lockSpace, lockFold)
	if err != nil || !mine {
		return false, err
	}
	var b pgx.Batch
	for _, sql := range folds {
		b.Queue(sql, foldPairs).QueryRow(func(row pgx.Row) error {
			var pairs int
			err := row.Scan(&pairs)
			more = more || pairs == foldPairs
			return err
		})
	}
	queueTrim(&b)
	b.Queue(trimObjects, keepObjects)
	return more, tx.SendBatch(ctx, &b).Close()
}

// trimObjects counts rows instead of going by their numbers: those have gaps wider than
// all that is kept (see skipLost), and a gap must not make readers load everything.
const trimObjects = `WITH upto AS (SELECT seq FROM fado.object_changes ORDER BY seq DESC OFFSET $1 LIMIT 1),
	gone AS (DELETE FROM fado.object_changes WHERE seq <= (SELECT seq FROM upto))
	UPDATE fado.counters SET objects_trimmed = upto.seq FROM upto WHERE upto.seq > objects_trimmed`

// folds make one row of the rows of each sum that has loose ones, and say of how many.
var folds = []string{
	foldOf("backlog", "bucket, cluster", "objects", "bytes", "held_deletes", "conflicts", "failing"),
	foldOf("pulled_sums", "cluster", "objects", "bytes"),
	foldOf("copy_sums", "cluster, state", "copies", "objects", "bytes"),
	foldOf("bucket_sums", "cluster", "buckets"),
}

// foldOf is the fold of a table whose first sum counts: where it is 0, so are the others.
func foldOf(table, names string, sums ...string) string {
	added := make([]string, len(sums))
	for i, c := range sums {
		added[i] = "sum(" + c + ")"
	}
	return fmt.Sprintf(`WITH loose AS (SELECT DISTINCT %[2]s FROM fado.%[1]s WHERE NOT folded LIMIT $1),
		gone AS (DELETE FROM fado.%[1]s s USING loose WHERE (%[3]s) = (%[4]s) RETURNING s.*),
		kept AS (INSERT INTO fado.%[1]s (%[2]s, %[5]s, folded)
			SELECT %[2]s, %[6]s, true FROM gone GROUP BY %[2]s HAVING sum(%[7]s) <> 0)
		SELECT count(*) FROM loose`,
		table, names, qualified("s", names), qualified("loose", names), strings.Join(sums, ", "), strings.Join(added, ", "), sums[0])
}

// qualified names columns of a table.
func qualified(table, names string) string {
	return table + "." + strings.ReplaceAll(names, ", ", ", "+table+".")
}
