package catalog

import (
	"encoding/json"
	"strconv"
)

// policy checks a policy.
func (c *checker) policy(p *Policy) {
	c.name(p.Name)
	if !p.Copies.All && (p.Copies.N < 1 || p.Copies.N > MaxCopies) {
		c.add("copies", p.Copies.String(), wantCopies)
	}
	c.names("zones", p.Zones, KindZone, maxZones)
	c.names("exclude_zones", p.ExcludeZones, KindZone, maxZones)
	c.names("clusters", p.Clusters, KindCluster, maxClusters)
	c.names("prefer", p.Prefer, KindCluster, maxClusters)
	if p.Spread != SpreadZone && p.Spread != SpreadCluster {
		c.add("spread", string(p.Spread), wantSpread)
	}
	c.writes(p.Writes)
	if p.Versions != VersionsAll && p.Versions != VersionsCurrent {
		c.add("versions", string(p.Versions), wantVersions)
	}
	if p.Primary != PrimaryFollow && p.Primary != PrimaryFixed {
		c.add("primary", string(p.Primary), wantPrimaryMoves)
	}
	c.onMiss(p.OnMiss)
	if p.MaxStaleness < 0 {
		c.positive("max_staleness", p.MaxStaleness)
	}
	c.positive("pull_timeout", p.PullTimeout)
	c.positive("pull_ttl", p.PullTTL)
	c.balance(p.Balance)
}

func (c *checker) writes(w Writes) {
	switch w {
	case WritesPrimary, WritesAnywhere:
	default:
		c.add("writes", string(w), wantWrites)
	}
}

func (c *checker) onMiss(m OnMiss) {
	switch m {
	case OnMissRemote, OnMissReject, OnMissPull:
	default:
		c.add("on_miss", string(m), wantOnMiss)
	}
}

func (c *checker) positive(path string, d Duration) {
	if d <= 0 {
		c.add(path, d.String(), wantPositive)
	}
}

// balance checks the form of a selection policy; which policies there are is Caddy's
// to know. What is in it is not shown: some of Caddy's selection policies take a
// secret.
func (c *checker) balance(o RawObject) {
	if len(o) == 0 {
		return
	}
	const want = `an object with a member "policy" that names a selection policy`
	var form struct {
		Policy json.RawMessage `json:"policy"`
	}
	if json.Unmarshal(o, &form) != nil {
		c.add("balance", "not a JSON object", want)
		return
	}
	var name string
	if len(form.Policy) == 0 {
		c.add("balance", "{…}", want)
	} else if form.Policy[0] != '"' || json.Unmarshal(form.Policy, &name) != nil || name == "" {
		c.add("balance.policy", shown("balance.policy", form.Policy), "the name of a selection policy, such as least_conn")
	}
}

// bucketPolicy returns the policy a bucket or rule names, "" meaning the default;
// nil when it is not declared.
func bucketPolicy(name string, in Lookup) *Policy {
	if name == "" {
		name = in.DefaultPolicy()
	}
	return in.Policy(name)
}

// bucket checks a bucket.
func (c *checker) bucket(b *Bucket) {
	if problem := bucketNameProblem(b.Name); problem != "" {
		c.add("name", b.Name, problem)
	}
	if !c.atMost("prefixes", len(b.Prefixes), maxPrefixes) {
		return // nor what depends on its rules
	}
	c.bucketPolicies(b)
	seen := make(map[string]bool, len(b.Prefixes))
	for i, r := range b.Prefixes {
		path := at("prefixes", i) + ".prefix"
		if c.keyPrefix(path, r.Prefix) && seen[r.Prefix] {
			c.add(path, r.Prefix, "every prefix only once")
		}
		seen[r.Prefix] = true
	}
	if b.Promote != "" && (b.Promote != PromoteManual || b.Primary == "") {
		c.add("promote", string(b.Promote), "manual, beside the primary that is to be prepared")
	}
	if b.Primary != "" && c.declared("primary", b.Primary, KindCluster) && c.in != nil {
		c.primary(b)
	}
	if c.in != nil && ValidBucketName(b.Name) {
		physical{out: &c.violations, in: c.in}.bucket(b)
	}
}

// bucketPolicies checks that the policies a bucket names, or leaves to the default,
// are declared.
func (c *checker) bucketPolicies(b *Bucket) {
	if b.Policy != "" {
		c.declared("policy", b.Policy, KindPolicy)
	} else if c.in != nil && bucketPolicy("", c.in) == nil {
		c.add("policy", c.in.DefaultPolicy(), "a declared policy (the bucket names none, so this default would be its policy)")
	}
	for i, r := range b.Prefixes {
		c.declared(at("prefixes", i)+".policy", r.Policy, KindPolicy)
	}
}

// primary checks that the bucket can be written where it says: the cluster has a
// storage, and the policy of every rule allows it, since every object of the bucket
// passes there.
func (c *checker) primary(b *Bucket) {
	cl := c.in.Cluster(b.Primary)
	if cl.Storage == nil {
		c.add("primary", b.Primary, "a cluster that has a storage")
	}
	if c.anyPrimary {
		return
	}
	for _, r := range rulesOf(b) {
		p := bucketPolicy(r.Policy, c.in)
		if p == nil {
			continue // said where the policy is named
		}
		if d := Deny(p, cl, c.in.Zone); !d.Allowed() {
			of := ""
			if r.Prefix != "" {
				of = ", the policy of prefix " + strconv.Quote(r.Prefix)
			}
			c.add("primary", b.Primary, "a cluster that policy "+p.Name+" allows"+of+": "+d.Reason(p))
		}
	}
}

// PrimaryAllowed says whether the cluster a bucket names as its primary is there, has
// a storage, and is allowed by the policy of every rule of the bucket; nil as well
// for a bucket that names none. It is what may break when a policy, zone or cluster
// changes; the error is a *ValidationError.
func PrimaryAllowed(b *Bucket, in Lookup) error {
	c := &checker{in: in}
	if b.Primary != "" && c.declared("primary", b.Primary, KindCluster) {
		c.primary(b)
	}
	if len(c.out) > 0 {
		return newValidationError(KindBucket, b.Name, c.out)
	}
	return nil
}

// rulesOf returns a bucket's own rule and its prefix rules, as they are declared.
func rulesOf(b *Bucket) []PrefixRule {
	return append([]PrefixRule{{Policy: b.Policy}}, b.Prefixes...)
}
