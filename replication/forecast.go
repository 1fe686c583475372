package replication

import (
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/asks"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/state"
)

// Forecast tells where copies would be under a catalogue that need not be in force. It
// asks what the planner asks, and does nothing.
type Forecast struct {
	in     *plan.Inputs
	silent map[string]bool
}

// Catalogue is one version of what is declared, such as a snapshot of routing.
type Catalogue = plan.Catalogue

// NewForecast returns a forecast for one version of the catalogue. used holds the bytes in
// each cluster's storage, where known; silent the clusters whose storage has never answered.
// None may change while the forecast is used.
func NewForecast(cat Catalogue, used map[string]int64, silent map[string]bool) *Forecast {
	return &Forecast{plan.NewInputs(cat, used, silent), silent}
}

// Forecast returns a forecast for one version of the catalogue from what this instance knows
// of storages. Those that it has not asked yet, and those that only that version declares, are
// taken to answer. While a rebalance is under way, it is taken to go on.
func (r *Reports) Forecast(cat Catalogue) *Forecast {
	snap := r.e.core.snap()
	silent, unasked := r.e.core.ctl.Usage.Silent(snap)
	maps.DeleteFunc(silent, func(name string, _ bool) bool {
		now, then := snap.Cluster(name), cat.Cluster(name)
		return unasked[name] || then == nil || then.Storage == nil || then.Storage.Address() != now.Storage.Address()
	})
	f := NewForecast(cat, r.e.core.ctl.Usage.All(), silent)
	if since, _ := r.e.jobs.Rebalances.UnderWay(); !since.IsZero() {
		f.in = f.in.Rebalanced()
	}
	return f
}

// settleSteps bounds how many plans follow each other until nothing is left to do: copies are
// made, the primary moves, copies leave.
const settleSteps = 8

// Settle returns the copies that a bucket has once everything that the catalogue asks for was
// done, from those it has now: all of them synced, the primary among them. Rules are sorted by
// prefix. issue says what stands in the way of what policies want, "" if nothing does. A move
// of the primary that people finish is not taken to be finished.
func (f *Forecast) Settle(decl *catalog.Bucket, rules []catalog.PrefixRule, copies []catalog.Copy) (settled []catalog.Copy, issue string) {
	rows := copyrows.FromCatalog(decl.Name, copies)
	primary := copyrows.PrimaryOf(rows)
	if primary == "" {
		if primary, issue = f.first(decl, rules); primary == "" {
			return nil, issue
		}
	}
	for range settleSteps {
		p := f.in.Plan(decl, rules, rows, primary)
		issue = p.Issue
		next := finish(p.Rows)
		to := asks.MoveOf(decl, primary, p.Target)
		moves := to != "" && copyrows.SyncedEverywhere(copyrows.InCatalog(next), to)
		if moves {
			primary = to
			for i := range next {
				next[i].Primary = next[i].Cluster == primary
			}
		}
		if !moves && slices.Equal(next, rows) {
			break
		}
		rows = next
	}
	return copyrows.InCatalog(rows), issue
}

// first returns where a bucket that has no copies would be written, if no storage turns out
// to have it already; "" and why if nowhere.
func (f *Forecast) first(decl *catalog.Bucket, rules []catalog.PrefixRule) (primary, issue string) {
	candidates := f.in.Candidates(rules)
	silent := slices.DeleteFunc(slices.Clone(candidates), func(c string) bool { return !f.silent[c] })
	switch {
	case decl.Primary != "" && f.in.Allows(rules, decl.Primary):
		return decl.Primary, ""
	case decl.Primary != "":
		return "", primaryNotAllowed(decl.Primary)
	case len(candidates) == 0:
		return "", noCandidates
	case len(silent) > 0:
		return "", canNotBeAsked(silent)
	}
	if primary = f.in.FirstChoice(decl, rules, candidates); primary == "" {
		return "", noneTakes
	}
	return primary, ""
}

// Why a bucket has no primary.
const (
	noCandidates = "no cluster with a storage is allowed by every policy of the bucket"
	noneTakes    = "no cluster can take the bucket now"
)

func primaryNotAllowed(primary string) string {
	return "the declared primary " + primary + " is not allowed by every policy of the bucket, or has no storage"
}

func canNotBeAsked(silent []string) string {
	return strings.Join(silent, ", ") + " can't be asked whether it has the bucket, which is not made elsewhere before; name the primary if it is to be"
}

// finish makes of the rows of a plan those there are once the work that they ask for was done.
func finish(rows []state.Copy) []state.Copy {
	rows = slices.DeleteFunc(rows, func(c state.Copy) bool {
		return !c.Primary && c.State.Leaves()
	})
	for i := range rows {
		rows[i].State, rows[i].Cursor, rows[i].FormerPrimary, rows[i].Moving = catalog.CopySynced, "", false, false
	}
	return rows
}

// LinkRate returns the bytes per second that this instance copied from one cluster to another
// when it copied much, 0 if it did not lately.
func (r *Reports) LinkRate(from, to string) float64 { return r.e.core.report.Links.Rate(from, to) }
