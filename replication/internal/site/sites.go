package site

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Sites are the storages of all clusters.
type Sites struct {
	// Facts are what was found out about buckets.
	Facts *Facts
	// Bandwidth is what this instance may move.
	Bandwidth Bandwidth

	o     *Options
	again chan struct{} // has the monitors follow the declarations

	mu       sync.Mutex
	byName   map[string]*Site
	openings map[*Site]*opening // of those whose client is being made
}

// Writers gives access to the writing half of a site's storage. Only package guard may hold
// it.
type Writers func(s *Site) (storage.Writer, error)

// New returns the sites, and the one key to their writers.
func New(o Options) (*Sites, Writers) {
	ss := &Sites{o: &o, again: make(chan struct{}, 1), byName: make(map[string]*Site), openings: make(map[*Site]*opening)}
	ss.Facts = newFacts(&o, ss.Known)
	return ss, writer
}

func writer(s *Site) (storage.Writer, error) {
	if s.client == nil {
		return nil, fmt.Errorf("the storage of %s can't be opened: %w", s.name, storage.ErrUnavailable)
	}
	return s.client.Writer(), nil
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
	case same && (s.client != nil || ss.openings[s].underWay()):
		return s, ss.openings[s]
	case same && time.Since(time.Unix(0, s.lastOK.Load())) < time.Second:
		return s, nil // it could not be opened a moment ago
	case !same:
		if s != nil {
			ss.drop(s)
		}
		s = ss.newSite(cluster, cl.Storage, nil)
		s.unopened, s.reason = true, errNotOpen.Error()
		ss.byName[cluster] = s
	}
	o := &opening{began: time.Now(), done: make(chan struct{})}
	ss.openings[s] = o
	go ss.open(s, o)
	return s, o
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
	s := ss.newSite(cluster, decl, nil)
	s.unopened, s.reason, s.refused = true, why, why
	ss.byName[cluster] = s
	if st := ss.o.Router.Snapshot().ClusterState(cluster); st != nil {
		st.SetStorage(routing.StorageDown)
	}
	return s
}

func (ss *Sites) newSite(cluster string, decl *catalog.Storage, client storage.Storage) *Site {
	s := &Site{
		o: ss.o, isCurrent: ss.current, name: cluster, decl: *decl, client: client, kick: make(chan struct{}, 1),
		rests: rate.NewLimiter(rate.Every(restEvery), 1), limiter: newLimiter(int64(decl.Bandwidth)),
		Space: &Space{o: ss.o, name: cluster},
	}
	if client != nil {
		s.reader = storage.ReadOnly(client.Reader())
	}
	s.Births = &Births{o: ss.o, reader: s.reader}
	return s
}

// open makes the client of a site outside of the lock; a site whose client can't be made is
// down, and stays the one it is.
func (ss *Sites) open(s *Site, o *opening) {
	client, err := ss.o.Open(s.name, &s.decl)
	defer close(o.done)
	o.made = s
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.byName[s.name] != s { // declared differently by now, or gone
		delete(ss.openings, s)
		if client != nil && err == nil {
			client.Close()
		}
		return
	}
	delete(ss.openings, s)
	cond := routing.StorageUnknown
	if err != nil {
		s.lastOK.Store(time.Now().UnixNano())
		s.mu.Lock()
		s.reason = err.Error()
		s.mu.Unlock()
		cond = routing.StorageDown
	} else {
		next := ss.newSite(s.name, &s.decl, client)
		ss.drop(s)
		ss.byName[s.name], o.made = next, next
	}
	if st := ss.o.Router.Snapshot().ClusterState(s.name); st != nil {
		st.SetStorage(cond)
	}
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
