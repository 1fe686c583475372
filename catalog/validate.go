package catalog

// ValidateResource checks one normalized resource by itself and its references
// against what is declared (the resource itself may or may not be in there yet, and
// what is in there under its name is what it replaces). With a nil Lookup it checks
// the resource by itself only. The error is a *ValidationError with every violation,
// or nil; values of secrets are never in it.
//
// It does not look at what refers to the resource: callers that change a policy, zone or
// cluster ask [PrimaryAllowed] for the buckets that the change could affect.
func ValidateResource(r Resource, in Lookup) error {
	if out := check(r, in); len(out) > 0 {
		return newValidationError(r.ResourceKind(), r.ResourceName(), out)
	}
	return nil
}

// check returns what is wrong with a resource, with Field paths inside the resource.
func check(r Resource, in Lookup) []Violation {
	c := &checker{in: in}
	c.resource(r)
	return c.out
}

// resource checks a resource of any kind.
func (c *checker) resource(r Resource) {
	switch r := r.(type) {
	case *Zone:
		c.zone(r)
	case *Cluster:
		c.cluster(r)
	case *Policy:
		c.policy(r)
	case *Bucket:
		c.bucket(r)
	case *Key:
		c.key(r)
	}
}
