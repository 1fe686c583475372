package caddymodule

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/state"
)

// sheetPrefix begins the names of the reports that sheets are; the member's ID follows.
const sheetPrefix = "history/"

// exchange tells the other instances what this one measured, and hears what they did. What can't
// be told or heard now is a gap.
type exchange struct {
	rt *runtime
	// heard are the last reports taken in, by member.
	heard map[string]heardReport
}

// sheet is a report: the last values of series, and what moved.
type sheet struct {
	history.Sheet
	Flows flowCounts `json:"flows"`
}

// heardReport tells a report from the one before: by the store's clock, which has milliseconds, and
// by what it is of.
type heardReport struct {
	at, last time.Time
}

// trade tells once, and hears what is new. An instance alone does neither.
func (x *exchange) trade(ctx context.Context, rings *history.Rings, now time.Time) {
	members := x.rt.control.Members
	if !members.Shared() || members.MayWrite() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	all, err := members.List(ctx)
	if err != nil || len(all) < 2 {
		return
	}
	own := members.Claimant()
	if text, err := json.Marshal(sheet{rings.Tell(ofInstance), x.rt.flows.tell(now)}); err == nil {
		_ = x.rt.control.Store().Reports().PutReport(ctx, sheetPrefix+own, string(text)) // the others see a gap
	}
	reports, err := x.rt.control.Store().Reports().ListReports(ctx, sheetPrefix)
	if err != nil {
		return
	}
	names := nodeNames(all)
	for _, r := range reports {
		switch id := strings.TrimPrefix(r.Name, sheetPrefix); {
		case id == own:
		case names[id] == "":
			_ = x.rt.control.Store().Reports().DeleteReport(ctx, r.Name) // else the next one does
			delete(x.heard, id)
		default:
			x.hear(rings, id, names[id], r, now)
		}
	}
}

// hear takes a report in, unless it was heard before.
func (x *exchange) hear(rings *history.Rings, id, node string, r state.Report, now time.Time) {
	var s sheet
	if json.Unmarshal([]byte(r.Body), &s) != nil {
		return
	}
	if before := x.heard[id]; before.at.Equal(r.At) && before.last.Equal(s.Last) {
		return
	}
	if x.heard == nil {
		x.heard = make(map[string]heardReport)
	}
	x.heard[id] = heardReport{r.At, s.Last}
	rings.Hear(node, s.Sheet, now)
	x.rt.flows.hear(node, s.Flows, s.Step, now)
}

// nodeNames tells what the members are called, by ID; those of one name apart.
func nodeNames(members []state.MemberInfo) map[string]string {
	times := make(map[string]int)
	for _, m := range members {
		times[m.Node]++
	}
	names := make(map[string]string)
	for _, m := range members {
		names[m.ID] = m.Node
		if times[m.Node] > 1 {
			names[m.ID] += " " + m.ID[:min(len(m.ID), 8)]
		}
	}
	return names
}

// ofInstance says whether a series is told to the others: what is of this instance alone, and not
// of a single cluster, but for what is in flight there.
func ofInstance(series string) bool {
	switch kind, rest, _ := strings.Cut(series, "."); kind {
	case "backlog", "used", "copied", "in_flight_at": // the store's, the storages', or of single endpoints
		return false
	default:
		return !strings.Contains(rest, ".")
	}
}
