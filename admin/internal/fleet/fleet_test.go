package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// judge says of buckets in which states they are, and counts how often it is asked.
type judge struct {
	states map[string]string
	asked  int
	err    error
}

func (j *judge) Judge(_ context.Context, f func(bucket, state string, reasons []control.Reason)) error {
	j.asked++
	for bucket, state := range j.states {
		f(bucket, state, []control.Reason{{Text: "as said"}})
	}
	return j.err
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
	for want, s := range map[string]Search{
		"30 [b-00 b-01]":  {},
		"12 [b-02 b-12]":  {Part: "2"},
		"15 [b-00 b-02]":  {Policy: "gold"},
		"30 [b-00 b-01] ": {Policy: "both"}, // of a prefix
		"3 [b-00 b-01]":   {Cluster: "c1"},
		"2 [b-02 b-03]":   {State: control.BucketStuck},
		"28 [b-00 b-01]":  {State: control.BucketOK},
		"0 []":            {Cluster: "c2"},
		"1 [b-02]":        {Cluster: "c1", Part: "2", State: control.BucketStuck},
	} {
		s.Snapshot, s.Fleet = snap, look
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
		f.keep(Judged{Bucket: fmt.Sprintf("b%05d", (i*7919)%(3*MaxWorst))})
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
