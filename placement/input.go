package placement

import (
	"slices"

	"github.com/fado-project/fado/catalog"
)

// Input is all that the solver looks at.
type Input struct {
	Bucket string
	// Prefix of the rule being placed; "" for the bucket's own policy.
	Prefix   string
	Policy   *catalog.Policy
	Zones    map[string]*catalog.Zone
	Clusters map[string]*catalog.Cluster
	// Primary is the cluster the bucket is written in, "" while there is none.
	Primary string
	// PrimaryDeclared says that only people move the primary: the bucket names it, or its
	// policy says so. Such a primary stays even while its cluster drains; one that
	// placement chose moves away.
	PrimaryDeclared bool
	// Current holds the clusters that hold a copy now. They are chosen before others, and a
	// full storage keeps the copies it has.
	Current map[string]bool
	// Coming holds the clusters that are getting a copy: chosen after Current, before others.
	Coming map[string]bool
	// Ideal has the choice made as if no copy were placed yet; only full storages keep
	// what they have.
	Ideal bool
	// UsedBytes of each cluster's storage, where known; beside Storage.Capacity.
	UsedBytes map[string]int64
	// Silent holds the clusters whose storage has never answered: they get no new copies.
	Silent map[string]bool
}

// RuleInput is what the solver looks at of one bucket's rule.
type RuleInput struct {
	Bucket string
	// Prefix of the rule; "" for the bucket's own policy.
	Prefix string
	// Policy of the rule; "" for the default policy.
	Policy string
	// Primary, PrimaryDeclared, Current, Coming and Ideal as in [Input].
	Primary         string
	PrimaryDeclared bool
	Current, Coming []string
	Ideal           bool
}

// Note takes a copy of the rule in: its cluster holds one, is getting one, or neither while
// the copy leaves.
func (in *RuleInput) Note(c catalog.Copy) {
	switch c.State {
	case catalog.CopySynced:
		in.Current = append(in.Current, c.Cluster)
	case catalog.CopyWaiting, catalog.CopySyncing, catalog.CopyFailed:
		in.Coming = append(in.Coming, c.Cluster)
	case catalog.CopyDraining, catalog.CopyRemoving: // it leaves
	}
}

// holds says whether a cluster holds a copy of the rule, or is getting one.
func (in *RuleInput) holds(cluster string) bool {
	return cluster == in.Primary || slices.Contains(in.Current, cluster) || slices.Contains(in.Coming, cluster)
}

// ClusterReason says whether a cluster was chosen, and why or why not.
type ClusterReason struct {
	Cluster string
	Zone    string
	Chosen  bool
	Reason  string
}

// Result is the solver's answer.
type Result struct {
	// Chosen clusters: the primary first, if it may stay, then in the order in which
	// they were chosen.
	Chosen []string
	// Short says what is missing when fewer clusters could be chosen than the
	// policy asks for; "" when nothing is.
	Short string
	// Reasons has one entry for every cluster, sorted by name.
	Reasons []ClusterReason
}
