package replication

import (
	"testing"

	"github.com/fado-project/fado/catalog"
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
	for source, over := range map[string]bool{
		sourceOf(jobScan, "c1", ""):    false,
		sourceOf(jobEvict, "c1", ""):   true,
		sourceOf(jobEvict, "c2", ""):   false,
		sourceOf(jobScan, "c2", ""):    true,
		sourceOf(jobSync, "c3", "a/"):  false,
		sourceOf(jobSync, "c3", ""):    true,
		sourceOf(jobEvict, "gone", ""): true,
		sourceOf(jobMove, "c2", ""):    false,
		sourceOf(jobCarry, "c9", ""):   false,
		"planner":                      false,
		"source":                       false,
	} {
		if got := outlived(source, copies); got != over {
			t.Errorf("%q: over is %v, expected %v", source, got, over)
		}
	}
}
