package placement

import "github.com/fado-project/fado/catalog"

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
	// PrimaryDeclared says that the bucket names its primary itself. Such a primary
	// stays even while its cluster drains; one that placement chose moves away.
	PrimaryDeclared bool
	// Current holds the clusters that hold a copy now: a full storage keeps the
	// copies it has.
	Current map[string]bool
	// UsedBytes of each cluster's storage, where known; beside Storage.Capacity.
	UsedBytes map[string]int64
}

// RuleInput is what the solver looks at of one bucket's rule.
type RuleInput struct {
	Bucket string
	// Prefix of the rule; "" for the bucket's own policy.
	Prefix string
	// Policy of the rule; "" for the default policy.
	Policy string
	// Primary, PrimaryDeclared and Current as in [Input].
	Primary         string
	PrimaryDeclared bool
	Current         []string
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
