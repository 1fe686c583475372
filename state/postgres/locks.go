package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fado-project/fado/state"
)

// lock implements state.Lock: a row of fado.locks that goes with the lease.
type lock struct {
	of   *lease
	name string
	lost chan struct{}
	gone bool // lost is closed; the row may be there yet
	// swept: a renewal under way removes the row, and may meet one of a later lock of the name.
	swept bool
}

// locker implements [state.Locks].
type locker struct{ db *core }

// TryLock implements state.Locks. A lock is not re-entrant.
func (s locker) TryLock(ctx context.Context, name string) (state.Lock, bool, error) {
	doing := "taking lock " + name
	if err := s.db.usable(ctx); err != nil {
		return nil, false, s.db.wrap(ctx, doing, err)
	}
	for again := 0; ; again++ {
		l, err := instances(s).lease(ctx)
		if err != nil {
			return nil, false, s.db.wrap(ctx, doing, err)
		}
		got, ok, err := l.lock(ctx, name)
		if errors.Is(err, errLost) && again == 0 {
			continue // with a new lease
		}
		if err != nil || !ok {
			return nil, false, s.db.wrap(ctx, doing, err)
		}
		return got, true, nil
	}
}

// lock takes a lock in the name of the lease. The name is reserved here first, so that of
// those who try at the same moment one asks the database.
func (l *lease) lock(ctx context.Context, name string) (*lock, bool, error) {
	got := &lock{of: l, name: name, lost: make(chan struct{})}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil, false, errLost
	}
	if l.held[name] != nil {
		l.mu.Unlock()
		return nil, false, nil
	}
	l.held[name] = got
	l.mu.Unlock()
	ok, err := l.insertLock(ctx, name)
	switch {
	case err != nil: // it may have been inserted: the name stays reserved until that is settled
		l.lose(got)
		l.nudge()
	case !ok:
		l.lose(got)
		l.settle(false, name)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23503" { // foreign key: the lease is gone
		l.end()
		err = errLost
	}
	return got, ok && err == nil, err
}

func (l *lease) insertLock(ctx context.Context, name string) (ok bool, err error) {
	err = l.s.attempt(ctx, l.s.patience(1), false, func(ctx context.Context, conn pooled) error {
		if err := l.s.bury(ctx, conn); err != nil {
			return err
		}
		tag, err := conn.Exec(ctx, "INSERT INTO fado.locks (name, member) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, l.id)
		ok = tag.RowsAffected() == 1
		return err
	})
	return ok && err == nil, err
}

// lose makes it known that a lock is not held any longer. Its name stays reserved.
func (l *lease) lose(k *lock) (was bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.gone {
		return false
	}
	k.gone = true
	close(k.lost)
	return true
}

// settle gives names free whose rows are known not to be there; those of a renewal when that is over.
func (l *lease) settle(renewed bool, names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		if k := l.held[name]; k != nil && k.gone && k.swept == renewed {
			delete(l.held, name)
		}
	}
}

// Lost implements state.Lock.
func (k *lock) Lost() <-chan struct{} { return k.lost }

// Unlock implements state.Lock. It may be called more than once. Where the database can't
// be told now, it is with the next renewal of the lease.
func (k *lock) Unlock() error {
	s := k.of.s
	if !k.of.lose(k) || s.closed.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.done, s.o.StatementTimeout)
	defer cancel()
	err := s.read(ctx, "giving lock "+k.name+" back", func(ctx context.Context, q querier) error {
		var b pgx.Batch
		b.Queue("DELETE FROM fado.locks WHERE name = $1 AND member = $2", k.name, k.of.id)
		b.Queue("SELECT pg_notify('fado', $1)", noteLocks)
		return q.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return err
	}
	k.of.settle(false, k.name)
	return nil
}
