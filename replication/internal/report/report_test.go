package report

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink takes what is told.
type sink struct {
	events []control.Event
	bytes  map[string]int64
	failed map[string]int // by cluster and kind
	lags   []time.Duration
}

func newSink() *sink { return &sink{bytes: make(map[string]int64), failed: make(map[string]int)} }

func (s *sink) Emit(e control.Event)               { s.events = append(s.events, e) }
func (s *sink) Replicated(cluster string, n int64) { s.bytes[cluster] += n }
func (s *sink) Failed(cluster, kind string)        { s.failed[cluster+" "+kind]++ }
func (s *sink) Lag(d time.Duration)                { s.lags = append(s.lags, d) }

func fixed(at time.Time) func() time.Time { return func() time.Time { return at } }
func seconds(n int) time.Duration         { return time.Duration(n) * time.Second }
func object(cluster string) ids.Object    { return ids.ObjectIn("b", "k", cluster) }

// Everything that is done to an object is told to everyone who wants to know, once.
func TestReport(t *testing.T) {
	t.Parallel()
	s := newSink()
	r := New(s, s, fixed(time.Unix(1000, 0)))
	for _, tc := range []struct {
		tell func()
		want control.Event
	}{
		{func() { r.Copied(object("c2"), "c1", 7) }, control.Event{Op: "copied", From: "c1", Bytes: 7}},
		{func() { r.Removed(object("c2")) }, control.Event{Op: "removed"}},
		{func() { r.Failed(object("c2"), "denied", "no") }, control.Event{Op: "failed", Reason: "no"}},
	} {
		tc.tell()
		tc.want.Type, tc.want.Bucket, tc.want.Key, tc.want.Cluster = control.EventTransfer, "b", "k", "c2"
		if got := s.events[len(s.events)-1]; got != tc.want {
			t.Errorf("event %+v, want %+v", got, tc.want)
		}
	}
	r.WalkFailed("c3", "down")
	r.Took(time.Second)
	if len(s.events) != 3 {
		t.Errorf("%d events, want 3", len(s.events))
	}
	if s.bytes["c2"] != 7 || s.failed["c2 denied"] != 1 || s.failed["c3 down"] != 1 || len(s.lags) != 1 || s.lags[0] != time.Second {
		t.Errorf("metrics %+v", s)
	}
	if got := r.Figures.Rate(); got != (Rate{Objects: 1. / rateWindow, Bytes: 7. / rateWindow}) {
		t.Errorf("rate %+v", got)
	}
	if got := r.Figures.Lag(); got != (Lag{time.Second, time.Second}) {
		t.Errorf("lag %+v", got)
	}
}

// The rate is what was copied within the window, whatever the gaps between, and by
// whatever steps the clock goes on.
func TestRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		f := NewFigures(func() time.Time { return now })
		type copied struct{ at, bytes int64 }
		var all []copied
		for range rapid.IntRange(0, 100).Draw(t, "objects") {
			now = now.Add(seconds(rapid.IntRange(0, 40).Draw(t, "gap")))
			c := copied{now.Unix(), int64(rapid.IntRange(0, 1000).Draw(t, "bytes"))}
			all = append(all, c)
			f.copied(c.bytes)
		}
		now = now.Add(seconds(rapid.IntRange(0, 40).Draw(t, "gap")))
		var want Rate
		for _, c := range all {
			if c.at > now.Unix()-rateWindow {
				want.Objects++
				want.Bytes += float64(c.bytes)
			}
		}
		want.Objects, want.Bytes = want.Objects/rateWindow, want.Bytes/rateWindow
		if got := f.Rate(); got != want {
			t.Fatalf("rate %+v, want %+v", got, want)
		}
	})
}

// Percentiles are those of the last lags, whatever their order.
func TestLag(t *testing.T) {
	t.Parallel()
	f := NewFigures(fixed(time.Unix(1000, 0)))
	if got := f.Lag(); got != (Lag{}) {
		t.Errorf("of nothing: %+v", got)
	}
	for range 5 {
		f.took(time.Hour) // forgotten once there are enough others
	}
	for i := range lagSamples {
		f.took(seconds((i*37)%lagSamples + 1))
	}
	if got := f.Lag(); got != (Lag{P50: seconds(lagSamples/2 + 1), P99: seconds(lagSamples*99/100 + 1)}) {
		t.Errorf("lag %+v", got)
	}
}
