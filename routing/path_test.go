package routing_test

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Bytes pass through an instance whose cluster the object's rule allows, and through one of
// which nobody says where it is.
func TestPasses(t *testing.T) {
	t.Parallel()
	base := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for _, name := range []string{"eu", "us"} {
			c := &catalog.Cluster{Name: name}
			c.Normalize()
			e.PutCluster(c)
			p := &catalog.Policy{Name: "in-" + name, Clusters: []string{name}}
			p.Normalize()
			e.PutPolicy(p)
		}
		b := &catalog.Bucket{Name: "mixed", Policy: "in-eu", Prefixes: []catalog.PrefixRule{{Prefix: "us/", Policy: "in-us"}}}
		b.Normalize()
		e.PutBucket(b)
		b = &catalog.Bucket{Name: "plain", Policy: "in-eu"}
		b.Normalize()
		e.PutBucket(b)
	})
	for here, want := range map[string][5]bool{ // mixed k, mixed us/k, some of mixed, some of plain, some of an unknown bucket
		"":        {true, true, true, true, true},
		"eu":      {true, false, true, true, false},
		"us":      {false, true, true, false, false},
		"nowhere": {false, false, false, false, false},
	} {
		s := base.Edit(func(e *routing.Editor) { e.SetHere(here) })
		got := [5]bool{s.Of("mixed").Passes("k"), s.Of("mixed").Passes("us/k"), s.Of("mixed").PassesAny(), s.Of("plain").PassesAny(), s.Of("unknown").PassesAny()}
		if got != want || s.Here() != here {
			t.Errorf("in %q: %v, want %v", here, got, want)
		}
		if here != "" && s.PassesPolicy("in-eu", here) != (here == "eu") {
			t.Errorf("in %q: policy in-eu", here)
		}
	}
	s := base.Edit(func(e *routing.Editor) { e.SetHere("us") })
	s = s.Edit(func(e *routing.Editor) { e.Delete(catalog.KindCluster, "us") })
	if s.Of("mixed").Passes("us/k") {
		t.Error("passes through an instance in a cluster that is declared no more")
	}
}

// Buckets tells which buckets have exceptions in a cluster.
func TestPendingBuckets(t *testing.T) {
	t.Parallel()
	p := routing.NewPendingIndex()
	p.Add("a", "k", "c1")
	p.Add("a", "k2", "c2")
	p.Add("b", "k", "c2")
	got := make(map[string]bool)
	p.Buckets("c2", func(b string) bool { got[b] = true; return true })
	if len(got) != 2 || !got["a"] || !got["b"] {
		t.Errorf("%v", got)
	}
	p.Remove("b", "k", "c2")
	clear(got)
	p.Buckets("c2", func(b string) bool { got[b] = true; return false })
	if len(got) != 1 || !got["a"] {
		t.Errorf("%v", got)
	}
}
