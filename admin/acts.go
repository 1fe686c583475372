package admin

import (
	"github.com/fado-project/fado/admin/internal/acts"
)

// effect is what requests other than GET do, and so how they come to be on record in the audit.
type effect string

const (
	effectReads   effect = "reads"   // nothing
	effectChanges effect = "changes" // the catalogue: on record as a change
)

// acting puts on record what requests have done, with these parameters of the query; first where that
// gives data away, see [acts.Act].
func acting(first bool, params ...string) func(*call) (*acts.Act, error) {
	return func(c *call) (*acts.Act, error) {
		return &acts.Act{First: first, Given: acts.Query(c.Request, params...)}, nil
	}
}

// actsOnPurge is of DELETE of a bucket: the bucket itself is a change of the catalogue.
func actsOnPurge(c *call) (*acts.Act, error) {
	if !c.R.URL.Query().Has("purge") {
		return nil, nil
	}
	return acting(true, "purge")(c)
}

// actsOnAbandon is of DELETE of a cluster, as confirmed.
func actsOnAbandon(c *call) (*acts.Act, error) {
	if c.Query("abandon") != "true" || !c.R.URL.Query().Has("confirm") {
		return nil, nil
	}
	return acting(true, "abandon")(c)
}

func actsOnRebalance(c *call) (*acts.Act, error) {
	if c.Query("dry_run") == "true" {
		return nil, nil
	}
	return acting(false)(c)
}

func actsOnConflicts(c *call) (*acts.Act, error) {
	v, err := c.verdict()
	g := acts.Given{"winner": v.Winner, "keys": "all"}
	if v.Key != "" {
		g["keys"] = "one"
	}
	if v.Discard {
		g["discard"] = "true"
	}
	return &acts.Act{Given: g, First: v.Discard}, err
}

func actsOnRelease(c *call) (*acts.Act, error) {
	in, err := readRelease(c)
	return &acts.Act{Given: acts.Given{"purge": in.Purge, "cluster": in.Cluster}, First: true}, err
}

func actsOnLink(c *call) (*acts.Act, error) {
	in, err := c.signInLinkInput()
	return &acts.Act{Given: acts.Given{"role": string(in.Role)}, First: true}, err
}

// perform has an operation answer a request, and puts on record what is to be.
func (op *operation) perform(c *call) error {
	if op.acts == nil {
		return op.handle(c)
	}
	a, err := op.acts(c)
	if err != nil {
		return err
	}
	if a == nil {
		return op.handle(c)
	}
	a.Action, a.Pattern = op.name, op.pattern
	return acts.Do(c.Request, c.catalogue, a, func() error { return op.handle(c) })
}
