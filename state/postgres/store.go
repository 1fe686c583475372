// Package postgres keeps FaDO's state in a PostgreSQL database that any number of
// instances share. It implements [state.Shared].
//
// Nothing here fails because the database is away: a call says ErrUnavailable within
// bounded time, and the next one finds the database again when it is back. [Open] brings
// the schema up to date where it can reach the database, else the first call that does.
//
// What instances must not do at once they agree on by leases, not by the locks of
// sessions: a session of a process that is stopped (SIGSTOP), or whose machine is gone,
// lives on at the server for as long as TCP cares, and its advisory locks with it. A
// lease ends by the clock. It is a row of fado.members, which one statement renews, and
// which any other instance removes once it ended, together with the locks it held; a row
// that is gone can't be renewed, so an instance that wakes up late learns that it is out.
//
// Numbers that readers go on after (Seq, ObjectSeq) are given under a lock that lasts
// until the commit, so that they become visible in their order. Notifications (LISTEN,
// NOTIFY) only make things fast: whoever missed one finds the change by its number, with
// a poll every second.
//
// What instances go by is on disk when a call returns: the catalogue, the copies, and
// pending and pulled rows that were added. Other progress is not waited for
// (synchronous_commit is off), as the contract of [state.Store] allows.
//
// It works through a pooler that keeps a session for as long as the client keeps its
// connection (pgbouncer: pool_mode = session). Transaction and statement mode can't work:
// LISTEN, prepared statements and the session's settings belong to a session.
package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// The defaults of Options.
const (
	DefaultMaxConns         = 16
	DefaultConnectTimeout   = 5 * time.Second
	DefaultStatementTimeout = 15 * time.Second
	DefaultLease            = 6 * time.Second
)

// MinLease is the least a lease may last: a renewal must have the time to be tried again.
const MinLease = time.Second

// Options of a Store. Zero values are the defaults.
type Options struct {
	// DSN is a connection string, as a URL or as "keyword=value" pairs; it says sslmode,
	// several hosts and so on as libpq's do. It and its password are in no error and no
	// log line.
	DSN string
	// Key is the configured encryption key. Without it, literal secrets are refused.
	// FormerKeys are others that the secrets may be sealed with, while the key is rotated:
	// what they are sealed with is for the database to say.
	Key        []byte
	FormerKeys [][]byte
	// ReadOnly refuses a database without the schema of this version instead of bringing
	// it up to date, and makes no seal.
	ReadOnly bool
	// MaxConns bounds the connections of the pool; two more are made for notifications
	// and the lease. MinConns are kept open though idle.
	MaxConns, MinConns int
	// ConnectTimeout bounds the making of a connection, StatementTimeout every statement
	// and every wait for a lock.
	ConnectTimeout, StatementTimeout time.Duration
	// Lease is how long this instance's locks and claims outlive its last sign of life.
	Lease time.Duration
	// Log may be nil.
	Log *zap.Logger
}

func (o *Options) setDefaults() {
	set := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&o.ConnectTimeout, DefaultConnectTimeout)
	set(&o.StatementTimeout, DefaultStatementTimeout)
	set(&o.Lease, DefaultLease)
	o.Lease = max(o.Lease, MinLease)
	if o.MaxConns <= 0 {
		o.MaxConns = DefaultMaxConns
	}
	o.MinConns = min(max(o.MinConns, 0), o.MaxConns)
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
}

// Store implements [state.Shared].
type Store struct {
	o      Options
	log    *zap.Logger
	pool   *pgxpool.Pool
	hide   redactor
	schema gate
	seal   atomic.Pointer[seal] // set once the schema is ready
	watch  watchers

	frozen atomic.Bool // for tests: the process stands still
	leases leases
	looks  looks
	closed atomic.Bool
	done   context.Context // ends with the store
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// Open makes a store. It fails only for what waiting does not mend: a connection string
// that can't be read, ErrNewerSchema, ErrNoKey. A database that can't be reached now is
// logged, and every call says ErrUnavailable until it can.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	s := &Store{o: o, log: o.Log}
	s.done, s.end = context.WithCancel(context.Background())
	if err := s.configure(); err != nil {
		s.end()
		return nil, err
	}
	err := s.ready(ctx)
	switch {
	case errors.Is(err, state.ErrUnavailable) && !o.ReadOnly:
		s.log.Warn("the database can't be used now; going on without it until it can", zap.Error(err))
	case err != nil:
		return nil, errors.Join(err, s.Close())
	}
	if o.ReadOnly {
		return s, nil
	}
	s.wg.Go(s.listen)
	s.wg.Go(s.maintain)
	return s, nil
}

// Kind implements state.Store.
func (*Store) Kind() string { return "postgres" }

// Close ends the lease and the connections. Later calls return an ErrUnavailable,
// watchers end, and locks are lost.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.leases.close()
	s.end()
	s.wg.Wait()
	s.watch.Close()
	s.pool.Close()
	return nil
}

var _ state.Shared = (*Store)(nil)
