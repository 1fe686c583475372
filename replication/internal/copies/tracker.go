package copies

import "sync"

// Tracker knows up to which key everything is done, when keys begin in order and end in
// any order.
type Tracker struct {
	mu    sync.Mutex
	queue []tracked // from the oldest that is not done
	base  int64     // sequence number of queue[0]
	low   string    // everything up to this key is done

	objects, bytes int64 // of what is done up to low
	room           chan struct{}
}

type tracked struct {
	key            string
	objects, bytes int64
	done           bool
}

// maxTracked bounds how far a walk runs ahead of its slowest object.
const maxTracked = 4096

func NewTracker(cursor string, objects, bytes int64) *Tracker {
	return &Tracker{low: cursor, objects: objects, bytes: bytes, room: make(chan struct{}, 1)}
}

// Begin notes a key that is being worked on, with what it counts for when it is done;
// done must be called once. Keys begin in order.
func (t *Tracker) Begin(key string, objects, bytes int64) (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seq := t.base + int64(len(t.queue))
	t.queue = append(t.queue, tracked{key: key, objects: objects, bytes: bytes})
	return func() { t.finish(seq) }
}

// Pass notes a key that needed no work.
func (t *Tracker) Pass(key string, objects, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.low, t.objects, t.bytes = key, t.objects+objects, t.bytes+bytes
		return
	}
	if last := &t.queue[len(t.queue)-1]; last.done {
		last.key, last.objects, last.bytes = key, last.objects+objects, last.bytes+bytes
		return
	}
	t.queue = append(t.queue, tracked{key: key, objects: objects, bytes: bytes, done: true})
}

func (t *Tracker) finish(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue[seq-t.base].done = true
	n := 0
	for ; n < len(t.queue) && t.queue[n].done; n++ {
		t.low = t.queue[n].key
		t.objects += t.queue[n].objects
		t.bytes += t.queue[n].bytes
	}
	t.queue = t.queue[n:]
	t.base += int64(n)
	select {
	case t.room <- struct{}{}:
	default:
	}
}

// Room delivers when Full may have changed.
func (t *Tracker) Room() <-chan struct{} { return t.room }

// Full says whether the walk must wait for its slowest object.
func (t *Tracker) Full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) >= maxTracked
}

// Idle says whether every key that began is done.
func (t *Tracker) Idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) == 0
}

// Mark returns the key up to which everything is done, and the sums up to there.
func (t *Tracker) Mark() (low string, objects, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.low, t.objects, t.bytes
}
