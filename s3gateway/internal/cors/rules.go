// Package cors judges requests of pages of other origins by a bucket's rules (S3 API reference,
// CORSConfiguration), and keeps the rules of buckets that browsers ask for a while. It knows nothing
// of storages and of who asks.
//
// Package s3gateway is the only caller.
package cors

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rules are what pages of other origins may do with a bucket.
type Rules struct {
	XMLName xml.Name `xml:"CORSConfiguration"`
	List    []Rule   `xml:"CORSRule"`
}

// Rule is one of them.
type Rule struct {
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader"`
	Expose  []string `xml:"ExposeHeader"`
	MaxAge  *int     `xml:"MaxAgeSeconds"`
}

// Allows reports whether the rule lets an origin make a request by a method with some headers.
func (r *Rule) Allows(origin, method string, headers []string) bool {
	if !slices.Contains(r.Methods, method) || !slices.ContainsFunc(r.Origins, func(p string) bool { return wild(p, origin) }) {
		return false
	}
	for _, h := range headers {
		if !slices.ContainsFunc(r.Headers, func(p string) bool { return wild(strings.ToLower(p), h) }) {
			return false
		}
	}
	return true
}

// wild matches a pattern with at most one *.
func wild(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// Answer sets the headers that a browser looks for.
func (r *Rule) Answer(h http.Header, origin string) {
	if slices.Contains(r.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(r.Methods, ", "))
	if len(r.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(r.Expose, ", "))
	}
	if r.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*r.MaxAge))
	}
}

// Fresh is how long what the storage said of a bucket's rules is taken for true.
const Fresh = 30 * time.Second

// mostBuckets bounds the cache.
const mostBuckets = 10_000

// Cache holds the rules of buckets that browsers ask for.
type Cache struct {
	mu sync.Mutex
	by map[string]entry
}

type entry struct {
	rules *Rules
	until time.Time
}

// Get returns what was kept, and whether it is still taken for true; nil for nothing.
func (k *Cache) Get(bucket string, now time.Time) (rules *Rules, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.by[bucket]
	return e.rules, now.Before(e.until)
}

// Put keeps rules, of buckets that exist.
func (k *Cache) Put(bucket string, rules *Rules, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil || len(k.by) >= mostBuckets {
		k.by = make(map[string]entry)
	}
	k.by[bucket] = entry{rules, until}
}

// Forget has the storage asked again.
func (k *Cache) Forget(bucket string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, bucket)
}
