package replication

import (
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/peers"
)

// clockedScans is a scheduler on a clock that a test moves.
func clockedScans(now *time.Time) *scans {
	clock := func() time.Time { return *now }
	return &scans{
		core: core{now: clock}, wake: make(chan struct{}, 1),
		last:  memory.New[string, time.Time](lastMax, 0, clock),
		asked: make(map[string]time.Time),
	}
}

// due returns what is to be scanned now, sorted, and the time to what is next.
func (s *scans) due() (buckets []string, next time.Duration) {
	buckets, next = s.takeDue()
	slices.Sort(buckets)
	return buckets, next
}

// Scans of one bucket that FaDO asks for itself keep a distance; the first begins at once,
// and other buckets don't wait.
func TestRequestedScansKeepADistance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := clockedScans(&now)
	s.request("b")
	s.request("b")
	if got, _ := s.due(); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("due at once: %q", got)
	}
	now = now.Add(time.Second)
	s.request("b")
	s.request("other")
	if got, next := s.due(); !slices.Equal(got, []string{"other"}) || next != soonGap-time.Second {
		t.Errorf("a second later: %q, the next in %v", got, next)
	}
	s.request("b") // waits already: its time stays
	now = now.Add(soonGap - time.Second)
	if got, next := s.due(); !slices.Equal(got, []string{"b"}) || next != idleScan {
		t.Errorf("after the distance: %q, the next in %v", got, next)
	}
}

// A scan that people ask for begins at once, and takes the place of one that waits.
func TestScansAskedForBeginAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := clockedScans(&now)
	s.retryAfter("b", time.Minute)
	s.retryAfter("b", time.Second) // asked for already
	if got, next := s.due(); len(got) != 0 || next != time.Minute {
		t.Errorf("before its time: %q, the next in %v", got, next)
	}
	s.runNow("b")
	if got, _ := s.due(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("asked for: %q", got)
	}
	if got, _ := s.due(); len(got) != 0 {
		t.Errorf("scanned twice: %q", got)
	}
	select {
	case <-s.wake:
	default:
		t.Error("nobody is woken")
	}
}

// What listeners missed is closed by scans of the buckets concerned, once; so is what
// another instance left behind.
func TestScansCloseGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	for _, c := range []string{"c1", "c2", "c3"} {
		w.fake(c)
	}
	w.policy("one", 1, "c1")
	w.policy("two", 2, "c2", "c3")
	w.bucket("alone", "one", "c1")
	w.bucket("pair", "two", "c2")
	w.awaitOK("alone", "c1")
	w.awaitOK("pair", "c2", "c3")
	r := w.eng.run.Load()
	s := newScans(r.core, t.Context(), r.jobs)
	var looked []string
	s.owns = func(string) bool { return true }
	s.recheck = func(b string) { looked = append(looked, b) }
	s.jobs = newRunner()
	s.jobs.owns = s.owns
	p := newPasses(s)
	p.feedGap("c3")
	p.closeGaps(t.Context())
	if !slices.Equal(looked, []string{"pair"}) || s.jobs.waiting(jobScan) != 1 {
		t.Errorf("behind the gap are %q, %d scans wait", looked, s.jobs.waiting(jobScan))
	}
	p.closeGaps(t.Context())
	if len(looked) != 1 {
		t.Error("a gap is closed twice")
	}
	looked = nil
	p.shardsGained([]int{peers.ShardOf("alone")})
	p.lookGained(t.Context())
	want := []string{"alone"}
	if peers.ShardOf("pair") == peers.ShardOf("alone") {
		want = append(want, "pair")
	}
	if slices.Sort(looked); !slices.Equal(looked, want) {
		t.Errorf("of the part gained %q were looked at", looked)
	}
	p.lookGained(t.Context())
	if len(looked) != len(want) {
		t.Error("a part is looked at twice")
	}
}

// Where the operator wants no listeners, silence is no reason to scan.
func TestSilentBuckets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	w.fake("c1")
	w.fake("c2")
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	r, copies := w.eng.run.Load(), w.ctl.Router().Snapshot().Of("bkt").Copies()
	if r.passes.silent()("bkt", copies) {
		t.Error("a bucket is scanned for listeners that nobody wants")
	}
	w.eng.Reconfigure(Settings{})
	w.feedsLive("c1", "c2")
	r = w.eng.run.Load()
	if r.passes.silent()("bkt", copies) {
		t.Error("a bucket whose primary is listened to counts as silent")
	}
	r.sites.Get("c2").Feed.SilentFor("for the test")
	if r.passes.silent()("bkt", copies) {
		t.Error("a silent copy makes a bucket with one writer silent")
	}
	r.sites.Get("c1").Feed.SilentFor("for the test")
	if !r.passes.silent()("bkt", copies) || r.passes.silent()("bkt", []catalog.Copy{copies[1]}) {
		t.Error("a bucket is silent where its primary is")
	}
}

// A scan that finds nothing is stored as progress: a million of them a day are no durable transactions.
func TestScanCostsNoTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy, o.Now = fakestorage.Copy, nil })
	c1, _ := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "k", "x")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	scanned := func() {
		before, _ := w.copyRow("bkt", "", "c2")
		w.later(time.Second)
		w.must(w.eng.SyncBucket(t.Context(), "bkt"))
		w.await("a scan", func() bool {
			now, _ := w.copyRow("bkt", "", "c2")
			return now.VerifiedAt.After(before.VerifiedAt)
		})
	}
	scanned() // what is left of the beginning
	w.calls.reset()
	for range 5 {
		scanned()
	}
	w.calls.mu.Lock()
	defer w.calls.mu.Unlock()
	if w.calls.updates > 0 {
		t.Errorf("five scans cost %d durable transactions", w.calls.updates)
	}
}
