package peers

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

const (
	// watchFor is how long the others tell what they move after they were asked to.
	watchFor = 15 * time.Second
	// watchWait bounds how long is waited for those that begin to tell.
	watchWait = 5 * time.Second
)

// watch is who wants to know what instances move, and what the others told. While nobody does,
// nothing is told.
type watch struct {
	until     time.Time // when this instance stops to want it
	elsewhere bool      // another one wants it
	// told are what the others move, by member; nil for one that has not told yet.
	told map[string]json.RawMessage
	// taken closes when reports are taken in, and is another one then.
	taken chan struct{}
}

// take notes what the reports of the others say.
func (w *watch) take(others map[string]peerReport) {
	w.elsewhere, w.told = false, make(map[string]json.RawMessage, len(others))
	for member, o := range others {
		w.elsewhere = w.elsewhere || o.Watches
		w.told[member] = o.Moving
	}
	close(w.taken)
	w.taken = make(chan struct{})
}

// Watch has the other instances tell for a while what they move, and returns what they told. Those
// that begin to tell are waited for, but not for long.
func (p *Peers) Watch(ctx context.Context) []json.RawMessage {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	fresh := p.want()
	for {
		told, all, more := p.told()
		if all || !fresh || !p.o.Members.Shared() {
			return told
		}
		select {
		case <-more:
		case <-ctx.Done():
			return told
		}
	}
}

// want notes that what the others move is wanted, and reports whether it was not before.
func (p *Peers) want() (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now()
	fresh = !now.Before(p.watch.until)
	p.watch.until = now.Add(watchFor)
	return fresh
}

// told returns what the others told, whether all of them did, and what closes when there is more.
func (p *Peers) told() (told []json.RawMessage, all bool, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all = true
	for _, member := range slices.Sorted(maps.Keys(p.watch.told)) {
		if text := p.watch.told[member]; text != nil {
			told = append(told, text)
		} else {
			all = false
		}
	}
	return told, all, p.watch.taken
}
