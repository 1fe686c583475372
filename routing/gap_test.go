package routing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// gapWorld has the bucket b, written in c001 and copied to c002, which was compared at a
// time.
func gapWorld(compared time.Time, change func(*routing.Editor)) *routing.Router {
	r := routing.NewRouter()
	copies := synced("c001", "c002")
	copies[1].Compared = compared
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		sites(e, 3)
		e.PutPolicy(&catalog.Policy{Name: "p"})
		e.PutBucket(&catalog.Bucket{Name: "b", Policy: "p"})
		e.SetCopies("b", copies)
		if change != nil {
			change(e)
		}
	}))
	return r
}

// A copy is a hit for what was compared since changes may have been missed, and for nothing
// else; while the storage is down that is written, for what is known.
func TestGap(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r := gapWorld(at, nil)
	st := r.Snapshot().ClusterState("c001")
	expect := func(what string, want bool) {
		t.Helper()
		var d routing.Decision
		r.Route(objectIn("k"), &d)
		hit := slices.ContainsFunc(d.Candidates, func(ep *routing.Endpoint) bool { return ep.Cluster == "c002" })
		if r.Current("b", "k", "c002") != want || hit != want || !r.Current("b", "k", "c001") {
			t.Errorf("%s: current %v, a candidate %v, want %v", what, r.Current("b", "k", "c002"), hit, want)
		}
	}
	expect("no gap", true)
	st.OpenGap()
	expect("changes are being missed", false)
	st.CloseGap(at.Add(time.Minute))
	expect("compared before", false)
	name := routing.CopyName{Bucket: "b", Cluster: "c002"}
	r.Compared.Walk(name, at.Add(2*time.Minute), "j")
	expect("a comparison that did not come there yet", false)
	r.Compared.Walk(name, at.Add(2*time.Minute), "k")
	expect("a comparison that passed the key", true)
	r.Compared.EndWalk(name)
	expect("a comparison that was given up", false)
	st.SetStorage(routing.StorageDown)
	expect("the storage can't be asked", true)
	st.SetStorage(routing.StorageUp)
	if n := r.Behind("c001", func(string) bool { return true }); n != 1 {
		t.Errorf("%d buckets are written in c001", n)
	}
	copies := synced("c001", "c002")
	copies[1].Compared = at.Add(time.Minute)
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies("b", copies) }))
	expect("compared since", true)
	r.Behind("c001", func(b string) bool { t.Errorf("%s is behind", b); return true })
	if oldest := r.Snapshot().OldestCompared(); len(oldest) != 1 || !oldest["c002"].Equal(at.Add(time.Minute)) {
		t.Errorf("compared longest ago: %v", oldest)
	}
	closed, _ := st.Gap()
	st.CloseGap(at.Add(time.Hour))
	st.ForgetGap(closed)
	expect("a gap of which another is forgotten", false)
	closed, _ = st.Gap()
	st.ForgetGap(closed)
	expect("the gap is forgotten", true)
}

// With max_staleness a copy is a hit for as long after it was compared, except where every
// change is told.
func TestMaxStaleness(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now := at
	r := gapWorld(at, func(e *routing.Editor) {
		e.PutPolicy(&catalog.Policy{Name: "p", MaxStaleness: catalog.Duration(time.Minute)})
	})
	r.SetClock(func() time.Time { return now })
	var d routing.Decision
	expect := func(what string, want bool) {
		t.Helper()
		r.Route(objectIn("k"), &d)
		if r.Current("b", "k", "c002") != want || len(d.Candidates) == 2 != want {
			t.Errorf("%s: %v, want %v", what, r.Current("b", "k", "c002"), want)
		}
	}
	expect("just compared", true)
	now = at.Add(time.Minute)
	expect("compared a minute ago", true)
	now = now.Add(time.Second)
	expect("compared longer ago", false)
	r.Snapshot().ClusterState("c001").SetExact(true)
	expect("every change is told", true)
	if n := testing.AllocsPerRun(100, func() { r.Route(objectIn("k"), &d) }); n > 1 { // the query
		t.Errorf("%v allocations", n)
	}
}

// A prefix rule that is new, or gone, leaves no window: the keys are where they were until
// their copies follow.
func TestRulesComeAndGo(t *testing.T) {
	r := gapWorld(time.Time{}, nil)
	put := func(prefixes ...catalog.PrefixRule) {
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { e.PutBucket(&catalog.Bucket{Name: "b", Policy: "p", Prefixes: prefixes}) }))
	}
	in := func(key string) []string { return r.CurrentIn(nil, "b", key) }
	put(catalog.PrefixRule{Prefix: "x/", Policy: "p"})
	if got := r.Snapshot().Of("b").WantedIn(nil, "x/k"); !slices.Equal(got, []string{"c001", "c002"}) {
		t.Errorf("a change below a new rule concerns %v", got)
	}
	if got := in("x/k"); !slices.Equal(got, []string{"c001"}) {
		t.Errorf("below a new rule, current in %v, want the primary alone", got)
	}
	rows := append(synced("c001", "c002"), synced("c001", "c000")...)
	rows[2].Prefix, rows[3].Prefix = "x/", "x/"
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies("b", rows) }))
	put()
	if got := r.Snapshot().Of("b").WantedIn(nil, "x/k"); !slices.Equal(got, []string{"c001", "c002", "c000"}) {
		t.Errorf("a change below a rule that is gone concerns %v", got)
	}
	if got := in("x/k"); !slices.Equal(got, []string{"c001"}) {
		t.Errorf("below a rule that is gone, current in %v, want the primary alone", got)
	}
	if got := in("k"); !slices.Equal(got, []string{"c001", "c002"}) {
		t.Errorf("elsewhere, current in %v", got)
	}
}

// A bucket that names its primary is routed to it before it has copies.
func TestNamedPrimaryIsLocal(t *testing.T) {
	r := gapWorld(time.Time{}, func(e *routing.Editor) { e.PutBucket(&catalog.Bucket{Name: "new", Policy: "p", Primary: "c000"}) })
	for _, in := range []routing.Input{{Bucket: "new"}, {Bucket: "new", Key: "k", Scope: routing.ScopeObject}, {Bucket: "new", Key: "d/", Scope: routing.ScopePrefix}} {
		var d routing.Decision
		r.Route(&routing.Query{Inputs: []routing.Input{in}}, &d)
		if d.Locality != routing.LocalityLocal || len(d.Candidates) != 1 || d.Candidates[0].Cluster != "c000" {
			t.Errorf("%+v: %s in %v", in, d.Locality, urlsOf(d.Candidates))
		}
		if endpoint, _ := d.StorageFor(d.Candidates[0]); endpoint != r.Snapshot().Cluster("c000").Storage.Endpoint {
			t.Errorf("reads from %q", endpoint)
		}
	}
}
