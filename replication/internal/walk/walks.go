package walk

import (
	"cmp"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/replication/internal/memory"
)

// Walks is all that goes over copies. All methods are safe for concurrent use, as far as
// the copies' locks are held.
type Walks struct {
	// Locks has a copy to oneself while it is walked.
	Locks *keylock.Locks[ids.Copy]

	Buckets *Buckets
	Syncer  *Syncer
	Scanner *Scanner
	// Historian is what Syncer, Scanner and Mover bring histories along with.
	Historian *Historian
	Evictor   *Evictor
	Mover     *Mover
}

// New returns the walks of an instance.
func New(o Options) *Walks {
	o.Timing = o.Timing.withDefaults()
	o.ScanExtras = cmp.Or(o.ScanExtras, scanExtras)
	o.ScanMissing = cmp.Or(o.ScanMissing, scanMissing)
	w := &Walks{Locks: keylock.New[ids.Copy](), Buckets: &Buckets{&o, newPairs(&o)}}
	w.Historian = &Historian{&o}
	w.Syncer = &Syncer{o: &o, buckets: w.Buckets, began: newBegan(), histories: w.Historian}
	w.Scanner = &Scanner{o: &o, buckets: w.Buckets, syncer: w.Syncer, began: newBegan(), histories: w.Historian}
	w.Evictor = &Evictor{o: &o, buckets: w.Buckets, left: make(map[ids.Copy][]string)}
	w.Mover = &Mover{&o, w.Locks, w.Buckets, w.Scanner, w.Historian, memory.New[string, parting](partings, 0, o.Now)}
	return w
}
