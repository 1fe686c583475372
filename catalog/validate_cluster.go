package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const (
	wantWeight = "a whole number from 1 to 1000"
	wantURL    = "an http:// or https:// URL"
)

// MaxWeight is the largest weight of a function endpoint.
const MaxWeight = 1000

// cluster checks a cluster.
func (c *checker) cluster(cl *Cluster) {
	c.name(cl.Name)
	c.labels(cl.Labels)
	if len(cl.Zones) == 0 {
		c.add("zones", "", "at least one zone, the first being the cluster's failure domain")
	}
	c.names("zones", cl.Zones, KindZone, maxInZones)
	if cl.Storage != nil {
		storageChecker{&c.violations, c.in}.storage(cl)
	}
	c.prices(cl)
	if !c.atMost("functions", len(cl.Functions), maxFunctions) {
		return
	}
	functions := functionChecker{&c.violations, make(map[string]bool)}
	for i := range cl.Functions {
		functions.function(at("functions", i), &cl.Functions[i])
	}
}

// maxPrice keeps sums of prices finite.
const (
	maxPrice  = 1e9
	wantPrice = "a price per GB from 0 to 10^9"
)

func (c *checker) price(path string, p float64) {
	if !(p >= 0 && p <= maxPrice) {
		c.add(path, strconv.FormatFloat(p, 'g', -1, 64), wantPrice)
	}
}

// prices checks what a cluster says of costs and links.
func (c *checker) prices(cl *Cluster) {
	c.price("egress_price", cl.EgressPrice)
	c.price("storage_price", cl.StoragePrice)
	if !c.atMost("links", len(cl.Links), maxLinks) {
		return
	}
	seen := make(map[string]bool)
	for i, l := range cl.Links {
		path := at("links", i)
		switch {
		case l.To == cl.Name:
			c.add(path+".to", l.To, "a cluster other than the cluster itself")
		case seen[l.To]:
			c.add(path+".to", l.To, "every cluster only once")
		default:
			c.declared(path+".to", l.To, KindCluster)
		}
		seen[l.To] = true
		if l.Bandwidth < 0 {
			c.add(path+".bandwidth", strconv.FormatInt(int64(l.Bandwidth), 10), "a rate above 0 such as 200MiB, in bytes per second")
		}
		if l.Latency < 0 {
			c.positive(path+".latency", l.Latency)
		}
		if l.Price != nil {
			c.price(path+".price", *l.Price)
		}
	}
}

func validHealthPath(p string) bool {
	if p[0] != '/' || strings.ContainsAny(p, " #") {
		return false
	}
	_, err := url.ParseRequestURI(p)
	return err == nil
}

// parseHTTP reads the URL of a server, with or without a path, and returns what was
// expected when it isn't one.
func parseHTTP(raw string) (u *url.URL, problem string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return nil, wantURL
	case u.Hostname() == "":
		return nil, wantURL + " with a host"
	case !validPort(u):
		return nil, wantURL + " with a port from 1 to 65535, or none"
	case u.User != nil:
		return nil, wantURL + " without a user name or password"
	case strings.Contains(raw, "?"):
		return nil, wantURL + " without a query"
	case strings.Contains(raw, "#"):
		return nil, wantURL + " without a fragment"
	}
	return u, ""
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n >= 1 && n <= 65535
}

// endpointAddress returns the canonical form of a storage endpoint, or the endpoint
// as it is if it can't be read.
func endpointAddress(endpoint string) string {
	u, problem := parseHTTP(endpoint)
	if problem != "" {
		return endpoint
	}
	return u.Scheme + "://" + hostPort(u)
}

// Address tells storages apart by where they are, not by what is in them: the same number is
// the same endpoint, compared as connections go, and the same bucket prefix. It is the same in
// every version of FaDO, because it is stored with what was learnt there, and it is never 0.
func (s *Storage) Address() int64 {
	sum := sha256.Sum256([]byte(endpointAddress(s.Endpoint) + "\x00" + s.BucketPrefix))
	return int64(binary.BigEndian.Uint64(sum[:8]) | 1)
}

// functionAddress returns the canonical form of a function's URL.
func functionAddress(u *url.URL) string {
	return u.Scheme + "://" + hostPort(u) + strings.TrimRight(u.Path, "/")
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	if n, err := strconv.Atoi(port); err == nil {
		port = strconv.Itoa(n)
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// redactURL hides what may be secret in what was meant to be a URL, well-formed or
// not: a user name and password, and a query.
func redactURL(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		begin := 0
		if j := strings.Index(s, "//"); j >= 0 && j < i {
			begin = j + 2
		}
		s = s[:begin] + "***" + s[i:]
	}
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i+1] + "***"
	}
	return s
}
