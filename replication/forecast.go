package replication

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/state"
)

// Forecast tells where copies would be under a catalogue that need not be in force. It
// asks what the planner asks, and does nothing.
type Forecast struct{ in *plan.Inputs }

// NewForecast returns a forecast for one version of the catalogue. used holds the bytes in
// each cluster's storage, where known. Storages are taken to answer: those that a document adds
// are asked later. Neither may change while the forecast is used.
func NewForecast(cat plan.Catalogue, used map[string]int64) *Forecast {
	return &Forecast{in: plan.NewInputs(cat, used, nil)}
}

// settleSteps bounds how many plans follow each other until nothing is left to do: copies are
// made, the primary moves, copies leave.
const settleSteps = 8

// Settle returns the copies that a bucket has once everything that the catalogue asks for was
// done, from those it has now: all of them synced, the primary among them. Rules are sorted by
// prefix. issue says what stands in the way of what policies want, "" if nothing does.
func (f *Forecast) Settle(decl *catalog.Bucket, rules []catalog.PrefixRule, copies []catalog.Copy) (settled []catalog.Copy, issue string) {
	rows := copyrows.FromCatalog(decl.Name, copies)
	primary := copyrows.PrimaryOf(rows)
	if primary == "" {
		if primary = f.in.FirstChoice(decl, rules, nil); primary == "" {
			return nil, "no cluster is allowed by every policy of the bucket"
		}
	}
	for range settleSteps {
		p := f.in.Plan(decl, rules, rows, primary)
		issue = p.Issue
		next := finish(p.Rows)
		moves := p.Target != "" && p.Target != primary && copyrows.SyncedEverywhere(inCatalog(next), p.Target)
		if moves {
			primary = p.Target
			for i := range next {
				next[i].Primary = next[i].Cluster == primary
			}
		}
		if !moves && slices.Equal(next, rows) {
			break
		}
		rows = next
	}
	return inCatalog(rows), issue
}

// finish returns the rows once the work that they ask for was done.
func finish(rows []state.Copy) []state.Copy {
	rows = slices.DeleteFunc(slices.Clone(rows), func(c state.Copy) bool {
		return !c.Primary && (c.State == catalog.CopyDraining || c.State == catalog.CopyRemoving)
	})
	for i := range rows {
		rows[i].State, rows[i].Cursor, rows[i].FormerPrimary, rows[i].Moving = catalog.CopySynced, "", false, false
	}
	return rows
}

func inCatalog(rows []state.Copy) []catalog.Copy {
	copies := make([]catalog.Copy, len(rows))
	for i, r := range rows {
		copies[i] = r.Copy
	}
	return copies
}

// LinkRate returns the bytes per second that this instance copied from one cluster to another
// when it copied much, 0 if it did not lately.
func (e *Engine) LinkRate(from, to string) float64 { return e.core.report.Links.Rate(from, to) }
