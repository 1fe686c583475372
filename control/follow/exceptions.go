package follow

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Exceptions keeps the index of pending objects in step with the store's rows, which
// change from three sides: this instance adds rows, finishes rows, and follows what
// other instances did. The invariant, for every key and cluster:
//
//   - a row that this instance added is an exception from before it is stored until its
//     removal was told of, by the store or by the outcome of this instance's own finish;
//   - a row that any instance added is an exception from when this instance follows the
//     store up to its addition;
//   - nothing else takes an exception away: what is told of the past of a row (it was
//     removed, before it was added again) does not outweigh what is known of its present.
//
// So an exception may stay a little longer than its row, never the other way round.
type Exceptions struct {
	index *routing.PendingIndex

	mu sync.Mutex
	// following says that the store reports removals as well.
	following bool
	// reads counts the reads of the store's object changes that have begun.
	reads int64
	// ahead holds what this instance added and the store has not yet reported.
	ahead map[objectKey]*ownRow
	// finishing holds what this instance is removing; true once an addition of the key
	// was told of meanwhile.
	finishing map[objectKey]bool
	// gone holds what was told to be removed and is to be dropped from the index.
	gone map[objectKey]struct{}
	// reloads are the reloads under way.
	reloads map[*Reload]struct{}
	// clusters counts the exceptions of each cluster that has any.
	clusters map[string]int

	signals *Signals
}

type objectKey struct{ bucket, key, cluster string }

// ownRow is a row that this instance adds.
type ownRow struct {
	storing int   // calls under way
	lost    bool  // the store did not take it, as far as is known
	reads   int64 // reads begun when it was stored
}

// Reload is one reading of stored rows, and what happened to keys meanwhile: that
// outweighs what was read.
type Reload struct {
	bucket, cluster string
	read            int64 // its number among the reads
	meanwhile       map[objectKey]struct{}
	found           map[objectKey]struct{}
}

// NewExceptions returns the exceptions kept in an index, which only they may change.
// Signals are called for every change.
func NewExceptions(index *routing.PendingIndex, signals *Signals) *Exceptions {
	return &Exceptions{
		index: index, ahead: make(map[objectKey]*ownRow), finishing: make(map[objectKey]bool),
		gone: make(map[objectKey]struct{}), reloads: make(map[*Reload]struct{}), clusters: make(map[string]int), signals: signals,
	}
}

// Has says whether a cluster has exceptions, and so possibly rows that can be worked on.
func (e *Exceptions) Has(cluster string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.clusters[cluster] > 0
}

// Clusters lists the clusters that have exceptions, sorted.
func (e *Exceptions) Clusters() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.clusters))
}

// Count returns how many exceptions there are; settled says that as many rows are stored, as far as this
// instance knows: it is adding and removing none, and was told of none that it is yet to drop.
func (e *Exceptions) Count() (n int, settled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, own := range e.ahead {
		if own.storing > 0 || own.lost {
			return 0, false
		}
	}
	for _, of := range e.clusters {
		n += of
	}
	return n, len(e.finishing) == 0 && len(e.gone) == 0 && len(e.reloads) == 0
}

// add makes a key an exception. The caller holds mu.
func (e *Exceptions) add(k objectKey) {
	if e.index.Has(k.bucket, k.key, k.cluster) {
		return
	}
	e.index.Add(k.bucket, k.key, k.cluster)
	if n, known := e.clusters[k.cluster]; known {
		e.clusters[k.cluster] = n + 1
	} else {
		e.clusters[strings.Clone(k.cluster)] = 1 // not the string of one row among many
	}
	e.signals.Fire(k.bucket)
}

// remove takes a key's exception back. The caller holds mu.
func (e *Exceptions) remove(k objectKey) {
	if !e.index.Has(k.bucket, k.key, k.cluster) {
		return
	}
	e.index.Remove(k.bucket, k.key, k.cluster)
	if n := e.clusters[k.cluster]; n > 1 {
		e.clusters[k.cluster] = n - 1
	} else {
		delete(e.clusters, k.cluster)
	}
	e.signals.Fire(k.bucket)
}

// Follow says whether the store reports removals.
func (e *Exceptions) Follow(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.following = on
}

// Adding makes rows exceptions before they are stored. Added is to follow for each of them.
func (e *Exceptions) Adding(rows []state.Pending) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range rows {
		k := objectKey{r.Bucket, r.Key, r.Cluster}
		e.touch(k)
		delete(e.gone, k)
		e.add(k)
		own := e.ahead[k]
		if own == nil {
			own = new(ownRow)
			e.ahead[k] = own
		}
		if own.storing == 0 {
			own.lost = false
		}
		own.storing++
	}
}

