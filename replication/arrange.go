package replication

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// tables are what placements are solved from, gathered once for many buckets.
type tables struct {
	zones    map[string]*catalog.Zone
	clusters map[string]*catalog.Cluster
	policies map[string]*catalog.Policy
	allowed  map[string]map[string]bool // by policy
	used     map[string]int64
	// solver answers for all clusters what Solve would; nil: ask Solve.
	solver *placement.Solver
}

func newTables(c *control.Control) *tables {
	return tablesOf(c.Router().Snapshot(), c.UsedBytes())
}

func tablesOf(snap *routing.Snapshot, used map[string]int64) *tables {
	t := &tables{
		zones: make(map[string]*catalog.Zone), clusters: make(map[string]*catalog.Cluster),
		policies: make(map[string]*catalog.Policy), allowed: make(map[string]map[string]bool), used: used,
		solver: placement.NewSolver(snap, used),
	}
	snap.Zones(func(z *catalog.Zone) bool { t.zones[z.Name] = z; return true })
	snap.Clusters(func(c *catalog.Cluster) bool { t.clusters[c.Name] = c; return true })
	snap.Policies(func(p *catalog.Policy) bool {
		t.policies[p.Name] = p
		t.allowed[p.Name] = catalog.AllowedClusters(p, t.zones, t.clusters)
		return true
	})
	return t
}

// arrangement is what the rows of a bucket's copies should become.
type arrangement struct {
	rows    []state.Copy
	changed bool
	// target is the cluster that should be the primary; another than the primary while
	// the bucket has to move.
	target string
	// issue says what stands in the way, "" if nothing does.
	issue string
}

// arranger works one arrangement out. It is a pure function of its fields: it runs
// inside a transaction, perhaps more than once.
type arranger struct {
	*tables
	decl    *catalog.Bucket
	rules   []catalog.PrefixRule
	rows    []state.Copy
	primary string
	issues  []string
}

// arrange says what a bucket's rows should become, given that it is (to be) written in
// primary:
//
//   - every rule has a copy in the clusters its placement chose, the primary's included;
//     new ones start out waiting;
//   - a synced copy that is not chosen any more leaves when all chosen ones of its rule
//     are synced, not before; where too few clusters could be chosen it stays, unless
//     residency forbids it;
//   - the primary stays until its role was handed over, which is a job of its own.
func (t *tables) arrange(decl *catalog.Bucket, rules []catalog.PrefixRule, rows []state.Copy, primary string) arrangement {
	a := &arranger{tables: t, decl: decl, rules: rules, rows: slices.Clone(rows), primary: primary}
	a.dropUndeclared()
	a.adoptRules()
	a.placePrimary()
	target := a.chooseTarget()
	for _, r := range rules {
		a.arrangeRule(r, target)
	}
	a.adoptRules() // an old rule's copy is taken over by a new one in its cluster
	return arrangement{
		rows: a.rows, target: target, issue: strings.Join(a.issues, "; "),
		changed: !slices.Equal(sorted(a.rows), sorted(rows)),
	}
}

func sorted(rows []state.Copy) []state.Copy {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b state.Copy) int {
		if c := strings.Compare(a.Prefix, b.Prefix); c != 0 {
			return c
		}
		return strings.Compare(a.Cluster, b.Cluster)
	})
	return rows
}

// dropUndeclared forgets copies in clusters that have no storage any more: there is
// nothing FaDO could do about them. The primary's is kept, with the reason.
func (a *arranger) dropUndeclared() {
	a.rows = slices.DeleteFunc(a.rows, func(c state.Copy) bool {
		if a.hasStorage(c.Cluster) {
			return false
		}
		if c.Primary && c.Prefix == "" {
			a.issues = append(a.issues, fmt.Sprintf("the primary %s is not declared with a storage any more; declare it again, or the bucket's primary elsewhere", c.Cluster))
		}
		return !c.Primary
	})
}

func (a *arranger) hasStorage(cluster string) bool {
	c := a.clusters[cluster]
	return c != nil && c.Storage != nil
}

