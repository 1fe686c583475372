package control

import (
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
)

// Shortfalls says, in a sentence each, which of some policies a new bucket could not meet with
// the clusters that are declared: three copies where two clusters are allowed, say. What
// storages answer or have room for is not looked at.
func Shortfalls(in catalog.Lookup, policies ...*catalog.Policy) []string {
	short := []string{}
	solver := placement.NewSolver(in, nil)
	for _, p := range policies {
		if r, known := solver.Place(&placement.RuleInput{Policy: p.Name}); known && r.Short != "" {
			short = append(short, r.Short)
		}
	}
	return short
}

// Shortfalls are those of the policies that a configuration declares.
func (cfg Config) Shortfalls() []string {
	return Shortfalls(configLookup{declare(cfg)}, cfg.Policies...)
}
