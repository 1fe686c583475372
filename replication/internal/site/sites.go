package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Pace is what bounds the objects worked on at a time per storage; see package limit.
type Pace interface {
	Flowing(cluster string, now time.Time)
	Congested(cluster string, now time.Time)
	SetSuspect(cluster string, on bool)
	SetClusters(n int)
}

// Timing holds the bounds that requests to storages keep.
type Timing struct {
	PingEvery   time.Duration // between pings of a storage that is up
	PingTimeout time.Duration // of one ping
	CallTimeout time.Duration // of one small request
	FullProbe   time.Duration // between attempts to write to a storage that is full
}

// Hooks are called on changes of storages, and on signs of life. All are called without locks held.
type Hooks struct {
	// Changed is told what people may want to know: up, down, full, space.
	Changed func(cluster, state, reason string)
	// Answered, where it is set, is called whenever a storage answers a ping.
	Answered func(cluster string, address int64)
	// Up is called when a storage answers that did not before: what waited for it is due.
	Up func(ctx context.Context, cluster string)
	// Down is called when a storage no longer answers.
	Down func(cluster string)
	// Space is called when a storage takes writes again.
	Space func(cluster string)
}

// Options of Sites. All are required but Refuse and OwnFault.
type Options struct {
	Router *routing.Router
	// Open makes the client of a cluster's storage.
	Open func(cluster string, s *catalog.Storage) (storage.Storage, error)
	// Refuse says why a storage must not be opened, or used any longer; nil: it may be. It is
	// asked whenever a storage is looked up, with a lock held. A nil Refuse refuses none.
	Refuse func(cluster string, s *catalog.Storage) error
	Pace   Pace
	Log    *zap.Logger
	Now    func() time.Time
	Timing Timing
	Hooks  Hooks
	// OwnFault is an error of requests that says nothing about the storage.
	OwnFault error
}

// Sites are the storages of all clusters.
type Sites struct {
	o     Options
	total atomic.Pointer[rate.Limiter] // nil: unlimited
	facts *facts
	again chan struct{} // has the monitors follow the declarations

	mu     sync.Mutex
	byName map[string]*Site
}

// Writers gives access to the writing half of a site's storage. Only package guard may hold
// it.
type Writers func(s *Site) (storage.Writer, error)

// New returns the sites, and the one key to their writers.
func New(o Options) (*Sites, Writers) {
	return &Sites{o: o, facts: newFacts(), again: make(chan struct{}, 1), byName: make(map[string]*Site)}, writer
}

func writer(s *Site) (storage.Writer, error) {
	if s.client == nil {
		return nil, fmt.Errorf("the storage of %s can't be opened: %w", s.name, storage.ErrUnavailable)
	}
	return s.client, nil
}

// Get returns the site of a cluster as it is declared now; nil if the cluster has no
// storage or does not exist. A storage whose opening hangs is one that can't be opened,
// until it does.
func (ss *Sites) Get(cluster string) *Site {
	s, o := ss.have(cluster)
	if o == nil {
		return s
	}
	return o.wait(s)
}

// have returns the site of a cluster, and its opening if that is under way.
func (ss *Sites) have(cluster string) (*Site, *opening) {
	cl := ss.o.Router.Snapshot().Cluster(cluster)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byName[cluster]
	if cl == nil || cl.Storage == nil {
		if s != nil {
			ss.drop(s)
		}
		return nil, nil
	}
	refused := ss.refused(cluster, cl.Storage)
	same := s != nil && s.decl == *cl.Storage && s.refused == refused
	switch {
	case refused != "":
		if !same {
			s = ss.refuse(s, cluster, cl.Storage, refused)
		}
		return s, nil
	case same && (s.client != nil || s.opening.underWay()):
		return s, s.opening
	case same && time.Since(time.Unix(0, s.lastOK.Load())) < time.Second:
		return s, nil // it could not be opened a moment ago
	case !same:
		if s != nil {
			ss.drop(s)
		}
		s = ss.newSite(cluster, cl.Storage)
		s.unopened, s.reason = true, errNotOpen.Error()
		ss.byName[cluster] = s
	}
	s.opening = &opening{began: time.Now(), done: make(chan struct{})}
	go ss.open(s, s.opening)
	return s, s.opening
}

// refused says why the storage of a cluster must not be used; "" where it may be.
func (ss *Sites) refused(cluster string, decl *catalog.Storage) string {
	if ss.o.Refuse == nil {
		return ""
	}
	if err := ss.o.Refuse(cluster, decl); err != nil {
		return err.Error()
	}
	return ""
}

// refuse puts a site that is down in place of the one of a cluster, if there is one. The
// caller holds mu.
func (ss *Sites) refuse(former *Site, cluster string, decl *catalog.Storage, why string) *Site {
	if former != nil {
		ss.drop(former)
	}
	s := ss.newSite(cluster, decl)
	s.unopened, s.reason, s.refused = true, why, why
	ss.byName[cluster] = s
	if st := ss.o.Router.Snapshot().ClusterState(cluster); st != nil {
		st.SetStorage(routing.StorageDown)
	}
	return s
}

func (ss *Sites) newSite(cluster string, decl *catalog.Storage) *Site {
	return &Site{of: ss, name: cluster, decl: *decl, kick: make(chan struct{}, 1), rests: rate.NewLimiter(rate.Every(restEvery), 1), limiter: newLimiter(int64(decl.Bandwidth))}
}

// drop closes a site's client; what is in flight on it fails and is tried again with
// the next one. The caller holds mu.
func (ss *Sites) drop(s *Site) {
	delete(ss.byName, s.name)
	if s.client != nil {
		s.client.Close()
	}
	s.Feed.SilentFor("the storage's declaration changed")
}

// current reports whether a site is the one of its cluster's present declaration.
func (ss *Sites) current(s *Site) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byName[s.name] == s
}

// Close closes the clients. Sites may be got again afterwards.
func (ss *Sites) Close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byName {
		ss.drop(s)
	}
}

// Usable returns the site of a cluster if requests to it make sense now.
func (ss *Sites) Usable(cluster string) (*Site, error) {
	s := ss.Get(cluster)
	if s == nil {
		return nil, fmt.Errorf("cluster %s has no storage: %w", cluster, storage.ErrUnavailable)
	}
	if down, why := s.Down(); down || s.client == nil {
		return nil, &downError{cluster, why}
	}
	return s, nil
}

// Up reports whether all of the clusters' storages are up.
func (ss *Sites) Up(clusters ...string) bool {
	for _, c := range clusters {
		if s := ss.Get(c); s == nil || !s.Up() {
			return false
		}
	}
	return true
}

// Down reports whether a cluster has a storage that is known not to answer.
func (ss *Sites) Down(cluster string) bool {
	s := ss.Get(cluster)
	if s == nil {
		return false
	}
	down, _ := s.Down()
	return down
}

// Known returns the site of a cluster if there is one already.
func (ss *Sites) Known(cluster string) *Site {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byName[cluster]
}

// Declared lists the clusters that have a storage.
func (ss *Sites) Declared() []string {
	var names []string
	ss.o.Router.Snapshot().Clusters(func(c *catalog.Cluster) bool {
		if c.Storage != nil {
			names = append(names, c.Name)
		}
		return true
	})
	return names
}

// errNotOpen is why a site without a client is down, until its reason is known.
var errNotOpen = errors.New("the storage can't be opened")