// adoptRules makes the rows those of the rules declared now.
func (a *arranger) adoptRules() {
	known := make(map[string]bool)
	for _, r := range a.rows {
		known[r.Prefix] = true
	}
	for _, r := range a.rules { // sorted: a covering rule comes before those below it
		if !known[r.Prefix] && len(a.rows) > 0 {
			a.splitOff(r.Prefix)
			known[r.Prefix] = true
		}
	}
	for _, prefix := range sortedKeys(known) {
		if !slices.ContainsFunc(a.rules, func(r catalog.PrefixRule) bool { return r.Prefix == prefix }) {
			a.mergeBack(prefix)
		}
	}
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// splitOff gives a new rule the copies that its keys had under the rule that covered
// them.
func (a *arranger) splitOff(prefix string) {
	cover, found := "", false
	for _, r := range a.rows {
		if r.Prefix != prefix && strings.HasPrefix(prefix, r.Prefix) && (!found || len(r.Prefix) > len(cover)) {
			cover, found = r.Prefix, true
		}
	}
	if !found {
		return
	}
	for _, r := range slices.Clone(a.rows) {
		if r.Prefix != cover {
			continue
		}
		r.Prefix, r.Objects, r.Bytes, r.HeldDeletes, r.ScanCursor = prefix, 0, 0, false, ""
		if r.State == catalog.CopySyncing || r.State == catalog.CopyFailed {
			resync(&r)
		}
		a.rows = append(a.rows, r)
	}
}

// mergeBack gives the keys of a rule that is gone to the rule that covers them now. A
// copy of that rule which has not all of those keys is no longer synced from there on; a
// cluster that only the old rule had a copy in is left with one to remove, which is all
// that is left of the rule from then on.
func (a *arranger) mergeBack(prefix string) {
	cover := ""
	for _, r := range a.rules {
		if strings.HasPrefix(prefix, r.Prefix) && len(r.Prefix) >= len(cover) {
			cover = r.Prefix
		}
	}
	anew := slices.ContainsFunc(a.rows, func(c state.Copy) bool {
		return c.Prefix == prefix && c.State != catalog.CopyDraining && c.State != catalog.CopyRemoving
	})
	for i := range a.rows {
		c := &a.rows[i]
		if c.Prefix != cover || c.Primary || !anew {
			continue
		}
		had := indexCopy(a.rows, prefix, c.Cluster)
		if had >= 0 && a.rows[had].State == catalog.CopySynced {
			continue
		}
		switch c.State {
		case catalog.CopySynced:
			c.State, c.Cursor, c.ScanCursor = catalog.CopySyncing, justBefore(prefix), ""
		case catalog.CopySyncing:
			c.Cursor = min(c.Cursor, justBefore(prefix))
		}
	}
	for i := range a.rows {
		if c := &a.rows[i]; c.Prefix == prefix {
			if at := indexCopy(a.rows, cover, c.Cluster); at >= 0 {
				a.rows[at].MadeBucket = a.rows[at].MadeBucket || c.MadeBucket
				a.rows[at].OwnedUntil = earlier(a.rows[at].OwnedUntil, c.OwnedUntil)
				a.rows[at].FormerPrimary = a.rows[at].FormerPrimary || c.FormerPrimary
				a.rows[at].Anywhere = a.rows[at].Anywhere || c.Anywhere
			}
		}
	}
	a.rows = slices.DeleteFunc(a.rows, func(c state.Copy) bool {
		return c.Prefix == prefix && (c.Primary || indexCopy(a.rows, cover, c.Cluster) >= 0)
	})
	for i := range a.rows {
		if c := &a.rows[i]; c.Prefix == prefix && c.State < catalog.CopyDraining {
			c.State = catalog.CopyDraining
		} else if c.Prefix == prefix && c.State == catalog.CopyFailed {
			c.State = catalog.CopyDraining
		}
	}
}

// justBefore returns a string less than prefix with practically no key between them:
// what lies between is only compared once more.
func justBefore(prefix string) string {
	r, n := utf8.DecodeLastRuneInString(prefix)
	head := prefix[:len(prefix)-n]
	switch {
	case n == 0 || r == 0:
		return head
	case r == 0xE000:
		r = 0xD7FF
	default:
		r--
	}
	return head + string(r) + string(utf8.MaxRune)
}

// placePrimary sees that every rule has a row for the primary.
func (a *arranger) placePrimary() {
	if a.primary == "" {
		return
	}
	for _, r := range a.rules {
		i := indexCopy(a.rows, r.Prefix, a.primary)
		if i < 0 {
			a.rows = append(a.rows, state.Copy{
				Bucket: a.decl.Name,
				Copy:   catalog.Copy{Prefix: r.Prefix, Cluster: a.primary, MadeBucket: madeBucket(a.rows, a.primary)},
			})
			i = len(a.rows) - 1
		}
		c := &a.rows[i]
		c.Primary, c.State, c.Cursor, c.Error = true, catalog.CopySynced, "", ""
	}
}

// chooseTarget says where the bucket should be written.
func (a *arranger) chooseTarget() string {
	if p := a.decl.Primary; p != "" {
		if a.allowedByAll(p) && a.hasStorage(p) {
			return p
		}
		a.issues = append(a.issues, "the declared primary "+p+" is not allowed by every policy of the bucket, or has no storage")
		return a.primary
	}
	if a.mayStay(a.primary) {
		return a.primary
	}
	if !a.hasStorage(a.primary) {
		return a.primary // reported already
	}
	next := a.nextPrimary()
	if next == "" {
		a.issues = append(a.issues, "the primary "+a.primary+" has to move, and no other cluster is allowed by every policy of the bucket")
		return a.primary
	}
	return next
}

// mayStay says whether the policies and the cluster's state let the primary be there.
func (a *arranger) mayStay(cluster string) bool {
	return a.hasStorage(cluster) && !a.clusters[cluster].Drain && a.allowedByAll(cluster)
}

func (a *arranger) allowedByAll(cluster string) bool {
	for _, r := range a.rules {
		if !a.allowed[r.Policy][cluster] {
			return false
		}
	}
	return len(a.rules) > 0
}

// nextPrimary chooses where a primary moves: to a cluster that has everything already if
// there is one.
func (a *arranger) nextPrimary() string {
	open := make(map[string]*catalog.Cluster)
	for name, c := range a.clusters {
		if a.mayStay(name) {
			open[name] = c
		}
	}
	if len(open) == 0 {
		return ""
	}
	copies := make([]catalog.Copy, len(a.rows))
	for i, r := range a.rows {
		copies[i] = r.Copy
	}
	order := a.solve(a.rules[0], "", open).Chosen
	for _, c := range append(slices.Clone(order), sortedNames(open)...) {
		if open[c] != nil && syncedEverywhere(copies, c) {
			return c
		}
	}
	if len(order) == 0 {
		return ""
	}
	return order[0]
}

func sortedNames(m map[string]*catalog.Cluster) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// solve places one rule among some clusters.
func (a *arranger) solve(r catalog.PrefixRule, primary string, clusters map[string]*catalog.Cluster) placement.Result {
	policy := a.policies[r.Policy]
	if policy == nil {
		return placement.Result{Short: "policy " + r.Policy + " does not exist"}
	}
	current := make(map[string]bool)
	for _, c := range a.current(r.Prefix) {
		current[c] = true
	}
	return placement.Solve(placement.Input{
		Bucket: a.decl.Name, Prefix: r.Prefix, Policy: policy, Zones: a.zones, Clusters: clusters,
		Primary: primary, PrimaryDeclared: a.declares(primary), Current: current, UsedBytes: a.used,
	})
}

// place places one rule among all clusters. At a million buckets this is what a pass of
// the planner costs.
func (a *arranger) place(r catalog.PrefixRule, primary string) (chosen []string, short string) {
	if a.solver == nil || a.policies[r.Policy] == nil {
		p := a.solve(r, primary, a.clusters)
		return p.Chosen, p.Short
	}
	in := &placement.RuleInput{
		Bucket: a.decl.Name, Prefix: r.Prefix, Policy: r.Policy,
		Primary: primary, PrimaryDeclared: a.declares(primary), Current: a.current(r.Prefix),
	}
	chosen, complete := a.solver.Choose(nil, in)
	if !complete {
		p, _ := a.solver.Place(in)
		short = p.Short
	}
	return chosen, short
}

func (a *arranger) declares(primary string) bool { return primary != "" && a.decl.Primary == primary }

// current lists the clusters that hold a copy of a rule, or are getting one.
func (a *arranger) current(prefix string) (clusters []string) {
	for _, c := range a.rows {
		if c.Prefix == prefix && c.State <= catalog.CopySynced {
			clusters = append(clusters, c.Cluster)
		}
	}
	return clusters
}

// arrangeRule brings one rule's rows to its placement.
func (a *arranger) arrangeRule(r catalog.PrefixRule, target string) {
	chosen, short := a.place(r, target)
	if short != "" && !slices.Contains(a.issues, short) {
		a.issues = append(a.issues, short)
	}
	want := make(map[string]bool)
	for _, c := range chosen {
		want[c] = true
	}
	if a.hasStorage(target) && a.allowed[r.Policy][target] {
		want[target] = true
	}
	allSynced := true
	for _, c := range sortedKeys(want) {
		allSynced = a.want(r.Prefix, c) && allSynced
	}
	for i := range a.rows {
		c := &a.rows[i]
		if c.Prefix != r.Prefix || c.Primary || want[c.Cluster] || c.FormerPrimary {
			continue
		}
		forbidden := !a.allowed[r.Policy][c.Cluster]
		holdsSome := c.State == catalog.CopySynced || c.State == catalog.CopySyncing && c.Cursor != ""
		switch {
		case c.State == catalog.CopyDraining, c.State == catalog.CopyRemoving:
		case !holdsSome, allSynced && (short == "" || forbidden):
			c.State, c.Cursor = catalog.CopyDraining, ""
		}
	}
}

// want sees that a chosen cluster has a copy that is on its way or there, and says
// whether it is there.
func (a *arranger) want(prefix, cluster string) (synced bool) {
	i := indexCopy(a.rows, prefix, cluster)
	if i < 0 {
		a.rows = append(a.rows, state.Copy{
			Bucket: a.decl.Name,
			Copy: catalog.Copy{
				Prefix: prefix, Cluster: cluster, State: catalog.CopyWaiting, MadeBucket: madeBucket(a.rows, cluster),
			},
		})
		return false
	}
	c := &a.rows[i]
	if c.State == catalog.CopyDraining || c.State == catalog.CopyRemoving {
		resync(c)
	}
	return c.State == catalog.CopySynced
}
