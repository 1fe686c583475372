package control

import (
	"cmp"
	"slices"
)

// How many events a Bus keeps. Objects that were copied or removed have room of their own:
// a bulk copy must not push out what people look for.
const (
	keptEvents    = 8000
	keptTransfers = 2000
)

// LoggedEvent is an event that was kept. Numbers grow with time, across restarts too.
type LoggedEvent struct {
	Seq int64
	Event
}

// eventLog keeps the last events.
type eventLog struct {
	seq             int64
	events, objects eventRing
}

func (l *eventLog) add(e Event) {
	// Where one process ends and another begins, the clock keeps the order.
	l.seq = max(l.seq+1, e.Time.UnixMicro())
	ring := &l.events
	if e.Type == EventTransfer && e.Op != "failed" {
		ring = &l.objects
	}
	ring.add(LoggedEvent{l.seq, e})
}

// eventRing holds the last events of one kind, the oldest at next once it is full.
type eventRing struct {
	list []LoggedEvent
	next int
	room int
}

func (r *eventRing) add(e LoggedEvent) {
	if len(r.list) < r.room {
		r.list = append(r.list, e)
		return
	}
	r.list[r.next] = e
	r.next = (r.next + 1) % r.room
}

// pick appends what is behind a number and matches.
func (r *eventRing) pick(dst []LoggedEvent, after int64, match func(*Event) bool) []LoggedEvent {
	for i := range r.list {
		if e := &r.list[i]; e.Seq > after && match(&e.Event) {
			dst = append(dst, *e)
		}
	}
	return dst
}

// Log returns kept events that match, in order: the first ones behind a number, or the last
// ones there are where after is 0; so many at most. match must be quick: no event is emitted
// meanwhile.
func (b *Bus) Log(after int64, most int, match func(*Event) bool) []LoggedEvent {
	b.mu.Lock()
	found := b.log.objects.pick(b.log.events.pick(nil, after, match), after, match)
	b.mu.Unlock()
	slices.SortFunc(found, func(a, b LoggedEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	if len(found) <= most {
		return found
	}
	if after > 0 {
		return found[:most]
	}
	return found[len(found)-most:]
}
