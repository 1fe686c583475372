package routing

import (
	"fmt"
	"slices"
)

// Step is one step of a decision: how many candidates came to it, how many were left, and who
// dropped out.
type Step struct {
	Step    string
	In, Out int
	Kept    []string // clusters of those that are left
	Dropped []Dropped
	Note    string // what it came to, where numbers don't say
}

// Dropped is a candidate that dropped out.
type Dropped struct{ Cluster, URL, Reason string }

// stage is a step at which a candidate can drop out.
type stage uint8

const (
	stageNone    stage = iota
	stageAllowed       // by policies, and draining
	stageFree          // by health and limits
	stageMiss          // by what a policy allows on a miss
)

// steps tells how the candidates, the eligible ones first, came to be in that order.
func (x explainer) steps(q *Query, all []ranked) []Step {
	allowed, steps := narrow(nil, "Allowed", "", all, func(c *ranked) string {
		if c.out == stageAllowed {
			return c.Reason
		}
		return ""
	})
	holders, steps := narrow(steps, "Hits", x.hitsNote(), allowed, func(c *ranked) string {
		if c.holds {
			return ""
		}
		return "not every input is current there"
	})
	free, steps := narrow(steps, "Free endpoints", "", holders, func(c *ranked) string {
		if c.out == stageFree {
			return c.Reason
		}
		return ""
	})
	left, steps := x.missStep(steps, allowed, free)
	if q.Spill > 0 {
		steps = append(steps, x.spillStep(q, free))
	}
	return append(steps, x.balanceStep(left))
}

// narrow adds a step that some candidates come out of: those that drops gives no reason for.
func narrow(steps []Step, name, note string, in []ranked, drops func(*ranked) string) ([]ranked, []Step) {
	st := Step{Step: name, In: len(in), Note: note}
	var left []ranked
	for i := range in {
		if why := drops(&in[i]); why != "" {
			st.Dropped = append(st.Dropped, Dropped{in[i].Cluster, in[i].URL, why})
			continue
		}
		left = append(left, in[i])
	}
	st.Out, st.Kept = len(left), clustersOf(left)
	return left, append(steps, st)
}

func clustersOf(of []ranked) (names []string) {
	for i := range of {
		if !slices.Contains(names, of[i].Cluster) {
			names = append(names, of[i].Cluster)
		}
	}
	return names
}

func (x explainer) hitsNote() string {
	switch {
	case len(x.decision.assessment.targets) == 0:
		return "no data is named, so every place is as good"
	case x.decision.assessment.lastResort && x.decision.Reason == ReasonNone:
		return "clusters that drain count, since no other can take it"
	default:
		return ""
	}
}

// missStep tells who reads from elsewhere, where no holder is free or all are too busy; it
// returns those that are left then.
func (x explainer) missStep(steps []Step, allowed, free []ranked) ([]ranked, []Step) {
	if len(free) > 0 && !x.decision.assessment.overloaded && x.decision.rank <= rankSettled {
		return free, append(steps, Step{Step: "On miss", Note: "not needed: a place that holds the data is free"})
	}
	var missing []ranked
	for i := range allowed {
		if !allowed[i].holds {
			missing = append(missing, allowed[i])
		}
	}
	remote, steps := narrow(steps, "On miss", x.missNote(), missing, func(c *ranked) string {
		if c.Eligible {
			return ""
		}
		return c.Reason
	})
	return append(slices.Clone(free), remote...), steps
}

func (x explainer) missNote() string {
	a := &x.decision.assessment
	switch {
	case len(a.targets) == 0:
		return "no data is named"
	case a.overloaded:
		return "asked because every place that holds the data is too busy"
	case a.reject:
		return "on_miss is reject: nobody may read from elsewhere"
	case a.mayPull():
		return "the objects are copied there first"
	default:
		return "these would read from elsewhere"
	}
}

func (x explainer) spillStep(q *Query, free []ranked) Step {
	st := Step{Step: "Spill", In: len(free), Out: len(free), Kept: clustersOf(free), Note: fmt.Sprintf("not needed: at most %d requests are in flight somewhere", q.Spill)}
	if x.decision.assessment.overloaded {
		st.Note = fmt.Sprintf("every place that holds the data has more than %d requests in flight", q.Spill)
	}
	return st
}

// balanceStep tells whom the policy that balances chooses among: the best of those that are left.
func (x explainer) balanceStep(left []ranked) Step {
	_, steps := narrow(nil, "Balance", "", left, func(c *ranked) string {
		if slices.ContainsFunc(x.decision.Candidates, func(ep *Endpoint) bool { return ep.URL == c.URL && ep.Cluster == c.Cluster }) {
			return ""
		}
		return "others come first: " + c.Reason
	})
	if steps[0].Out == 0 {
		steps[0].Note = "nothing to choose from"
	}
	return steps[0]
}
