package walk

import (
	"cmp"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
)

// Walks is all that goes over copies to bring them in step. All methods are safe for concurrent
// use, as far as the copies' locks are held.
type Walks struct {
	// Locks has a copy to oneself while it is walked.
	Locks *keylock.Locks[ids.Copy]

	Syncer  *Syncer
	Scanner *Scanner
	// Historian is what Syncer and Scanner bring histories along with.
	Historian *Historian
}

// New returns the walks of an instance.
func New(o Options) *Walks {
	o.ScanExtras = cmp.Or(o.ScanExtras, scanExtras)
	o.ScanMissing = cmp.Or(o.ScanMissing, scanMissing)
	w := &Walks{Locks: keylock.New[ids.Copy](), Historian: &Historian{&o}}
	w.Syncer = &Syncer{o: &o, began: newBegan(), histories: w.Historian}
	w.Scanner = &Scanner{o: &o, syncer: w.Syncer, began: newBegan(), histories: w.Historian}
	return w
}
