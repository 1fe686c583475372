package site

import (
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// patience is how long a storage may take to open before it counts as one that can't be
// opened. Opening makes no connection, but reads files (a ca_file, secrets), and a path may
// hang; no other storage waits for that.
const patience = time.Second

// opening is the making of a site's client.
type opening struct {
	began time.Time
	done  chan struct{}
	made  *Site // set when done is closed
}

// underWay reports whether the client is still being made.
func (o *opening) underWay() bool {
	if o == nil {
		return false
	}
	select {
	case <-o.done:
		return false
	default:
		return true
	}
}

// wait returns the site that was made, or the one that stands for it when patience is over.
func (o *opening) wait(meanwhile *Site) *Site {
	t := time.NewTimer(patience - time.Since(o.began))
	defer t.Stop()
	select {
	case <-o.done:
		return o.made
	case <-t.C:
		return meanwhile
	}
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
		if client != nil && err == nil {
			client.Close()
		}
		return
	}
	s.opening = nil
	cond := routing.StorageUnknown
	if err != nil {
		s.lastOK.Store(time.Now().UnixNano())
		s.mu.Lock()
		s.reason = err.Error()
		s.mu.Unlock()
		cond = routing.StorageDown
	} else {
		next := ss.newSite(s.name, &s.decl)
		next.client, next.reader = client, storage.ReadOnly(client)
		ss.drop(s)
		ss.byName[s.name], o.made = next, next
	}
	if st := ss.o.Router.Snapshot().ClusterState(s.name); st != nil {
		st.SetStorage(cond)
	}
}
