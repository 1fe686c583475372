package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// tx implements state.Tx within Update. What it writes is sent before it reads, and at
// the end.
type tx struct {
	s       *core
	ctx     context.Context
	db      pgx.Tx
	seq     state.Seq
	batch   pgx.Batch
	log     stored.ChangeLog
	removed []stored.CopyKey // copies deleted, whose pending rows finish looks at
	buckets []string         // buckets deleted, whose rows finish removes
	audit   stored.AuditLog
	err     error // the first failure: a transaction that had one can't commit
}

var errTxEnded = errors.New("the transaction has ended")

// maxQueued is how many statements wait before they are sent.
const maxQueued = 500

// do runs a step of the transaction and remembers its failure, so that an f that drops
// an error can't commit half of what it meant.
func (t *tx) do(doing string, f func() error) error {
	if t.db == nil {
		return errTxEnded
	}
	err := f()
	if err == nil || errors.Is(err, state.ErrNotFound) {
		return err
	}
	if t.err == nil {
		t.err = err
	}
	return t.s.wrap(t.ctx, doing, err)
}

// flush sends what waits.
func (t *tx) flush() error {
	if t.batch.Len() == 0 {
		return nil
	}
	b := t.batch
	t.batch = pgx.Batch{}
	return t.db.SendBatch(t.ctx, &b).Close()
}

func (t *tx) queue(sql string, args ...any) error {
	t.batch.Queue(sql, args...)
	if t.batch.Len() < maxQueued {
		return nil
	}
	return t.flush()
}
