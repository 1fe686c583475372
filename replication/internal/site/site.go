package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// ErrDown says that a storage does not answer, or refuses FaDO's credentials.
var ErrDown = errors.New("the storage is down")

// downError is an ErrDown with the cluster and the reason.
type downError struct{ cluster, why string }

func (e *downError) Error() string {
	if e.why == "" {
		return "the storage of " + e.cluster + " is down"
	}
	return "the storage of " + e.cluster + " is down: " + e.why
}

// Unwrap makes it an [ErrDown].
func (*downError) Unwrap() error { return ErrDown }

// Site is one cluster's storage under its present declaration. All methods are safe for
// concurrent use.
type Site struct {
	// Feed says how changes made directly at the storage are noticed.
	Feed Feed
	// Space says whether there is room to write.
	Space *Space
	// Births says when buckets were made.
	Births *Births

	o         *Options
	isCurrent func(*Site) bool // it is the one of its cluster's present declaration

	name    string
	decl    catalog.Storage
	refused string          // why it must not be opened; "" where it may be
	client  storage.Storage // nil while it can't be opened
	reader  storage.Reader
	limiter *rate.Limiter // bytes read and written here; nil: unlimited

	kick chan struct{} // asks for a ping now

	lastOK atomic.Int64 // unix nanoseconds of the last answer that was a proof of life
	fails  atomic.Int32 // requests in a row that found it unavailable
	told   atomic.Bool  // people know how it is

	rests      *rate.Limiter // between requests while suspect
	suspecting sync.Mutex    // orders what Pace is told of suspicion
	suspect    atomic.Bool   // kept to few slots

	mu       sync.Mutex
	unopened bool   // the client could not be made
	reason   string // why it is down
	refuses  bool   // it is down because it refuses FaDO's credentials
	caps     storage.Capabilities
	probed   bool
	probedIn bool // with a bucket
	skew     *time.Duration
}

// Absent stands for a cluster that has no usable storage, so that its name can be shown.
func Absent(cluster string) *Site {
	o := new(Options)
	return &Site{name: cluster, o: o, Space: &Space{o: o, name: cluster}}
}

// Name returns the cluster's name.
func (s *Site) Name() string { return s.name }

// Capacity returns the declared capacity in bytes, 0 for none.
func (s *Site) Capacity() int64 { return int64(s.decl.Capacity) }

// Reader returns the half of the storage that changes nothing. Only of a Site that
// [Sites.Usable] returned, or that is [Site.Up], it is not nil.
func (s *Site) Reader() storage.Reader { return s.reader }

// Opened reports whether a client could be made from the declaration.
func (s *Site) Opened() bool { return s.client != nil }

// Up reports whether the storage answered the last time it was asked.
func (s *Site) Up() bool { return s.client != nil && s.condition() == routing.StorageUp }

// Down reports whether the storage is known not to answer, and why.
func (s *Site) Down() (down bool, why string) {
	cond := s.condition()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unopened || cond == routing.StorageDown, s.reason
}

func (s *Site) condition() routing.StorageCondition {
	if s.o.Router == nil {
		return routing.StorageUnknown
	}
	st := s.o.Router.Snapshot().ClusterState(s.name)
	if st == nil || !s.isCurrent(s) {
		return routing.StorageUnknown
	}
	return st.Storage()
}

// setCondition notes what a ping found and reports what was known before.
func (s *Site) setCondition(c routing.StorageCondition, why string, refuses bool) (was routing.StorageCondition) {
	was = s.condition()
	s.mu.Lock()
	s.reason, s.refuses = why, refuses
	s.mu.Unlock()
	if st := s.o.Router.Snapshot().ClusterState(s.name); st != nil && s.isCurrent(s) {
		st.SetStorage(c)
	}
	return was
}

// Call bounds ctx for one small request (HEAD, DELETE, bucket operations).
func (s *Site) Call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.Timing.CallTimeout)
}

// Absent confirms by the listing that a key is not there, which the storage said when it was
// asked for the object. One that lists the key and does not know it may have it under another
// name, which a listing can't show, or something between it and here answers for it: neither
// may count as gone. nil: it is absent.
func (s *Site) Absent(ctx context.Context, bucket, key string) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	objs, _, _, err := s.reader.Page(ctx, bucket, key, "", "", 1)
	s.Observed(err)
	if err != nil {
		return err
	}
	if len(objs) > 0 && objs[0].Key == key {
		return fmt.Errorf("%w: it lists this key and does not know it; the real name may have characters that a listing can't show", storage.ErrInconsistent)
	}
	return nil
}

// Stat looks at an object within the bound of a small request. Nil and no error mean that
// the storage said that the bucket is there and the key is not.
func (s *Site) Stat(ctx context.Context, bucket, key string) (*storage.Object, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	o, err := s.reader.Stat(ctx, bucket, key)
	s.Observed(err)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &o, nil
}

