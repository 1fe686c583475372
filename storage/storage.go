package storage

import (
	"context"
	"iter"
	"time"
)

// A Reader is the half of a storage that changes nothing at it: no method of it writes,
// and none of its values can be made to. Bucket arguments of both halves are FaDO bucket
// names: the client puts its prefix before them. All methods are safe for concurrent use.
//
// What a storage does not have is [ErrUnsupported].
type Reader interface {
	Server
	BucketReader
	ObjectReader
	VersionReader
}

// Server is what there is to ask of a storage as a whole.
type Server interface {
	// Name is the cluster's.
	Name() string
	// Ping makes the cheapest authenticated request.
	Ping(ctx context.Context) error
	// Capabilities of the last successful Probe, and whether there was one.
	Capabilities() (Capabilities, bool)
	// Probe finds the capabilities out. It changes nothing, and needs no more than the
	// bucket it is given (one that exists) or none ("").
	Probe(ctx context.Context, bucket string) (Capabilities, error)
	// Now returns the storage's own clock as far as known from its Date headers.
	Now(ctx context.Context) (time.Time, error)
	// KeepsTimes reports whether versions can be written with a time of their own, so
	// that one can be put below what is there.
	KeepsTimes(ctx context.Context) (bool, error)
	// Births returns when each bucket that the credentials may see was made, by its name at
	// the storage. ErrUnsupported where the storage's word for it does not identify a bucket.
	Births(ctx context.Context) (map[string]time.Time, error)
	// Listen calls f with every change of any bucket, as the storage tells them,
	// until ctx ends or the stream breaks; ready is called once the storage has
	// begun to tell. ErrUnsupported where there is no listener; ErrSilent when its
	// pings stop.
	Listen(ctx context.Context, ready func(), f func(Event)) error
}

// A BucketReader looks at buckets.
type BucketReader interface {
	// Physical is the bucket's name at the storage.
	Physical(bucket string) string
	BucketExists(ctx context.Context, bucket string) (bool, error)
	// HasMark reports whether the bucket here has a mark that [Writer.PlaceMark] placed.
	HasMark(ctx context.Context, bucket string, m Mark) (bool, error)
	// Versioning reports whether the bucket keeps versions, stopped to or never did, and
	// KnownVersioning is the same remembered for half a minute; see [Versioned].
	Versioning(ctx context.Context, bucket string) (Versioning, error)
	KnownVersioning(ctx context.Context, bucket string) (Versioning, error)
	// KeepsLocks reports whether the bucket has object lock, as remembered for half a minute.
	KeepsLocks(ctx context.Context, bucket string) (bool, error)
	// Settings tells what a bucket is configured with that FaDO does not carry over.
	Settings(ctx context.Context, bucket string) (Settings, error)
}

