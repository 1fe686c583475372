package walk

import (
	"context"
	"sync"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/routing"
)

// began knows when walks began that were cut and may go on: what they compared by then is
// as of that time. A process forgets it with its end.
type began struct {
	mu sync.Mutex
	at map[ids.Copy]start
}

// start is when a walk began, and how far it has come since.
type start struct {
	at time.Time
	to progress
}

// progress is how far a walk came, with the sums up to there.
type progress struct {
	cursor         string
	objects, bytes int64
}

func newBegan() *began { return &began{at: make(map[ids.Copy]start)} }

func (b *began) note(id ids.Copy, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at[id] = start{at: at}
}

func (b *began) get(id ids.Copy) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at[id].at
}

// reach notes how far a walk has come; reached returns it. Scans keep that themselves.
func (b *began) reach(id ids.Copy, to progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, known := b.at[id]; known {
		s.to = to
		b.at[id] = s
	}
}

func (b *began) reached(id ids.Copy) progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at[id].to
}

func (b *began) forget(id ids.Copy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.at, id)
}

// counts reports whether it is known when a walk began, and no changes may have been missed
// since where the bucket is written.
func (b *began) counts(o *Options, id ids.Copy) bool {
	at := b.get(id)
	if at.IsZero() {
		return false
	}
	st := o.Router.Snapshot().ClusterState(o.Router.Snapshot().Of(id.Bucket).Primary())
	if st == nil {
		return true
	}
	missed, open := st.Gap()
	return !open && !at.Before(missed)
}

// since notes when a walk began that starts at the first key, or when the one did that it
// goes on with; zero if that is not known. What begins now begins after every gap that is
// over: a gap's end is known to a fraction of a second.
func (w *pass) since(ctx context.Context, known *began) error {
	if w.row.ScanCursor != "" || w.row.Cursor != "" {
		w.began = known.get(w.id)
		return nil
	}
	for waited := time.Duration(0); w.mayMiss() && waited < gapPatience; waited += gapLook {
		if !delay.Sleep(ctx, gapLook) {
			return ctx.Err()
		}
	}
	w.began = w.o.Now()
	known.note(w.id, w.began)
	return nil
}

const (
	// gapPatience is how long a walk waits for a gap to end: a comparison that begins in it
	// does not count.
	gapPatience = 5 * time.Second
	gapLook     = 25 * time.Millisecond
)

// mayMiss reports whether a comparison that begins now does not count, because changes may be
// missed where the bucket is written.
func (w *pass) mayMiss() bool {
	snap := w.o.Router.Snapshot()
	for _, row := range w.rows {
		st := snap.ClusterState(row.Cluster)
		if st == nil || row.Prefix != w.id.Prefix || !row.Primary && !w.anywhere || st.Storage() == routing.StorageDown {
			continue
		}
		if end, open := st.Gap(); open || end.After(w.o.Now()) {
			return true
		}
	}
	return false
}

// name is the copy as routing names it.
func (w *pass) name() routing.CopyName {
	return routing.CopyName{Bucket: w.id.Bucket, Prefix: w.id.Prefix, Cluster: w.id.Cluster}
}

// passed has routing know that every key up to a cursor was compared in this walk: what
// differed has a row.
func (w *pass) passed(cursor string) {
	if !w.began.IsZero() {
		w.o.Router.Compared.Walk(w.name(), w.began, cursor)
	}
}
