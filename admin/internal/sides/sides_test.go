package sides

import (
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// Each side says what choosing it does: a primary's overwrites and deletes, a copy's lacks.
func TestOf(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for _, c := range []string{"c1", "c2", "c3"} {
			e.PutCluster(&catalog.Cluster{Name: c})
		}
		e.PutBucket(&catalog.Bucket{Name: "b"})
		e.SetCopies("b", []catalog.Copy{
			{Cluster: "c1", Primary: true, State: catalog.CopySynced, Stopped: true},
			{Cluster: "c2", State: catalog.CopySynced},
			{Cluster: "c3", State: catalog.CopySyncing},
		})
	})
	st := control.BucketStatus{Primary: "c1", Copies: []control.CopyStatus{
		{Cluster: "c1", Role: "primary", Objects: 70},
		{Cluster: "c2", Role: "copy", Objects: 60, Losses: []string{"tags are not kept in c2"}, Pending: control.PendingStatus{Objects: 3}},
		{Cluster: "c3", Role: "copy"},
	}}
	v := Of(snap, "b", st, "1000")
	if !v.Stopped || len(v.Sides) != 3 || v.Sides[0].Refused != "" || v.Sides[1].Refused != "" || v.Sides[2].Refused == "" {
		t.Fatalf("%+v", v)
	}
	for i, want := range [][]string{
		{"overwritten", "c2 had 60 objects", "deleted there", "max_deletes (1000)"},
		{"written in c2", "3 objects", "tags are not kept in c2", "what only c1, c3 has stays there"},
		{"No object is known that had not come to c3"},
	} {
		for _, text := range want {
			if got := strings.Join(v.Sides[i].Effects, " "); !strings.Contains(got, text) {
				t.Errorf("side %s: %q is not in %q", v.Sides[i].Cluster, text, got)
			}
		}
	}
}

// A bucket that nobody stopped says so.
func TestNotStopped(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutCluster(&catalog.Cluster{Name: "c1"})
		e.PutBucket(&catalog.Bucket{Name: "b"})
		e.SetCopies("b", []catalog.Copy{{Cluster: "c1", Primary: true, State: catalog.CopySynced}})
	})
	if v := Of(snap, "b", control.BucketStatus{Primary: "c1"}, "1000"); v.Stopped || v.Sides == nil {
		t.Errorf("%+v", v)
	}
}

// The bound of deletes is said as it is configured.
func TestBound(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]replication.MaxDeletes{
		"off: any number":        {},
		"1000 objects":           {Objects: 1000},
		"5 %":                    {Percent: 5},
		"1000 objects and 2.5 %": {Objects: 1000, Percent: 2.5},
	} {
		if got := Bound(m); got != want {
			t.Errorf("%+v is said as %q, want %q", m, got, want)
		}
	}
}

// A side is right for the whole bucket only where each of its rules has a synced copy there.
func TestWhole(t *testing.T) {
	t.Parallel()
	copies := []catalog.Copy{
		{Cluster: "c1", State: catalog.CopySynced, Primary: true},
		{Cluster: "c2", State: catalog.CopySynced},
		{Cluster: "c2", State: catalog.CopySynced, Prefix: "logs/"},
		{Cluster: "c3", State: catalog.CopySynced},
		{Cluster: "c3", State: catalog.CopySyncing, Prefix: "logs/"},
		{Cluster: "c4", State: catalog.CopyDraining},
	}
	for cluster, want := range map[string]bool{"c1": false, "c2": true, "c3": false, "c4": false, "c5": false} {
		if got := whole(copies, cluster); got != want {
			t.Errorf("%s has the whole bucket: %t", cluster, got)
		}
	}
}