// An ObjectReader looks at what users see: current objects.
type ObjectReader interface {
	// List yields current objects below prefix after a key, in S3's order (UTF-8
	// binary), a page at a time. The first error ends it.
	List(ctx context.Context, bucket, prefix, after string) iter.Seq2[Object, error]
	// Page lists at most limit entries after a key or common prefix.
	Page(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (objs []Object, prefixes []string, next string, err error)
	Stat(ctx context.Context, bucket, key string) (Object, error)
	// Reread reads an object to its end and compares its bytes with what the storage
	// keeps of them; see [Reread].
	Reread(ctx context.Context, bucket string, o Object, limit func(ctx context.Context, n int) error) (Reread, error)
}

// A VersionReader looks at what buckets keep of their keys: versions and delete markers.
type VersionReader interface {
	// Version looks at one version of a key by its ID, or ("") at the one that users see: content, a
	// delete marker, or the zero Version where there is none. Of a delete marker by its ID it tells
	// no time.
	Version(ctx context.Context, bucket, key, id string) (Version, error)
	// Versions returns every version and delete marker of a key, newest first.
	Versions(ctx context.Context, bucket, key string) ([]Version, error)
	// Repeats reports whether an older version of the object's key has its token: then the
	// object is someone's server-side copy of what FaDO wrote. The object is current and
	// from Stat.
	Repeats(ctx context.Context, bucket string, o Object) (bool, error)
	// History returns what [Reader.Versions] does as a listing shows it, at most the newest limit,
	// and Histories yields the history of every key below a prefix, in order, each up to
	// MaxHistory; the first error ends it. They cost a listing and no look at each version.
	History(ctx context.Context, bucket, key string, limit int) (History, error)
	Histories(ctx context.Context, bucket, prefix string) iter.Seq2[History, error]
	// VersionedKeys yields, in order, every key below a prefix that has a version or a
	// delete marker, current or not. The first error ends it.
	VersionedKeys(ctx context.Context, bucket, prefix string) iter.Seq2[string, error]
}

// A Writer is the half of a storage that changes what it holds, by itself and as the
// destination of [Copy].
type Writer interface {
	// Name is the cluster's.
	Name() string

	// EnsureBucket makes the bucket if it is not there, and switches versioning on
	// if asked; it reports whether it made it. Versioning is never switched off.
	EnsureBucket(ctx context.Context, bucket string, versioned bool) (made bool, err error)
	// MakeLocked makes the bucket with object lock, and thereby with versioning, if it is not
	// there; it reports whether it made it. A bucket that is there stays as it is.
	MakeLocked(ctx context.Context, bucket string) (made bool, err error)
	// RemoveBucket removes an empty bucket; ErrPrecondition if it is not empty.
	RemoveBucket(ctx context.Context, bucket string) error

	// PlaceMark places a mark in a bucket that nothing shows but HasMark, and that is unique:
	// where two storages show it, they are one. It is no object, has no version and raises
	// no event. RemoveMark takes it away; what is gone already is no error.
	PlaceMark(ctx context.Context, bucket, key string) (Mark, error)
	RemoveMark(ctx context.Context, bucket string, m Mark) error

	// Delete removes the current version: a delete marker on a versioned bucket. When
	// the storage can, only if the ETag is still the one given.
	Delete(ctx context.Context, bucket, key string, ifETag string) error
	// DeleteAllVersions removes every version of a key for good.
	DeleteAllVersions(ctx context.Context, bucket, key string) error
	// DeleteVersion removes one version for good. What is gone already is no error.
	// ErrLocked where object lock keeps it; a governance lock is never bypassed.
	DeleteVersion(ctx context.Context, bucket, key, id string) error
	// Cover puts a delete marker, a copy of m, over what a key shows here, which is
	// over; ErrPrecondition if it is not.
	Cover(ctx context.Context, bucket string, m, over Version) error
	// PutMarker puts a copy of a delete marker, with its version ID and time, among the versions of
	// its key, and replaces none; one that is there already is no error. ErrUnsupported where
	// versions can't have a time of their own.
	PutMarker(ctx context.Context, bucket string, m Version) error
}

// Storage is one storage: its two halves. *Client implements it. Who opened it closes it. Code
// that must not write is given the Reader, made by [ReadOnly].
type Storage interface {
	Reader() Reader
	Writer() Writer
	// Close lets requests under way continue.
	Close()
}

// Client is one S3 storage. It implements [Storage].
type Client struct {
	*conn
}

// reader is a client's reading half. Name is that of the conn it is made of itself.
type reader struct {
	*conn
	server
	buckets
	objects
	versions
}

// Open returns a client. It makes no connection; it fails on what can't be right: an
// endpoint that is no URL, a CA file that can't be read.
func Open(cfg Config) (*Client, error) {
	c, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// Reader implements [Storage].
func (c *Client) Reader() Reader {
	return reader{c.conn, server{c.conn}, buckets{c.conn}, objects{c.conn}, versions{c.conn}}
}

// Writer implements [Storage].
func (c *Client) Writer() Writer { return writer{c.conn} }

// Close implements [Storage].
func (c *Client) Close() { c.wire.Close() }

var _ Storage = (*Client)(nil)
