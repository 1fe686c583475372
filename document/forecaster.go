package document

import (
	"fmt"

	"github.com/fado-project/fado/catalog"
)

// forecaster makes one forecast.
type forecaster struct {
	change *Comparison
	world  *World
	page   Page
	out    Outlook
	settle Settle

	before, after *side
	changed       map[string]bool // policies whose clusters differ before and after
	links         map[[2]string]*LinkLoad
	added         map[string]int64 // bytes, by cluster
	room          room
}

func (f *forecaster) issue(kind IssueKind, resource, detail string, blocking bool) {
	f.out.Blocked = f.out.Blocked || blocking
	if len(f.out.Violations) < maxIssues {
		f.out.Violations = append(f.out.Violations, Issue{kind, resource, detail, blocking})
	}
}

// noFunctions tells of the policies that change and allow no cluster to run invocations in.
func (f *forecaster) noFunctions() {
	for _, ch := range f.change.Changes {
		if ch.Kind == catalog.KindPolicy && ch.Action != Delete && !f.after.policies[ch.Name].serves() {
			f.issue(NoFunction, "policy "+ch.Name, "no cluster that the policy allows has a function endpoint: invocations that name its data are refused", false)
		}
	}
}

// capacities tells of the storages that what is added does not fit in.
func (f *forecaster) capacities() {
	f.change.target.Clusters(func(c *catalog.Cluster) bool {
		added, used := f.added[c.Name], f.world.Used[c.Name]
		if c.Storage != nil && c.Storage.Capacity > 0 && added > 0 && used+added > int64(c.Storage.Capacity) {
			f.issue(OverCapacity, "cluster "+c.Name, fmt.Sprintf("%d bytes are used and %d would be added; its capacity is %s", used, added, c.Storage.Capacity), false)
		}
		return true
	})
}
