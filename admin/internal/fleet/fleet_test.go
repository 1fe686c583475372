package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// judge says of buckets in which states they are, and counts how often it is asked.
type judge struct {
	states map[string]string
	logs   map[string][]state.Backlog
	asked  int
	err    error
}

func (j *judge) Judge(_ context.Context, f func(control.Judged)) (ok int, err error) {
	j.asked++
	for bucket, is := range j.states {
		if is == control.BucketOK && len(j.logs[bucket]) == 0 {
			ok++
			continue
		}
		why := func() []control.Reason { return []control.Reason{{Text: "as said"}} }
		f(control.Judged{Bucket: bucket, State: is, Reasons: why, Logs: j.logs[bucket]})
	}
	return ok, j.err
}

// A look serves all who ask soon after; another configuration, or a look that failed, needs another.
func TestLooks(t *testing.T) {
	t.Parallel()
	j := &judge{states: map[string]string{"b": control.BucketStuck, "a": control.BucketConflict, "c": control.BucketOK, "d": control.BucketSyncing}}
	var looks Looks
	for range 3 {
		f, err := looks.Get(t.Context(), j)
		if err != nil || f.Counts[control.BucketOK] != 1 || len(f.Worst) != 2 || f.Worst[0].Bucket != "a" || !f.ok("c") || f.ok("b") {
			t.Fatalf("%+v, %v", f, err)
		}
	}
	if j.asked != 1 {
		t.Errorf("asked %d times", j.asked)
	}
	other := &judge{err: errors.New("no store")}
	for range 2 {
		if _, err := looks.Get(t.Context(), other); !errors.Is(err, other.err) {
			t.Errorf("%v", err)
		}
	}
	if other.asked != 2 {
		t.Errorf("asked %d times", other.asked)
	}
}

// A search tells the first names that match after one, and counts all.
func TestSearch(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutCluster(&catalog.Cluster{Name: "c1"})
		for i := range 30 {
			policy := []string{"gold", "tin"}[i%2]
			e.PutBucket(&catalog.Bucket{Name: fmt.Sprintf("b-%02d", i), Policy: policy, Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "both"}}})
			if i < 3 {
				e.SetCopies(fmt.Sprintf("b-%02d", i), []catalog.Copy{{Cluster: "c1", Primary: true, State: catalog.CopySynced}})
			}
		}
	})
	look := &Fleet{NotOK: map[string][]string{control.BucketStuck: {"b-02", "b-03"}}}
	for want, k := range map[string]Key{
		"30 [b-00 b-01]":  {},
		"12 [b-02 b-12]":  {Part: "2"},
		"15 [b-00 b-02]":  {Policy: "gold"},
		"30 [b-00 b-01] ": {Policy: "both"}, // of a prefix
		"3 [b-00 b-01]":   {Cluster: "c1"},
		"2 [b-02 b-03]":   {State: control.BucketStuck},
		"28 [b-00 b-01]":  {State: control.BucketOK},
		"0 []":            {Cluster: "c2"},
		"15 [b-00 b-02] ": {Origin: control.OriginConfig},
		"1 [b-02]":        {Cluster: "c1", Part: "2", State: control.BucketStuck},
	} {
		s := Search{Key: k, Snapshot: snap, Fleet: look, OriginOf: evenByConfig}
		names, total, err := s.First(t.Context(), "", 2)
		if got := fmt.Sprint(total, " ", names); got != want && got+" " != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	s := Search{Snapshot: snap}
	if names, total, _ := s.First(t.Context(), "b-28", 5); total != 30 || !slices.Equal(names, []string{"b-29"}) {
		t.Errorf("after: %d %v", total, names)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, err := s.First(ended, "", 5); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
}

// TestWorstIsBounded: however many buckets are stuck, the first are told.
func TestWorstIsBounded(t *testing.T) {
	f := new(Fleet)
	for i := range 3 * MaxWorst {
		f.keep(control.Judged{
			Bucket:  fmt.Sprintf("b%05d", (i*7919)%(3*MaxWorst)),
			Reasons: func() []control.Reason { return nil },
		})
	}
	if len(f.Worst) != MaxWorst || f.Worst[0].Bucket != "b00000" || f.Worst[MaxWorst-1].Bucket != fmt.Sprintf("b%05d", MaxWorst-1) {
		t.Errorf("%d, from %s to %s", len(f.Worst), f.Worst[0].Bucket, f.Worst[len(f.Worst)-1].Bucket)
	}
}

// Names of buckets that are not ok are sorted, in whatever order they were judged.
func TestNamesAreSorted(t *testing.T) {
	t.Parallel()
	j := &judge{states: make(map[string]string)}
	for i := range 100 {
		j.states[fmt.Sprintf("b%03d", i)] = control.BucketSyncing
	}
	f, err := new(Looks).Get(t.Context(), j)
	if err != nil || !slices.IsSorted(f.NotOK[control.BucketSyncing]) || len(f.NotOK[control.BucketSyncing]) != 100 || len(f.Worst) != 0 {
		t.Errorf("%v, %v", f, err)
	}
}

// evenByConfig says that the configuration declares every other bucket.
func evenByConfig(bucket string) control.Origin {
	if (bucket[len(bucket)-1]-'0')%2 == 0 {
		return control.OriginConfig
	}
	return control.OriginAPI
}

// threeBuckets are one that is stuck and behind, one that is on its way, and two that are ok.
func threeBuckets(t *testing.T) *Search {
	t.Helper()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutCluster(&catalog.Cluster{Name: "c1"})
		e.PutCluster(&catalog.Cluster{Name: "c2"})
		for i, policy := range []string{"gold", "gold", "tin", "tin"} {
			name := fmt.Sprint("b", i)
			e.PutBucket(&catalog.Bucket{Name: name, Policy: policy, Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "tin"}}})
			copies := []catalog.Copy{{Cluster: "c1", Primary: true, State: catalog.CopySynced}}
			if i == 3 {
				copies = append(copies, catalog.Copy{Cluster: "c2", State: catalog.CopySynced})
			}
			e.SetCopies(name, copies)
		}
	})
	at := time.Unix(1000, 0)
	j := &judge{
		states: map[string]string{"b0": control.BucketOK, "b1": control.BucketSyncing, "b2": control.BucketStuck, "b3": control.BucketOK},
		logs: map[string][]state.Backlog{
			"b1": {{Objects: 5, Oldest: at}, {Objects: 2, Oldest: at.Add(-time.Second)}},
			"b2": {{Objects: 1, Oldest: at.Add(-time.Hour)}},
		},
	}
	look, err := new(Looks).Get(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return &Search{Snapshot: snap, Fleet: look, OriginOf: evenByConfig}
}

