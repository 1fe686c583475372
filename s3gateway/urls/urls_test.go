package urls

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/storage/s3"
)

var system = &catalog.Key{Name: SystemKey, Secret: "the-secret-of-the-store"}

func TestIDsTellWhatTheyAllow(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	for _, g := range []Grant{
		{Bucket: "b", Day: day},
		{Bucket: "my.bucket-1", Write: true, Origin: "https://console.example.org:8443", Day: day},
	} {
		id := g.ID()
		got, ok := ParseID(id)
		if !ok || got != g || strings.ContainsAny(id, "/+= ") {
			t.Errorf("%s: %+v %v, want %+v", id, got, ok, g)
		}
	}
	good := Grant{Bucket: "b", Day: day}.ID()
	for _, bad := range []string{"", SystemKey, "AKIA", SystemKey + ".", good + ".x", good + "=", strings.Replace(good, ".r.", ".x.", 1), strings.Replace(good, "20260304", "2026034", 1), SystemKey + ".20260304.r..", SystemKey + ".20260304.r.Yh."} {
		if g, ok := ParseID(bad); ok {
			t.Errorf("%q is taken for %+v", bad, g)
		}
	}
}

func TestKeysAllowNoMoreThanTheirGrant(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 4, 15, 0, 0, 0, time.UTC)
	read := Grant{Bucket: "b", Day: day}.Key(system)
	write := Grant{Bucket: "b", Write: true, Day: day}.Key(system)
	if !read.ReadOnly || write.ReadOnly || !read.Allows("b") || read.Allows("other") || read.Secret == write.Secret {
		t.Errorf("%+v %+v", read, write)
	}
	if end := time.Date(2026, 3, 12, 0, 0, 0, 0, time.UTC); !read.Expires.Equal(end) {
		t.Errorf("expires %s, want %s", read.Expires, end)
	}
	others := []Grant{{Bucket: "b", Day: day.AddDate(0, 0, 1)}, {Bucket: "c", Day: day}, {Bucket: "b", Origin: "https://x", Day: day}}
	for _, g := range others {
		if g.Key(system).Secret == read.Secret {
			t.Errorf("%+v has the same secret", g)
		}
	}
	soon := day.Add(time.Hour)
	limited := &catalog.Key{Name: SystemKey, Secret: "s", Buckets: []string{"b"}, ReadOnly: true, Expires: soon}
	if k := (Grant{Bucket: "b", Write: true, Day: day}).Key(limited); !k.ReadOnly || !k.Expires.Equal(soon) {
		t.Errorf("more than the system key: %+v", k)
	}
	for _, g := range []Grant{{Bucket: "c", Day: day}, {Bucket: "*", Day: day}} {
		if k := g.Key(limited); k != nil {
			t.Errorf("%+v: %+v", g, k)
		}
	}
	if (Grant{Bucket: "*", Day: day}).Key(system) != nil || (Grant{Bucket: "b", Day: day}).Key(nil) != nil {
		t.Error("a key was made of nothing")
	}
	if g := (Grant{Day: day}); g.Begun(day.Add(-2*time.Hour)) || !g.Begun(day) {
		t.Error("days")
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "s3.example.org", "ftp://x", "https://", "https://x/path", "https://u@x", "https://x?q", "https://x#f", "https://:9000"} {
		if _, _, err := ParseURL(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if scheme, host, err := ParseURL("https://s3.example.org:9000/"); err != nil || scheme != "https" || host != "s3.example.org:9000" {
		t.Error(scheme, host, err)
	}
	e := &Endpoint{Scheme: "http", Host: "localhost:9000", Region: "us-east-1"}
	u, err := url.Parse(e.Sign(system, Request{Method: http.MethodPut, Bucket: "b", Key: "a b/ü//c+d?", Query: url.Values{"partNumber": {"1"}}}, "http://localhost:8090", time.Minute))
	if err != nil || u.Host != e.Host || u.Path != "/b/a b/ü//c+d?" || u.Query().Get("X-Amz-Expires") != "60" || u.Query().Get("partNumber") != "1" {
		t.Errorf("%s %v", u, err)
	}
	// minio-go's signer signs the same request so.
	q := u.Query()
	id, _, _ := strings.Cut(q.Get("X-Amz-Credential"), "/")
	g, _ := ParseID(id)
	signature := q.Get("X-Amz-Signature")
	unsigned := *u
	unsigned.RawQuery = "partNumber=1"
	want := signer.PreSignV4(http.Request{Method: http.MethodPut, Host: u.Host, URL: &unsigned, Header: http.Header{}}, id, g.Key(system).Secret, "", e.Region, 60).URL.Query()
	if want.Get("X-Amz-Date") == q.Get("X-Amz-Date") && want.Get("X-Amz-Signature") != signature {
		t.Errorf("signed %s, minio-go signs %s", signature, want.Get("X-Amz-Signature"))
	}
	if (&Endpoint{Scheme: "http"}).Sign(system, Request{Method: http.MethodGet, Bucket: "b"}, "", time.Minute) != "" {
		t.Error("a URL of nowhere")
	}
}

// Each grant, system key and region is signed for by a key of its own, and no more of them are kept
// than may be.
func TestKeptKeys(t *testing.T) {
	var k keptKeys
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	u := &url.URL{Scheme: "http", Host: "h", Path: "/b/k", RawPath: "/b/k"}
	seen := make(map[string]string)
	for range 2 {
		for _, secret := range []string{"the-secret-of-the-store", "another-secret"} {
			for _, region := range []string{"us-east-1", "eu-1"} {
				for _, g := range []Grant{{Bucket: "b", Day: day}, {Bucket: "b", Day: day, Write: true}, {Bucket: "c", Day: day}, {Bucket: "b", Day: day.AddDate(0, 0, 1)}} {
					system := &catalog.Key{Name: SystemKey, Secret: secret}
					got := k.of(g, system, region).Presign(http.MethodGet, u, nil, time.Minute, g.Day)
					if want := s3.NewSigningKey(g.ID(), g.Key(system).Secret, region, g.Day).Presign(http.MethodGet, u, nil, time.Minute, g.Day); got != want {
						t.Errorf("%s, want %s", got, want)
					}
					seen[got] = ""
				}
			}
		}
	}
	if len(seen) != 16 || len(k.by) != 16 {
		t.Errorf("%d URLs by %d keys, want 16", len(seen), len(k.by))
	}
	for n := range maxKept + 10 {
		k.of(Grant{Bucket: fmt.Sprint("b", n), Day: day}, system, "")
	}
	if len(k.by) > maxKept {
		t.Errorf("%d keys are kept", len(k.by))
	}
}

func BenchmarkSign(b *testing.B) {
	e := &Endpoint{Scheme: "https", Host: "s3.example.org", Region: "us-east-1"}
	b.Run("FaDO", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Sign(system, Request{Method: http.MethodGet, Bucket: "reports", Key: "q1/report-000.txt"}, "", time.Minute)
		}
	})
}

// What is read in a cluster is reached by the endpoint there, else by the first that says how it is
// reached; the order in which endpoints are declared doesn't matter.
func TestEndpointFor(t *testing.T) {
	silent := &Endpoint{Port: "9000", Cluster: "c1"}
	a, b := &Endpoint{Scheme: "https", Host: "a.example"}, &Endpoint{Scheme: "https", Host: "b.example", Cluster: "c2"}
	for _, order := range [][]*Endpoint{{silent, a, b}, {b, a, silent}} {
		var es Endpoints
		if es.For("c1") != nil {
			t.Error("an endpoint where there is none")
		}
		for _, e := range order {
			es.Declare(e)
		}
		if all := es.All(); len(all) != 3 || all[0] != silent || all[1] != a || all[2] != b {
			t.Errorf("%v", all)
		}
		for cluster, want := range map[string]*Endpoint{"c1": a, "c2": b, "c3": a} {
			if got := es.For(cluster); got != want {
				t.Errorf("%s: %+v", cluster, got)
			}
		}
	}
}
