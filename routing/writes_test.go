package routing_test

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Where a bucket was written anywhere, its primary may lack a version too: a key that is
// pending there is not current there until what users wrote has been brought together,
// whatever the policy says by then. The same goes for what it lacked when it became the
// primary.
func TestAPrimaryMayBeBehindWhereUsersWroteAnywhere(t *testing.T) {
	for name, prefixes := range map[string][]catalog.PrefixRule{"plain": nil, "with rules": {{Prefix: "other/", Policy: "any"}}} {
		t.Run(name, func(t *testing.T) {
			r := routing.NewRouter()
			copies := synced("c001", "c002")
			copies[0].Anywhere = true
			r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
				sites(e, 3)
				e.PutBucket(&catalog.Bucket{Name: "b", Policy: "any", Prefixes: prefixes})
				e.SetCopies("b", copies)
			}))
			r.Pending.Add("b", "k", "c001")
			if !r.Snapshot().Of("b").Anywhere("k") || r.Snapshot().Of("b").WritesAnywhere("k") {
				t.Error("the rows say written anywhere, the policy does not")
			}
			var d routing.Decision
			r.Route(objectIn("k"), &d)
			if len(d.Candidates) != 1 || d.Candidates[0].Cluster != "c002" || r.Current("b", "k", "c001") {
				t.Errorf("candidates %v, want the one of c002", urlsOf(d.Candidates))
			}
			copies[0].Anywhere = false
			r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies("b", copies) }))
			if r.Current("b", "k", "c001") || r.Snapshot().Of("b").Anywhere("k") {
				t.Error("what a primary lacked when it became the primary is current there")
			}
			if r.Pending.Remove("b", "k", "c001"); !r.Current("b", "k", "c001") {
				t.Error("the primary is not current by definition")
			}
		})
	}
}