// Buckets are sorted by what is asked for, and by name where that is alike.
func TestOrdered(t *testing.T) {
	t.Parallel()
	s := threeBuckets(t)
	for order, want := range map[string]string{
		ByState: "[b2 b1 b0 b3]", ByOldest: "[b2 b1 b0 b3]", ByPending: "[b1 b2 b0 b3]",
	} {
		names, total := s.Ordered(order)
		if got := fmt.Sprint(names); got != want || total != 4 {
			t.Errorf("by %s: %s of %d, want %s", order, got, total, want)
		}
	}
	s.State = control.BucketOK
	if names, total := s.Ordered(ByState); fmt.Sprint(names) != "[b0 b3]" || total != 2 {
		t.Errorf("those that are ok: %v of %d", names, total)
	}
}

// Pages go on after a name in any order, and end behind the first that are sorted.
func TestPage(t *testing.T) {
	t.Parallel()
	s := threeBuckets(t)
	sizes := copiesOf{{Bucket: "b1", Bytes: 4, Copy: catalog.Copy{Primary: true}}}
	for _, c := range []struct{ order, after, want string }{
		{"", "", "[b0 b1]"},
		{ByName, "b1", "[b2 b3]"},
		{ByName, "b11", "[b2 b3]"},
		{ByState, "", "[b2 b1]"},
		{ByState, "b1", "[b0 b3]"},
		{ByState, "gone", "[]"},
		{ByBytes, "", "[b1 b0]"},
		{ByBytes, "b0", "[b2 b3]"},
	} {
		names, total, err := s.Page(t.Context(), c.order, c.after, 2, new(Largest), sizes)
		if got := fmt.Sprint(names); got != c.want || total != 4 || err != nil {
			t.Errorf("by %q after %q: %s of %d, %v, want %s", c.order, c.after, got, total, err, c.want)
		}
	}
}

// copiesOf are the copies of buckets.
type copiesOf []state.Copy

