package catalog

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is an access key of the S3 endpoint: who has its secret may do there what it allows.
type Key struct {
	// The access key ID. Form: 3 to 128 letters, digits and . _ @ + -, beginning with a letter
	// or digit.
	Name string `json:"name"`
	// The secret access key, 8 to 128 visible ASCII characters. Only the answer to the POST that
	// makes the key shows it.
	Secret string `json:"secret,omitempty"`
	// The buckets the key may use, as patterns: * stands for any characters, ? for one and
	// [...] for one of a set. Default: all.
	Buckets []string `json:"buckets"`
	// Whether the key may only read. Default: false.
	ReadOnly bool `json:"read_only"`
	// When the key stops working (RFC 3339). Default: never.
	Expires time.Time `json:"expires,omitzero"`
}

// Allows reports whether the key may use a bucket.
func (k *Key) Allows(bucket string) bool {
	return len(k.Buckets) == 0 || slices.ContainsFunc(k.Buckets, func(pattern string) bool {
		ok, err := path.Match(pattern, bucket)
		return ok && err == nil
	})
}

// Expired reports whether the key no longer works.
func (k *Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// ResourceKind implements Resource.
func (*Key) ResourceKind() Kind { return KindKey }

// ResourceName implements Resource.
func (k *Key) ResourceName() string { return k.Name }

// Normalize implements Resource.
func (k *Key) Normalize() {
	k.Buckets = orEmpty(k.Buckets)
	if !k.Expires.IsZero() {
		k.Expires = k.Expires.UTC().Round(0)
	}
}

// Clone implements Resource.
func (k *Key) Clone() Resource {
	c := *k
	c.Buckets = slices.Clone(k.Buckets)
	return &c
}

// What the fields of a key are, for errors.
const (
	wantKeyName = "an access key ID of 3 to 128 letters, digits and . _ @ + -, beginning with a letter or digit"
	wantSecret  = "a secret of 8 to 128 visible ASCII characters, no placeholder (POST makes one where none is given)"
	wantPattern = "a pattern of bucket names of 1 to 256 bytes such as team-a-*"
)

const (
	minSecret, maxSecret   = 8, 128
	minKeyName, maxKeyName = 3, 128
	maxPattern             = 256
)

// ValidKeyName reports whether s can be an access key ID: it stands in credential scopes, in
// paths and in headers as it is.
func ValidKeyName(s string) bool {
	return len(s) >= minKeyName && len(s) <= maxKeyName && isAlnum(s[0]|0x20) &&
		strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789._@+-") == ""
}

func (c *checker) key(k *Key) {
	if !ValidKeyName(k.Name) {
		c.add("name", k.Name, wantKeyName)
	}
	if k.Secret != redactedSecret && !validSecret(k.Secret) { // which stands for the stored one
		c.add("secret", redactedSecret, wantSecret)
	}
	if !c.atMost("buckets", len(k.Buckets), maxPatterns) {
		return
	}
	for i, p := range k.Buckets {
		if _, err := path.Match(p, ""); err != nil || p == "" || len(p) > maxPattern || strings.Contains(p, "/") {
			c.add(at("buckets", i), p, wantPattern)
			continue
		}
		c.once("buckets", k.Buckets, i)
	}
	if y := k.Expires.Year(); !k.Expires.IsZero() && (y < 1970 || y > 9999) {
		c.add("expires", strconv.Itoa(y), wantTime)
	}
}

// redactedSecret stands for a secret in errors.
const redactedSecret = "***"

func validSecret(s string) bool {
	visible := !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
	return len(s) >= minSecret && len(s) <= maxSecret && visible && !strings.Contains(s, "{env.") && !strings.Contains(s, "{file.")
}
