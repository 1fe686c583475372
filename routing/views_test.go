package routing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// viewed is a snapshot with a cluster c1 and one c2, and a bucket with copies in states that are given for each.
func viewed(buckets map[string][]catalog.Copy) *routing.Snapshot {
	return routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for _, name := range []string{"c1", "c2"} {
			c := &catalog.Cluster{Name: name}
			c.Normalize()
			e.PutCluster(c)
		}
		e.PutPolicy(&catalog.Policy{Name: "p"})
		for name, copies := range buckets {
			e.PutBucket(&catalog.Bucket{Name: name, Policy: "p", Prefixes: []catalog.PrefixRule{{Prefix: "a/", Policy: "q"}}})
			e.SetCopies(name, copies)
		}
	})
}

// Every bucket is seen once, with what it has, and its condition is that of its copies.
func TestViews(t *testing.T) {
	t.Parallel()
	primary := catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}
	in2 := func(s catalog.CopyState) catalog.Copy { return catalog.Copy{Cluster: "c2", State: s} }
	buckets := map[string][]catalog.Copy{
		"settled": {primary, in2(catalog.CopySynced)},
		"alone":   {primary},
		"waiting": {primary, in2(catalog.CopyWaiting)},
		"failed":  {primary, in2(catalog.CopyFailed)},
		"headless": {
			{Cluster: "c1", State: catalog.CopySynced},
		},
		"new": nil,
	}
	s := viewed(buckets)
	type found = map[string]routing.Condition
	look := func() found {
		conditions := make(found)
		s.Views(func(b routing.BucketView) bool {
			conditions[b.Name()] = b.Condition()
			if !b.Known() || b != s.Of(b.Name()) {
				t.Errorf("%s is not the bucket of that name", b.Name())
			}
			return true
		})
		return conditions
	}
	want := found{
		"settled": routing.Settled, "alone": routing.Settled, "waiting": routing.Unsettled, "failed": routing.Unsettled,
		"headless": routing.Unsettled, "new": routing.Unsettled,
	}
	if got := look(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.ClusterState("c2").SetStorage(routing.StorageDown)
	want["settled"], want["waiting"] = routing.Down, routing.Down // what has failed needs more than the storage
	if got := look(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("with c2 down %v, want %v", got, want)
	}
	b := s.Of("settled")
	if got := b.PoliciesIn([]string{"x"}); !slices.Equal(got, []string{"x", "p", "q"}) {
		t.Errorf("the policies are %v", got)
	}
	if got := b.ClustersIn(nil); !slices.Equal(got, []string{"c1", "c2"}) {
		t.Errorf("the clusters are %v", got)
	}
	if none := s.Of("none"); none.Known() || none.Condition() != routing.Unsettled {
		t.Error("an unknown bucket is known")
	}
	n := 0
	s.Views(func(routing.BucketView) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("%d buckets are seen after the one to stop at", n)
	}
}

// The mark of buckets changes with them, their copies and the default policy, and with nothing else.
func TestBucketsMark(t *testing.T) {
	t.Parallel()
	s := viewed(map[string][]catalog.Copy{"b": nil})
	for what, c := range map[string]struct {
		edit func(*routing.Editor)
		same bool
	}{
		"a zone":             {func(e *routing.Editor) { e.PutZone(&catalog.Zone{Name: "eu"}) }, true},
		"a cluster":          {func(e *routing.Editor) { e.PutCluster(&catalog.Cluster{Name: "c3"}) }, true},
		"a bucket":           {func(e *routing.Editor) { e.PutBucket(&catalog.Bucket{Name: "other", Policy: "p"}) }, false},
		"a copy":             {func(e *routing.Editor) { e.SetCopies("b", []catalog.Copy{{Cluster: "c1"}}) }, false},
		"the default policy": {func(e *routing.Editor) { e.SetDefaultPolicy("p") }, false},
	} {
		if same := s.Edit(c.edit).BucketsMark() == s.BucketsMark(); same != c.same {
			t.Errorf("%s: the mark is the same: %t", what, same)
		}
	}
}

// A cluster's storage has a condition with a name, dated by its last change.
func TestStorageCondition(t *testing.T) {
	t.Parallel()
	live := viewed(nil).ClusterState("c1")
	if live.Storage().String() != "unknown" || !live.StorageSince().IsZero() {
		t.Errorf("at first %s since %s", live.Storage(), live.StorageSince())
	}
	began := time.Now()
	for _, c := range []struct {
		is      routing.StorageCondition
		name    string
		changed bool
	}{
		{routing.StorageDown, "down", true}, {routing.StorageDown, "down", false}, {routing.StorageUp, "up", true},
	} {
		before := live.StorageSince()
		if changed := live.SetStorage(c.is); changed != c.changed || live.Storage().String() != c.name {
			t.Errorf("%s: it is %s, changed %t", c.name, live.Storage(), changed)
		}
		if since := live.StorageSince(); c.changed && since.Before(began) || !c.changed && since != before {
			t.Errorf("%s since %s, before since %s", c.name, since, before)
		}
	}
}

// An endpoint that is down says why, and since when: the time stays while other checks fail, and goes
// with the first that passes.
func TestEndpointDown(t *testing.T) {
	t.Parallel()
	live := new(routing.EndpointState)
	if !live.DownSince().IsZero() || live.Reason() != "" {
		t.Errorf("at first down since %s: %q", live.DownSince(), live.Reason())
	}
	began := time.Now()
	if !live.SetHealthy(false, "refused") || live.DownSince().Before(began) {
		t.Errorf("down since %s, after %s", live.DownSince(), began)
	}
	since := live.DownSince()
	if live.SetHealthy(false, "no answer") || live.DownSince() != since || live.Reason() != "no answer" {
		t.Errorf("then down since %s, before since %s: %q", live.DownSince(), since, live.Reason())
	}
	if !live.SetHealthy(true, "") || !live.DownSince().IsZero() || live.Reason() != "" {
		t.Errorf("healthy, and down since %s: %q", live.DownSince(), live.Reason())
	}
}
