package replication

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
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
		sourceOf(jobID{ids.CopyIn("b", "", "c1"), jobScan}):    false,
		sourceOf(jobID{ids.CopyIn("b", "", "c1"), jobEvict}):   true,
		sourceOf(jobID{ids.CopyIn("b", "", "c2"), jobEvict}):   false,
		sourceOf(jobID{ids.CopyIn("b", "", "c2"), jobScan}):    true,
		sourceOf(jobID{ids.CopyIn("b", "a/", "c3"), jobSync}):  false,
		sourceOf(jobID{ids.CopyIn("b", "", "c3"), jobSync}):    true,
		sourceOf(jobID{ids.CopyIn("b", "", "gone"), jobEvict}): true,
		sourceOf(jobID{ids.CopyIn("b", "", "c2"), jobMove}):    false,
		sourceOf(jobID{ids.CopyIn("b", "", "c9"), jobCarry}):   false,
		{Finder: control.FinderPlanner}:                        false,
		{Finder: control.FinderSource}:                         false,
	} {
		if got := outlived(source, copies); got != over {
			t.Errorf("%v: over is %v, expected %v", source, got, over)
		}
	}
}
