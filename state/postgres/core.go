package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

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
	// OneMoment, beside ReadOnly, reads the database as it was when it was opened, whatever is
	// written meanwhile.
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

// core is what the roles of a Store have in common: the connections, and what is known of
// the schema, the seal and the other instances.
type core struct {
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

// seal is what this instance opens and seals secrets with, and the header of it in the
// database. Another process may rotate the key at any time: the header says which one is
// in force, and changes in the same transaction as all the secrets.
type seal struct {
	header string
	sealer *state.Sealer // nil without a key
}

// derived are the seals that were derived from this instance's keys last. Deriving one takes
// a while by design, which is not for the middle of a transaction.
type derived struct {
	mu     sync.Mutex
	opened seal // of a header that the database had
	fresh  seal // to be put where there is none
}

// moment is a snapshot of the database that every connection of the pool reads.
type moment struct {
	conn *pgx.Conn // holds the transaction that exported it
	id   atomic.Pointer[string]
}

// gate lets calls through once the schema is known to be good.
type gate struct {
	open   atomic.Bool
	flight singleflight.Group
}