func (all copiesOf) EachCopy(_ context.Context, f func(state.Copy) error) error {
	for _, c := range all {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

// The largest buckets are those with most bytes at their primaries, of all their rules together.
func TestLargest(t *testing.T) {
	t.Parallel()
	s := threeBuckets(t)
	size := func(bucket string, primary bool, bytes int64) state.Copy {
		return state.Copy{Bucket: bucket, Bytes: bytes, Copy: catalog.Copy{Primary: primary}}
	}
	all := copiesOf{size("b0", true, 5), size("b1", true, 4), size("b1", true, 4), size("b2", true, 1), size("b2", false, 100), size("gone", true, 1000)}
	var l Largest
	for range 2 {
		names, err := l.Of(t.Context(), all, s.Key, s.Names())
		if err != nil || fmt.Sprint(names) != "[b1 b0 b2 b3]" {
			t.Errorf("%v, %v", names, err)
		}
		all = nil // what was found a moment ago is kept
	}
}

// Facets count what each value of a filter would leave, the other filters given.
func TestFacets(t *testing.T) {
	t.Parallel()
	s := threeBuckets(t)
	for want, change := range map[string]func(*Search){
		"{4 [{stuck 1} {conflict 0} {syncing 1} {ok 2}] [{gold 2} {tin 4}] [{c1 4} {c2 1}] [{config 2} {api 2}]}": func(*Search) {},
		"{2 [{stuck 1} {conflict 0} {syncing 1} {ok 2}] [{gold 1} {tin 2}] [{c1 2} {c2 1}] [{config 1} {api 1}]}": func(s *Search) { s.State = control.BucketOK },
		"{1 [{stuck 0} {conflict 0} {syncing 0} {ok 1}] [{gold 0} {tin 1}] [{c1 4} {c2 1}] [{config 0} {api 1}]}": func(s *Search) { s.Cluster = "c2" },
		"{2 [{stuck 0} {conflict 0} {syncing 1} {ok 1}] [{gold 2} {tin 4}] [{c1 2} {c2 0}] [{config 1} {api 1}]}": func(s *Search) { s.Policy = "gold" },
		"{1 [{stuck 0} {conflict 0} {syncing 0} {ok 1}] [{gold 1} {tin 1}] [{c1 1} {c2 0}] [{config 1} {api 0}]}": func(s *Search) { s.Part = "b0" },
		"{0 [{stuck 0} {conflict 0} {syncing 0} {ok 0}] [{gold 0} {tin 0}] [{c1 0} {c2 0}] [{config 0} {api 0}]}": func(s *Search) { s.Part = "none" },
		"{2 [{stuck 0} {conflict 0} {syncing 1} {ok 1}] [{gold 1} {tin 2}] [{c1 2} {c2 1}] [{config 2} {api 2}]}": func(s *Search) { s.Origin = control.OriginAPI },
	} {
		narrowed := *s
		change(&narrowed)
		if got := fmt.Sprint(narrowed.Facets()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// From so many buckets on an index answers, as the snapshot would; a bucket that is new since the look is found.
func TestSearchByIndex(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutCluster(&catalog.Cluster{Name: "c1"})
		for i := range IndexedFrom {
			e.PutBucket(&catalog.Bucket{Name: fmt.Sprintf("b-%05d", i), Policy: []string{"gold", "tin"}[i%2]})
		}
	})
	look := &Fleet{NotOK: map[string][]string{control.BucketStuck: {"b-00002"}}}
	searches := []Key{{}, {Part: "77"}, {Policy: "tin"}, {State: control.BucketStuck}, {State: control.BucketOK}, {Cluster: "c1"}, {Origin: control.OriginAPI}}
	for _, k := range searches {
		s := Search{Key: k, Snapshot: snap, OriginOf: evenByConfig}
		if s.State == "" {
			if s.Fleet = look; s.indexed() == nil {
				t.Fatal("there is no index")
			}
		}
		s.Fleet = look
		byIndex, total, _ := s.First(t.Context(), "b-00001", 3)
		var names []string
		n := 0
		for i := range IndexedFrom {
			if name := fmt.Sprintf("b-%05d", i); s.matches(name) && (s.State != control.BucketStuck || name == "b-00002") {
				if n++; name > "b-00001" && len(names) < 3 {
					names = append(names, name)
				}
			}
		}
		if total != n || !slices.Equal(byIndex, names) {
			t.Errorf("%q: %v of %d, want %v of %d", fmt.Sprint(k), byIndex, total, names, n)
		}
	}
	grown := snap.Edit(func(e *routing.Editor) { e.PutBucket(&catalog.Bucket{Name: "new", Policy: "tin"}) })
	s := Search{Snapshot: grown, Fleet: look, OriginOf: evenByConfig, Key: Key{Part: "new"}}
	if names, total, _ := s.First(t.Context(), "", 3); total != 1 || !slices.Equal(names, []string{"new"}) {
		t.Errorf("a new bucket: %v of %d", names, total)
	}
}
