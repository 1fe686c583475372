package catalog

import "strings"

// Violation is one thing wrong with a resource.
type Violation struct {
	// Path of the field as users write it: "cluster c1: storage.endpoint".
	Field string `json:"field"`
	// The value as given; never a secret.
	Value string `json:"value"`
	// What was expected.
	Expected string `json:"expected"`
	// Conflict says that the value is good by itself and stands against another
	// resource: HTTP 409, where the others are 400.
	Conflict bool `json:"conflict,omitempty"`
}

// String reads "cluster c1: storage.endpoint: \"ftp://x\": expected an http:// or https:// URL".
func (v Violation) String() string {
	return v.Field + ": \"" + v.Value + "\": expected " + v.Expected
}

// ValidationError names every violation at once.
type ValidationError struct{ Violations []Violation }

// Error implements error.
func (e *ValidationError) Error() string {
	parts := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		parts[i] = v.String()
	}
	return strings.Join(parts, "; ")
}

// Lookup finds a declared resource; nil when there is none of that name. The
// result is not to be changed.
type Lookup interface {
	Zone(name string) *Zone
	Cluster(name string) *Cluster
	Policy(name string) *Policy
	// Clusters calls f for every cluster until f returns false.
	Clusters(f func(*Cluster) bool)
	// Zones calls f for every zone until f returns false.
	Zones(f func(*Zone) bool)
	// DefaultPolicy is the name of the policy of buckets that name none.
	DefaultPolicy() string
}

// ValidateResource checks one normalized resource by itself and its references
// against what is declared (the resource itself may or may not be in there yet).
// The error is a *ValidationError with every violation, or nil.
//
// TODO(validate): implement.
func ValidateResource(r Resource, in Lookup) error { return nil }

// SharedStorage returns the name of another cluster with the same storage endpoint
// and bucket prefix, "" if there is none: the two would share their data.
//
// TODO(validate): implement.
func SharedStorage(c *Cluster, in Lookup) string { return "" }

// PrimaryAllowed returns why a bucket's declared primary is outside the zones that
// one of its policies allows, or nil.
//
// TODO(validate): implement.
func PrimaryAllowed(b *Bucket, in Lookup) error { return nil }
