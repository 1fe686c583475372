package catalog

// PlacementInput is all that the solver looks at.
type PlacementInput struct {
	Bucket string
	// Prefix of the rule being placed; "" for the bucket's own policy.
	Prefix   string
	Policy   *Policy
	Zones    map[string]*Zone
	Clusters map[string]*Cluster
	// Primary is the cluster the bucket is written in, "" while there is none.
	Primary string
	// Current holds the clusters that hold a copy now: a full storage keeps the
	// copies it has.
	Current map[string]bool
	// UsedBytes of each cluster's storage, where known; beside Storage.Capacity.
	UsedBytes map[string]int64
}

// ClusterReason says whether a cluster was chosen, and why or why not.
type ClusterReason struct {
	Cluster string `json:"cluster"`
	Zone    string `json:"zone"`
	Chosen  bool   `json:"chosen"`
	Reason  string `json:"reason"`
}

// Placement is the solver's answer.
type Placement struct {
	// Chosen clusters, the primary first, then in order of preference.
	Chosen []string
	// Short says what is missing when fewer clusters could be chosen than the
	// policy asks for; "" when nothing is.
	Short string
	// Reasons has one entry for every cluster, sorted by name.
	Reasons []ClusterReason
}

// Solve chooses the clusters that hold the copies of one bucket's rule. It is a
// pure function: equal inputs give equal answers on every instance.
//
// TODO(solver): implement.
func Solve(in PlacementInput) Placement { return Placement{} }

// AllowedClusters returns the names of the clusters whose zones a policy allows,
// whatever their state: the one place residency is decided.
//
// TODO(solver): implement.
func AllowedClusters(p *Policy, zones map[string]*Zone, clusters map[string]*Cluster) map[string]bool {
	return nil
}
