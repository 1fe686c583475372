package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	wantName   = "a name of 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit"
	wantBucket = "a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit"
)

// The lengths of physical bucket names.
const (
	minBucketName = 3
	maxBucketName = 63
)

// maxKey is the most bytes an object key has, and so the most a prefix rule needs.
const maxKey = 1024

// Beginnings and ends that S3 keeps for itself.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var (
	reservedBucketPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedBucketSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// ValidName says whether s can name a zone, cluster or policy: [a-z0-9][a-z0-9-]{0,62}.
func ValidName(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// ValidBucketName says whether s can name a bucket, by S3's rules for general
// purpose buckets.
func ValidBucketName(s string) bool { return bucketNameProblem(s) == "" }

// bucketNameProblem returns what was expected of a bucket name, "" when it is one.
func bucketNameProblem(s string) string {
	switch {
	case len(s) < minBucketName || len(s) > maxBucketName,
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "",
		!isAlnum(s[0]), !isAlnum(s[len(s)-1]):
		return wantBucket
	case strings.Contains(s, ".."):
		return "a bucket name without two dots in a row"
	case looksLikeIPv4(s):
		return "a bucket name that is not formed like an IP address"
	}
	for _, p := range reservedBucketPrefixes {
		if strings.HasPrefix(s, p) {
			return "a bucket name that does not begin with " + p + ", which S3 reserves"
		}
	}
	for _, p := range reservedBucketSuffixes {
		if strings.HasSuffix(s, p) {
			return "a bucket name that does not end with " + p + ", which S3 reserves"
		}
	}
	return ""
}

func isAlnum(b byte) bool { return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' }

// looksLikeIPv4 says that s is four numbers with dots between, in range or not.
func looksLikeIPv4(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// name checks the name of a zone, cluster or policy.
func (c *checker) name(name string) {
	if !ValidName(name) {
		c.add("name", name, wantName)
	}
}

// names checks a list of references: not too many, each declared, none twice.
func (c *checker) names(path string, list []string, k Kind, most int) {
	if !c.atMost(path, len(list), most) {
		return
	}
	for i, name := range list {
		if c.declared(at(path, i), name, k) {
			c.once(path, list, i)
		}
	}
}

// once notes an item that stands earlier in its list too.
func (c *checker) once(path string, list []string, i int) {
	if slices.Contains(list[:i], list[i]) {
		c.add(at(path, i), list[i], "every item only once")
		return
	}
}

// declared notes a reference to what is not declared.
func (c *checker) declared(path, name string, k Kind) bool {
	if !ValidName(name) || c.in != nil && !exists(c.in, k, name) {
		c.add(path, name, "a declared "+string(k))
		return false
	}
	return true
}

func exists(in Lookup, k Kind, name string) bool {
	switch k {
	case KindZone:
		return in.Zone(name) != nil
	case KindCluster:
		return in.Cluster(name) != nil
	case KindPolicy:
		return in.Policy(name) != nil
	default:
		return false
	}
}

// labels checks free-form labels.
func (c *checker) labels(labels map[string]string) {
	if _, unnamed := labels[""]; unnamed {
		c.add("labels", "", "every label to have a name")
	}
	if !c.atMost("labels", len(labels), maxLabels) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if len(name) > maxLabel || len(labels[name]) > maxLabel {
			c.add("labels", name, fmt.Sprintf("a name and a value of at most %d bytes each", maxLabel))
		}
	}
}

// keyPrefix checks the prefix of a prefix rule.
func (c *checker) keyPrefix(path, prefix string) bool {
	if prefix == "" || len(prefix) > maxKey || !utf8.ValidString(prefix) {
		c.add(path, prefix, "a key prefix of 1 to 1024 bytes in UTF-8")
		return false
	}
	return true
}

// zone checks a zone: its name, and that its parents are there and never lead back.
func (c *checker) zone(z *Zone) {
	c.name(z.Name)
	c.labels(z.Labels)
	if z.Parent == "" {
		return
	}
	if z.Parent == z.Name {
		c.add("parent", z.Parent, "a zone other than the zone itself")
		return
	}
	if c.declared("parent", z.Parent, KindZone) && c.in != nil {
		c.ancestry(z)
	}
}

// ancestry follows the parents up. What is declared under the zone's own name is
// what it replaces, so its parent does not count.
func (c *checker) ancestry(z *Zone) {
	var path strings.Builder
	path.WriteString(z.Name)
	for name, depth := z.Parent, 1; name != ""; depth++ {
		path.WriteString(" in " + name)
		if name == z.Name {
			c.add("parent", z.Parent, "a zone that is not inside this one ("+path.String()+")")
			return
		}
		if depth >= maxZoneDepth {
			c.add("parent", z.Parent, fmt.Sprintf("zones nested at most %d levels deep", maxZoneDepth))
			return
		}
		up := c.in.Zone(name)
		if up == nil {
			return // what is declared is checked where it is declared
		}
		name = up.Parent
	}
}