// Clock asks the storage for the time, and steps back so that what follows is later than
// it for sure: clocks are told in whole seconds.
func (s *Site) Clock(ctx context.Context) (time.Time, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	t, err := s.reader.Now(ctx)
	if err != nil {
		return t, fmt.Errorf("asking %s for the time: %w", s.name, err)
	}
	return t.Add(-time.Second), nil
}

// KeepsVersions reports whether a physical bucket keeps versions; one that is not there
// keeps none.
func (s *Site) KeepsVersions(ctx context.Context, bucket string) (bool, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	versioned, err := storage.Versioned(ctx, s.reader, bucket)
	if errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrNoBucket) {
		return false, nil
	}
	return versioned, err
}

// HasHistory reports whether a physical bucket may have versions that its listing does not show: it keeps
// versions, or did until versioning was suspended. KeepsVersions is about what is written now.
func (s *Site) HasHistory(ctx context.Context, bucket string) (bool, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	v, err := s.reader.Versioning(ctx, bucket)
	if errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrNoBucket) {
		return false, nil
	}
	return v != storage.VersioningOff, err
}

// suspicion is how many requests in a row must find a storage unavailable before it is
// pinged at once and kept to few slots. A ping that is answered does not clear it, because
// requests may hang all the same; the next request that is answered does.
const suspicion = 3

// Observed learns from the outcome of a request to the storage.
func (s *Site) Observed(err error) {
	o := s.o
	switch {
	case o.OwnFault != nil && errors.Is(err, o.OwnFault): // it is about this instance
	case err == nil:
		o.Pace.Flowing(s.name, time.Now())
		s.answered(o.Now())
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		o.Pace.Congested(s.name, time.Now())
		if s.fails.Add(1) == suspicion {
			setSuspect(s, true)
			ask(s)
		}
	case errors.Is(err, storage.ErrDenied):
		ask(s)
	case !errors.Is(err, context.Canceled):
		s.answered(o.Now())
	}
}

// answered notes that a request was answered, be it by a refusal.
func (s *Site) answered(now time.Time) {
	alive(s, now)
	if s.suspect.Load() {
		setSuspect(s, false)
	}
}

// restEvery is the time between objects that a suspect storage is asked for: one that fails
// whatever it is asked, at once, must not get all of this instance's attention by what waits
// for it.
const restEvery = 50 * time.Millisecond

// Rest waits until a storage that failed again and again may be asked for another object. It
// returns at once for any other.
func (s *Site) Rest(ctx context.Context) error {
	if !s.suspect.Load() {
		return nil
	}
	return s.rests.Wait(ctx)
}

func setSuspect(s *Site, on bool) {
	s.suspecting.Lock()
	defer s.suspecting.Unlock()
	s.suspect.Store(on)
	s.o.Pace.SetSuspect(s.name, on)
}

// Flowing notes that an object was read from the storage well.
func (s *Site) Flowing() { s.o.Pace.Flowing(s.name, time.Now()) }

// Congested notes that a small transfer to the storage took too long.
func (s *Site) Congested() { s.o.Pace.Congested(s.name, time.Now()) }

// alive notes a sign of life.
func alive(s *Site, now time.Time) {
	s.lastOK.Store(now.UnixNano())
	s.fails.Store(0)
}

// ask has the storage pinged soon.
func ask(s *Site) {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *Site) capabilities() (storage.Capabilities, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caps, s.probed
}

// DeletesSafely reports whether an object of a bucket can be deleted so that what users write there
// meanwhile stays: by a condition, or below a delete marker.
func DeletesSafely(ctx context.Context, s *Site, bucket string) (bool, error) {
	if s.DeletesConditionally() {
		return true, nil
	}
	return s.KeepsVersions(ctx, bucket)
}

// DeletesConditionally reports whether the storage is known to delete an object only if it is
// still the one that was looked at.
func (s *Site) DeletesConditionally() bool {
	caps, known := s.reader.Capabilities()
	return known && caps.ConditionalDelete
}

// Address returns the address of the storage; see catalog.Storage.Address.
func (s *Site) Address() int64 { return s.decl.Address() }

// Status is what is known of a storage.
type Status struct {
	Condition    routing.StorageCondition
	Error        string                // why it is down, or full
	Capabilities *storage.Capabilities // nil until it was asked
	Full         bool
	FullSince    time.Time // zero: it is not full
	// Refuses: it is down because it refuses FaDO's credentials.
	Refuses bool
	// Skew is how far its clock is ahead of this instance's, to about a second; nil where it does not tell.
	Skew *time.Duration
}

// Status returns what is known of the storage.
func (s *Site) Status() Status {
	st := Status{Condition: s.condition()}
	s.mu.Lock()
	st.Error, st.Skew, st.Refuses = s.reason, s.skew, s.refuses
	if s.unopened {
		st.Condition = routing.StorageDown
	}
	s.mu.Unlock()
	if caps, known := s.capabilities(); known {
		st.Capabilities = &caps
	}
	if why, since := s.Space.full(); why != "" {
		st.Full, st.FullSince = true, since
		if st.Error == "" {
			st.Error = why
		}
	}
	return st
}