// Added notes the outcome of storing rows.
func (e *Exceptions) Added(rows []state.Pending, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range rows {
		k := objectKey{r.Bucket, r.Key, r.Cluster}
		e.touch(k) // a reload may have read before the row was there
		own := e.ahead[k]
		switch {
		case own == nil && err != nil:
			e.ahead[k] = &ownRow{lost: true}
		case own == nil:
		default:
			own.storing = max(0, own.storing-1)
			// A row that went in does not speak for a later one that did not.
			own.lost, own.reads = own.lost || err != nil, e.reads
			if !e.following && !own.lost && own.storing == 0 {
				delete(e.ahead, k) // no notification will come
			}
		}
	}
}

// Lost returns rows, at most so many, for exceptions that the store took no row for.
func (e *Exceptions) Lost(most int) (rows []state.Pending) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, own := range e.ahead {
		if len(rows) == most {
			break
		}
		if own.lost && own.storing == 0 {
			rows = append(rows, state.Pending{Bucket: k.bucket, Key: k.key, Cluster: k.cluster, Size: -1, Background: true})
		}
	}
	return rows
}

// Finish announces that rows are about to be removed.
func (e *Exceptions) Finish(keys []state.PendingKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range keys {
		e.finishing[objectKey{p.Bucket, p.Key, p.Cluster}] = false
	}
}

// Finished drops the exceptions of the rows that were removed, unless an addition was
// told of meanwhile: then the order is the store's to tell.
func (e *Exceptions) Finished(keys []state.PendingKey, removed []bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, p := range keys {
		k := objectKey{p.Bucket, p.Key, p.Cluster}
		addedMeanwhile := e.finishing[k]
		delete(e.finishing, k)
		own := e.ahead[k]
		if i >= len(removed) || !removed[i] || addedMeanwhile || own != nil && (own.storing > 0 || own.lost) {
			continue
		}
		delete(e.ahead, k)
		e.touch(k)
		e.remove(k)
	}
}

// BeginRead numbers a read of the store's object changes.
func (e *Exceptions) BeginRead() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reads++
	return e.reads
}

// Observe takes what the store tells. Additions count at once; removals when DropGone is called,
// after what else was committed with them is routed by.
func (e *Exceptions) Observe(changes []state.ObjectChange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := make(map[objectKey]bool, len(changes))
	for _, c := range changes {
		if c.Kind != state.ObjectPending {
			continue
		}
		k := objectKey{c.Bucket, c.Key, c.Cluster}
		last[k] = c.Gone
		if _, ok := e.finishing[k]; ok && !c.Gone {
			e.finishing[k] = true
		}
	}
	for k, gone := range last {
		e.touch(k)
		if gone {
			e.gone[k] = struct{}{}
			continue
		}
		delete(e.gone, k)
		e.add(k)
	}
}

// DropGone drops what was told to be removed. Up to the read of that number everything was
// told, so that what this instance had stored before it has been told of.
func (e *Exceptions) DropGone(read int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, own := range e.ahead {
		if own.storing == 0 && !own.lost && own.reads < read {
			delete(e.ahead, k)
		}
	}
	for k := range e.gone {
		if e.ahead[k] == nil {
			delete(e.gone, k)
			e.remove(k)
		}
	}
}

// Unsettled reports whether removals that were told of wait for another read.
func (e *Exceptions) Unsettled() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.gone) > 0
}

// touch notes that something is known of a key that a reload under way does not know. The
// caller holds mu.
func (e *Exceptions) touch(k objectKey) {
	for r := range e.reloads {
		if (r.bucket == "" || r.bucket == k.bucket) && (r.cluster == "" || r.cluster == k.cluster) {
			r.meanwhile[k] = struct{}{}
		}
	}
}

// BeginReload begins the reading of the stored rows of a bucket in a cluster; "" means all.
func (e *Exceptions) BeginReload(bucket, cluster string) *Reload {
	r := &Reload{bucket: bucket, cluster: cluster, meanwhile: make(map[objectKey]struct{}), found: make(map[objectKey]struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reads++
	r.read = e.reads
	e.reloads[r] = struct{}{}
	return r
}

// Row takes one stored row in.
func (r *Reload) Row(p state.Pending) {
	r.found[objectKey{p.Bucket, p.Key, p.Cluster}] = struct{}{}
}

// EndReload makes the exceptions those that were read; with an error nothing changes.
func (e *Exceptions) EndReload(r *Reload, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.reloads, r)
	if err != nil {
		return
	}
	for k := range r.found {
		if _, newer := r.meanwhile[k]; !newer {
			delete(e.gone, k)
			e.add(k)
		}
	}
	e.index.Each(r.bucket, func(bucket, key, cluster string) {
		k := objectKey{bucket, key, cluster}
		_, found := r.found[k]
		_, newer := r.meanwhile[k]
		own := e.ahead[k]
		onItsWay := own != nil && (own.storing > 0 || own.lost || own.reads >= r.read)
		if found || newer || onItsWay || r.cluster != "" && r.cluster != cluster {
			return
		}
		e.remove(k)
	})
}
