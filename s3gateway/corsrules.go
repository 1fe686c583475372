package s3gateway

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// corsRules are what pages of other origins may do with a bucket.
type corsRules struct {
	XMLName xml.Name   `xml:"CORSConfiguration"`
	Rules   []corsRule `xml:"CORSRule"`
}

type corsRule struct {
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader"`
	Expose  []string `xml:"ExposeHeader"`
	MaxAge  *int     `xml:"MaxAgeSeconds"`
}

// allows reports whether the rule lets an origin make a request by a method with some headers.
func (r *corsRule) allows(origin, method string, headers []string) bool {
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

// answer sets the headers that a browser looks for.
func (r *corsRule) answer(h http.Header, origin string) {
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

// corsFor is how long what the storage said of a bucket's rules is taken for true.
const corsFor = 30 * time.Second

// maxCORS bounds the cache.
const maxCORS = 10_000

// corsCache holds the rules of buckets that browsers ask for.
type corsCache struct {
	mu sync.Mutex
	by map[string]corsEntry
}

type corsEntry struct {
	rules *corsRules
	until time.Time
}

func (k *corsCache) get(bucket string, now time.Time) (rules *corsRules, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.by[bucket]
	return e.rules, now.Before(e.until)
}

// put keeps rules, of buckets that exist.
func (k *corsCache) put(bucket string, rules *corsRules, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil || len(k.by) >= maxCORS {
		k.by = make(map[string]corsEntry)
	}
	k.by[bucket] = corsEntry{rules, until}
}

// forget has the storage asked again.
func (k *corsCache) forget(bucket string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, bucket)
}
