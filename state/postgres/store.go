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
	// OneMoment, beside ReadOnly, reads the database as it was when it was opened, whoever
	// writes it meanwhile.
	OneMoment bool
	// MustExist refuses a database without a store's schema, instead of making one.
	MustExist bool
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
	// derived keeps what opening the seal has derived.
	derived derived
	watch   watchers

	frozen atomic.Bool // for tests: the process stands still
	leases leases
	looks  looks
	moment moment
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
		s.log.Warn("the database can't be used now; continuing without it until it can", zap.Error(err))
	case err != nil:
		return nil, errors.Join(err, s.Close()) //nolint:contextcheck // what it ends has contexts of its own
	}
	if o.ReadOnly && o.OneMoment {
		if err := s.holdMoment(ctx); err != nil {
			return nil, errors.Join(err, s.Close()) //nolint:contextcheck // what it ends has contexts of its own
		}
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
	s.moment.close()
	return nil
}

var _ state.Shared = (*Store)(nil)
