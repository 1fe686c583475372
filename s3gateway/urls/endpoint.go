package urls

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/fado-project/fado/catalog"
)

// Endpoint is an S3 endpoint as its clients reach it.
type Endpoint struct {
	// Scheme and Host, with the port, begin its URLs; Host is "" where nothing says it.
	Scheme, Host string
	// Port it listens at, for clients that reach it by the same name as something else here; ""
	// where it listens at no port of its own.
	Port string
	// Region that requests are signed for.
	Region string
	// Cluster it is in, "" for none.
	Cluster string
}

// ParseURL reads the URL of an endpoint: scheme and host, and nothing more, since the paths of
// requests are signed.
func ParseURL(s string) (scheme, host string, err error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", fmt.Errorf("%q: expected scheme and host, such as https://s3.example.org", s)
	}
	return u.Scheme, u.Host, nil
}

// URL is how clients reach the endpoint; "" where nothing says it.
func (e *Endpoint) URL() string {
	if e.Host == "" {
		return ""
	}
	return e.Scheme + "://" + e.Host
}

// Endpoints are those of a configuration. They are declared while it is provisioned, one after the
// other, and read from then on.
type Endpoints struct{ all []*Endpoint }

// Declare takes up an endpoint.
func (es *Endpoints) Declare(e *Endpoint) {
	es.all = append(es.all, e)
	slices.SortFunc(es.all, func(a, b *Endpoint) int { return strings.Compare(a.URL()+" "+a.Port, b.URL()+" "+b.Port) })
}

// All returns the endpoints by their URLs.
func (es *Endpoints) All() []*Endpoint { return es.all }

// For returns the endpoint for who reads what is in a cluster: the one there, else the
// first; nil where none says how it is reached.
func (es *Endpoints) For(cluster string) (found *Endpoint) {
	for _, e := range es.all {
		if e.Host != "" && (found == nil || e.Cluster == cluster && found.Cluster != cluster) {
			found = e
		}
	}
	return found
}

// Request is one request of the S3 API. Without a key it is about the bucket.
type Request struct {
	Method, Bucket, Key string
	Query               url.Values
}

// Sign returns the URL by which its holder may make a request until it expires; "" where the system
// key does not allow it, or where nothing says how clients reach the endpoint.
func (e *Endpoint) Sign(system *catalog.Key, r Request, origin string, expires time.Duration) string {
	now := time.Now().UTC()
	g := Grant{Bucket: r.Bucket, Write: r.Method != http.MethodGet && r.Method != http.MethodHead, Origin: origin, Day: now}
	if !g.within(system) || e.Host == "" {
		return ""
	}
	path := "/" + r.Bucket
	if r.Key != "" {
		path += "/" + r.Key
	}
	u := &url.URL{Scheme: e.Scheme, Host: e.Host, Path: path, RawPath: s3utils.EncodePath(path)}
	return today.of(g, system, e.Region).Presign(r.Method, u, r.Query, min(expires, maxExpiry), now)
}
