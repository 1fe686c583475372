package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/storage/internal/kind"
	"github.com/fado-project/fado/storage/s3"
)

// Config says where a storage is. Placeholders are resolved by the caller.
type Config struct {
	Name               string // the cluster's, for errors and logs
	Endpoint           string
	AccessKey          string
	SecretKey          string
	Region             string
	BucketPrefix       string
	VirtualHost        bool
	CAFile             string
	InsecureSkipVerify bool
}

const (
	versioningTTL  = 30 * time.Second // how long a bucket's versioning is believed
	silenceTimeout = 10 * time.Second // of a listener
	ownStreams     = 2                // of parts, those that an object has to itself
	moreStreams    = 24               // further ones of all objects on their way to one storage
	// partBuffersEach bounds the parts in memory of all copies to one storage: one that
	// hangs must not take the memory from the others.
	partBuffersEach = 3
)

// conn is what both halves of a storage know of it: how it is reached, what it was found to be, what is
// remembered of its buckets, and what bounds the copies on their way there.
type conn struct {
	cfg  Config
	wire *s3.Client

	who    kind.Identity
	caps   atomic.Pointer[Capabilities]
	placed atomic.Bool // the region is the one that the storage expects

	mu         sync.Mutex
	versioning map[string]versioningEntry // by physical bucket
	locks      map[string]locksEntry      // likewise

	parts   chan struct{} // bounds the parts in memory on their way here
	streams chan struct{} // bounds the parts' streams here that an object need not have

	silence time.Duration // of a listener; tests shorten it
}

// What there is to ask of a storage, and to change: each type below is one job, and has the methods
// of one of the interfaces that [Reader] is made of, or those of [Writer].
type (
	server   struct{ *conn }
	buckets  struct{ *conn }
	objects  struct{ *conn }
	versions struct{ *conn }
	writer   struct{ *conn }
)

type versioningEntry struct {
	state Versioning
	until time.Time
}

// Versioning says how a bucket keeps versions.
type Versioning string

// The values of Versioning.
const (
	VersioningOff       Versioning = "off"
	VersioningOn        Versioning = "on"
	VersioningSuspended Versioning = "suspended"
)

func connect(cfg Config) (*conn, error) {
	c := &conn{
		cfg: cfg, versioning: make(map[string]versioningEntry), locks: make(map[string]locksEntry),
		parts:   make(chan struct{}, partBuffersEach),
		streams: make(chan struct{}, moreStreams),
		silence: silenceTimeout,
	}
	var err error
	c.wire, err = s3.Open(s3.Config{
		Name: cfg.Name, Endpoint: cfg.Endpoint, AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey, Region: cfg.Region,
		VirtualHost: cfg.VirtualHost, CAFile: cfg.CAFile, InsecureSkipVerify: cfg.InsecureSkipVerify, Observe: c.who.Observe, Frames: c.who.CutsPass,
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Name implements [Server] and [Writer].
func (c *conn) Name() string { return c.cfg.Name }

// Physical implements [BucketReader].
func (c *conn) Physical(bucket string) string { return c.cfg.BucketPrefix + bucket }

// Ping implements [Reader]: it asks for a list of one bucket. Keys that are known and
// may not list buckets are good enough: S3 has other codes for keys that are not. MinIO and AWS S3 list
// buckets whatever the region that a request is signed for, and refuse all other requests: so one about
// a bucket, which need not be there, follows until one was answered.
func (c server) Ping(ctx context.Context) error {
	err := kind.Ping(ctx, c.wire)
	if err != nil || c.placed.Load() {
		c.placed.Store(err == nil)
		return err
	}
	err = c.wire.Buckets.Answers(ctx, c.Physical(regionProbe))
	e, answered := errors.AsType[*Error](err)
	if answered && e.Region != "" {
		return err
	}
	c.placed.Store(err == nil || answered && e.Code != "")
	return nil
}

// regionProbe is the name of a bucket that need not be there.
const regionProbe = "fado-asks-for-the-region"

// Now implements [Reader]. The Date header counts whole seconds and the answer has
// travelled, so the value is a lower bound: at most a second and the way of an
// answer behind the storage's clock, never ahead of it.
func (c server) Now(ctx context.Context) (time.Time, error) {
	if t, ok := c.who.Now(); ok {
		return t, nil
	}
	if err := c.Ping(ctx); err != nil {
		return time.Time{}, err
	}
	t, ok := c.who.Now()
	if !ok {
		return time.Time{}, fmt.Errorf("%s: %w: its answers have no Date", c.cfg.Name, ErrUnsupported)
	}
	return t, nil
}

// WithFence has every request that changes something ask f before it goes out and before
// every piece of its body does; an error of f ends it there. It is for writing that is
// allowed only until a certain moment; see [s3.WithFence].
func WithFence(ctx context.Context, f func() error) context.Context { return s3.WithFence(ctx, f) }
