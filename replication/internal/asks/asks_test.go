package asks

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// What a job found out is over when the copy does not ask for that job any more: a copy
// that was leaving and stays after all is not stuck for what kept it from leaving.
func TestIssuesOfJobsThatAreOver(t *testing.T) {
	t.Parallel()
	copies := []catalog.Copy{
		{Cluster: "c1", Primary: true, State: catalog.CopySynced},
		{Cluster: "c2", State: catalog.CopyRemoving},
		{Cluster: "c3", Prefix: "a/", State: catalog.CopyWaiting},
	}
	for source, over := range map[control.Source]bool{
		{Finder: control.FinderScan, Cluster: "c1"}:               false,
		{Finder: control.FinderEvict, Cluster: "c1"}:              true,
		{Finder: control.FinderEvict, Cluster: "c2"}:              false,
		{Finder: control.FinderScan, Cluster: "c2"}:               true,
		{Finder: control.FinderSync, Cluster: "c3", Prefix: "a/"}: false,
		{Finder: control.FinderSync, Cluster: "c3"}:               true,
		{Finder: control.FinderEvict, Cluster: "gone"}:            true,
		{Finder: control.FinderMove, Cluster: "c2"}:               false,
		{Finder: control.FinderMove, Cluster: "c3"}:               true,
		{Finder: control.FinderCarry, Cluster: "c9"}:              false,
		{Finder: control.FinderCarry, Cluster: "c3"}:              true,
		{Finder: control.FinderConverge, Cluster: "c1"}:           false,
		{Finder: control.FinderConverge, Cluster: "c2"}:           true,
		{Finder: control.FinderPlanner}:                           false,
		{Finder: control.FinderSource}:                            false,
	} {
		if got := Outlived(source, copies, Whole{Move: "c2", Carry: "c9", Converge: "c1"}); got != over {
			t.Errorf("%v: over is %v, expected %v", source, got, over)
		}
	}
}

// A count of the primary that failed is over once another copy is in step: its scans count both, and
// no count of the primary alone is made that could end what the last one found.
func TestIssueOfACountThatIsNotMadeAnyMore(t *testing.T) {
	t.Parallel()
	count := control.Source{Finder: control.FinderScan, Cluster: "c1"}
	for name, c := range map[string]struct {
		beside catalog.Copy
		over   bool
	}{
		"a copy in step":                {catalog.Copy{Cluster: "c2", State: catalog.CopySynced, Verified: true}, true},
		"a copy that syncs":             {catalog.Copy{Cluster: "c2", State: catalog.CopySyncing, Verified: true}, false},
		"a copy of another rule":        {catalog.Copy{Cluster: "c2", Prefix: "a/", State: catalog.CopySynced, Verified: true}, false},
		"none whose objects were seen":  {catalog.Copy{Cluster: "c2", State: catalog.CopySynced}, false},
		"a primary of another rule":     {catalog.Copy{Cluster: "c1", Prefix: "a/", Primary: true, State: catalog.CopySynced, Verified: true}, false},
		"a copy that leaves the bucket": {catalog.Copy{Cluster: "c2", State: catalog.CopyDraining, Verified: true}, false},
	} {
		copies := []catalog.Copy{{Cluster: "c1", Primary: true, State: catalog.CopySynced}, c.beside}
		if got := Outlived(count, copies, Whole{}); got != c.over {
			t.Errorf("beside %s: over is %v, expected %v", name, got, c.over)
		}
	}
}

// A primary moves by itself to where it is to be, unless it is there, or people say when.
func TestMoveOf(t *testing.T) {
	t.Parallel()
	byHand := &catalog.Bucket{Primary: "c2", Promote: catalog.PromoteManual}
	for _, c := range []struct {
		decl         *catalog.Bucket
		target, want string
	}{{nil, "c2", "c2"}, {nil, "c1", ""}, {nil, "", ""}, {byHand, "c2", ""}, {byHand, "c3", "c3"}, {new(catalog.Bucket), "c2", "c2"}} {
		if got := MoveOf(c.decl, "c1", c.target); got != c.want {
			t.Errorf("%+v to %q: moved to %q, want %q", c.decl, c.target, got, c.want)
		}
	}
}
