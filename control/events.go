package control

import (
	"slices"
	"sync"
	"time"
)

// EventType names what happened.
type EventType string

// The types of Event.
const (
	EventResource    EventType = "resource"     // a resource was created, changed or deleted
	EventCopy        EventType = "copy"         // a copy's state changed
	EventTransfer    EventType = "transfer"     // an object was copied, removed, or failed
	EventStorage     EventType = "storage"      // a storage came up or went down
	EventFunction    EventType = "function"     // an endpoint's health changed
	EventBucketStuck EventType = "bucket_stuck" // a bucket can't get where it should be
	// EventConfiguration: another configuration is in force, or all was loaded again; what
	// changed is not told one by one.
	EventConfiguration EventType = "configuration"

	EventVerification EventType = "verification" // a bucket's verification got further, or ended
	EventDrain        EventType = "drain"        // a cluster began to drain, or is empty

	EventPrimaryMoved EventType = "primary_moved" // a bucket is written in another cluster now
	EventBucketOK     EventType = "bucket_ok"     // a bucket that was stuck or in conflict is not any more
)

// EventTypes are all of them.
var EventTypes = []EventType{
	EventResource, EventCopy, EventTransfer, EventStorage, EventFunction, EventBucketStuck, EventBucketOK,
	EventPrimaryMoved, EventVerification, EventDrain, EventConfiguration,
}

// Event is one thing that happened. Fields that say nothing about it are empty.
type Event struct {
	Type    EventType
	Time    time.Time
	Op      string // created, changed, deleted; copied, removed, failed
	Kind    string
	Name    string
	Bucket  string
	Prefix  string
	Key     string
	Cluster string
	From    string
	URL     string
	State   string
	Reason  string
	Bytes   int64
	// Elsewhere: another instance did it, and emitted the event as well.
	Elsewhere bool
	Objects   int64
	Total     int64
}

// Bus hands events to those who watch, for people to read. A watcher that can't keep up
// misses events and is told how many; Emit never waits. What must not be missed goes by
// [Hooks]. The last events are kept: see [Bus.Log].
type Bus struct {
	mu   sync.Mutex
	subs map[*Subscription]struct{}
	log  eventLog
	now  func() time.Time
}

// Subscription is one watcher's view of a Bus.
type Subscription struct {
	// C delivers events until Close.
	C      chan Event
	types  []EventType // empty: all
	mu     sync.Mutex
	missed int
	bus    *Bus
}

// NewBus returns a bus without watchers.
func NewBus(now func() time.Time) *Bus {
	return &Bus{
		subs: make(map[*Subscription]struct{}), now: now,
		log: eventLog{events: eventRing{room: keptEvents}, objects: eventRing{room: keptTransfers}},
	}
}

// Subscribe starts watching events of some types, or of all without any, with room for so
// many not yet read.
func (b *Bus) Subscribe(room int, types ...EventType) *Subscription {
	s := &Subscription{C: make(chan Event, room), types: types, bus: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[s] = struct{}{}
	return s
}

// Close stops watching. It may be called more than once.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subs, s)
}

// Missed returns how many events were dropped since the last call.
func (s *Subscription) Missed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.missed
	s.missed = 0
	return n
}

// Emit hands an event to every watcher; a zero Time becomes now.
func (b *Bus) Emit(e Event) {
	if e.Time.IsZero() {
		e.Time = b.now().UTC()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.add(e)
	for s := range b.subs {
		if len(s.types) > 0 && !slices.Contains(s.types, e.Type) {
			continue
		}
		select {
		case s.C <- e:
		default:
			s.mu.Lock()
			s.missed++
			s.mu.Unlock()
		}
	}
}
