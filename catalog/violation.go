package catalog

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Violation is one thing wrong with a resource.
type Violation struct {
	// Path of the field as users write it: "cluster c1: storage.endpoint".
	Field string
	// The value as given; never a secret.
	Value string
	// What was expected.
	Expected string
	// Conflict says that the value is good by itself and stands against another
	// resource.
	Conflict bool
}

// String reads "cluster c1: storage.endpoint: \"ftp://x\": expected an http:// or https:// URL".
func (v Violation) String() string {
	return v.Field + ": " + strconv.Quote(v.Value) + ": expected " + v.Expected
}

// ValidationError holds every violation at once.
type ValidationError struct{ Violations []Violation }

// maxNamed bounds how many violations the text of an error names: a body of a megabyte
// may hold a hundred thousand, and the text goes to the client and to the log.
const maxNamed = 100

// Error names the violations, the first 100 of them.
func (e *ValidationError) Error() string {
	parts := make([]string, 0, min(len(e.Violations), maxNamed+1))
	for i, v := range e.Violations {
		if i == maxNamed {
			parts = append(parts, "and "+strconv.Itoa(len(e.Violations)-maxNamed)+" more")
			break
		}
		parts = append(parts, v.String())
	}
	return strings.Join(parts, "; ")
}

// Conflict says that nothing is wrong but conflicts with other resources.
func (e *ValidationError) Conflict() bool {
	for _, v := range e.Violations {
		if !v.Conflict {
			return false
		}
	}
	return len(e.Violations) > 0
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

// BucketLookup is what a Lookup may offer beyond: with it, validation finds two
// buckets that would be one physical bucket, which clusters that share a storage
// endpoint under different bucket prefixes can bring about ("a-b" below "" and "b"
// below "a-"). A snapshot of routing offers it.
type BucketLookup interface {
	// Bucket finds a declared bucket; nil when there is none of that name.
	Bucket(name string) *Bucket
	// Buckets calls f with every bucket's name until f returns false.
	Buckets(f func(name string) bool)
}

// violations collects violations; their Field is the path inside the resource until
// newValidationError puts the resource before it.
type violations struct{ out []Violation }

// maxViolations is how many a body may have before reading on makes no sense.
const maxViolations = 1_000

func (vs *violations) full() bool { return len(vs.out) >= maxViolations }

func (vs *violations) add(path, value, expected string) {
	vs.out = append(vs.out, Violation{Field: path, Value: shorten(value), Expected: expected})
}

func (vs *violations) conflict(path, value, expected string) {
	vs.add(path, value, expected)
	vs.out[len(vs.out)-1].Conflict = true
}

func newValidationError(k Kind, name string, out []Violation) *ValidationError {
	root := string(k)
	if name != "" {
		root += " " + shorten(name)
	}
	for i := range out {
		if out[i].Field == "" {
			out[i].Field = root
		} else {
			out[i].Field = root + ": " + out[i].Field
		}
	}
	return &ValidationError{Violations: out}
}

// below returns the path of a member of what is at a path.
func below(path, member string) string {
	if path == "" {
		return member
	}
	return path + "." + member
}

// at returns the path of an item of a list.
func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// maxShown bounds how many bytes of a value an error shows.
const maxShown = 120

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// checker collects what is wrong with one resource. Its in is nil where references
// are not to be looked up.
type checker struct {
	violations
	in Lookup
	// anyPrimary leaves unchecked whether policies allow a bucket's primary.
	anyPrimary bool
}
