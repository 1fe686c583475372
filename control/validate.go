package control

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

// validate judges a resource inside the transaction that stores it: by itself,
// by what it refers to, and by what it would break. The
// snapshot has what this instance committed before.
func (c *core) validate(tx state.Tx, r catalog.Resource) error {
	in := &txLookup{tx: tx, cfg: configLookup{c.declared()}, snap: c.router.Snapshot()}
	vs, err := violations(r, in, c.checkBalance)
	if err == nil {
		err = in.err
	}
	if err != nil {
		return err
	}
	if len(vs) > 0 {
		return &catalog.ValidationError{Violations: vs}
	}
	switch r.ResourceKind() {
	case catalog.KindBucket: // its primary was judged above
		return nil
	case catalog.KindKey: // which buckets don't depend on
		return nil
	default:
	}
	return c.checkPrimaries(tx, in, r)
}

// checkPrimaries refuses a zone, cluster or policy that would leave a bucket's
// declared primary outside its policy's allowed zones. Only buckets whose primary is
// a cluster that some policy allows now and would not allow then need a look.
func (c *core) checkPrimaries(tx state.Tx, in *txLookup, r catalog.Resource) error {
	then := &record.Overlay{Lookup: in, To: r}
	if r.ResourceKind() == catalog.KindPolicy && in.Policy(r.ResourceName()) == nil {
		return nil // a new policy: no bucket names it
	}
	var broken []state.Ref
	for _, cluster := range c.forbiddenBy(then) {
		refs, err := tx.Referrers(state.Ref{Kind: catalog.KindCluster, Name: cluster}, 0)
		if err != nil {
			return err
		}
		refs = append(refs, c.declared().referrers(state.Ref{Kind: catalog.KindCluster, Name: cluster})...)
		for _, ref := range refs {
			if ref.Kind != catalog.KindBucket || slices.Contains(broken, ref) {
				continue
			}
			b, err := c.bucketIn(tx, ref.Name)
			if err != nil {
				return err
			}
			if b != nil && b.Primary == cluster && catalog.PrimaryAllowed(b, then) != nil {
				broken = append(broken, ref)
			}
		}
	}
	if in.err != nil {
		return in.err
	}
	if len(broken) == 0 {
		return nil
	}
	return inUse(record.RefTo(r), "would forbid the primary of", broken)
}

// forbiddenBy returns the clusters that a policy allows now and would not allow then.
func (c *core) forbiddenBy(then *record.Overlay) []string {
	snap := c.router.Snapshot()
	zones, clusters := tables(then)
	var lost []string
	snap.Policies(func(p *catalog.Policy) bool {
		if next, ok := then.To.(*catalog.Policy); ok {
			if next.Name != p.Name {
				return true
			}
			p = next
		}
		allowed := catalog.AllowedClusters(p, zones, clusters)
		for name := range clusters {
			if !allowed[name] && snap.AllowsPolicy(p.Name, name) && !slices.Contains(lost, name) {
				lost = append(lost, name)
			}
		}
		return true
	})
	slices.Sort(lost)
	return lost
}

// bucketIn reads a bucket's declaration, by the configuration or the API.
func (c *core) bucketIn(tx state.Tx, name string) (*catalog.Bucket, error) {
	if b, ok := c.declared().byName[catalog.KindBucket][name].(*catalog.Bucket); ok {
		return b, nil
	}
	res, _, err := record.Read(tx, catalog.KindBucket, name)
	b, _ := res.(*catalog.Bucket)
	return b, err
}
