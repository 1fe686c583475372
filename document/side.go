package document

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// side is what placement and routing have of one version of the catalogue.
type side struct {
	cat      Catalogue
	policies map[string]*policySide
}

// policySide is one policy against all clusters.
type policySide struct {
	allowed map[string]bool
	// serving are the allowed clusters that invocations can run in.
	serving map[string]bool
	// rejects says that an invocation without a holder that can run it is refused.
	rejects bool
	// sign is the same where placement and routing are the same.
	sign string
}

func newSide(cat Catalogue) *side {
	s := &side{cat: cat, policies: make(map[string]*policySide)}
	var clusters []*catalog.Cluster
	cat.Clusters(func(c *catalog.Cluster) bool { clusters = append(clusters, c); return true })
	slices.SortFunc(clusters, func(a, b *catalog.Cluster) int { return strings.Compare(a.Name, b.Name) })
	cat.Policies(func(p *catalog.Policy) bool {
		s.policies[p.Name] = newPolicySide(p, clusters, cat)
		return true
	})
	return s
}

func newPolicySide(p *catalog.Policy, clusters []*catalog.Cluster, in Catalogue) *policySide {
	s := &policySide{allowed: make(map[string]bool), serving: make(map[string]bool), rejects: p.OnMiss == catalog.OnMissReject}
	var sign strings.Builder
	fmt.Fprint(&sign, p.Copies, p.Prefer, p.Spread, p.Writes, p.OnMiss, p.Primary)
	for _, c := range clusters {
		if !catalog.PolicyAllows(p, c, in) {
			continue
		}
		s.allowed[c.Name] = true
		s.serving[c.Name] = len(c.Functions) > 0 && !c.Drain
		fmt.Fprint(&sign, "|", c.Name, c.FailureDomain(), c.Drain, len(c.Functions) > 0)
		if c.Storage != nil {
			fmt.Fprint(&sign, c.Storage.Address(), c.Storage.Capacity)
		}
	}
	s.sign = sign.String()
	return s
}

// serves says whether any cluster that the policy allows can run invocations.
func (p *policySide) serves() bool {
	for _, yes := range p.serving {
		if yes {
			return true
		}
	}
	return false
}
