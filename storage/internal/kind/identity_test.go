package kind

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/storage/s3"
)

// AWS is known by its documentation; its answers are told by their Server header.
func TestProvidersAreTold(t *testing.T) {
	for server, want := range map[string]string{
		"AmazonS3": "AWS S3", "MinIO": "MinIO", "MinIO/RELEASE.2021": "MinIO", "VERSITYGW": "versitygw", "Ceph Object Gateway": "S3",
	} {
		var id Identity
		id.Observe(http.Header{"Server": {server}})
		if p := id.row.Load(); p == nil || p.Name != want {
			t.Errorf("%s: got %+v, want %s", server, p, want)
		}
	}
}

// What stands before a storage puts its own name into Server. MinIO is told by its other headers
// then, and what is known stays known whatever a later answer says.
func TestProvidersBehindProxies(t *testing.T) {
	for name, c := range map[string]struct {
		answers []http.Header
		want    string
	}{
		"only a proxy":                 {[]http.Header{{"Server": {"nginx"}}}, "S3"},
		"MinIO behind one":             {[]http.Header{{"Server": {"nginx"}, "X-Minio-Deployment-Id": {"d"}}}, "MinIO"},
		"a refusal of MinIO":           {[]http.Header{{"X-Minio-Error-Code": {"AccessDenied"}}}, "MinIO"},
		"the proxy answers first":      {[]http.Header{{"Server": {"nginx"}}, {"Server": {"VERSITYGW"}}}, "versitygw"},
		"the proxy answers afterwards": {[]http.Header{{"Server": {"VERSITYGW"}}, {"Server": {"nginx"}}}, "versitygw"},
		"another storage afterwards":   {[]http.Header{{"Server": {"VERSITYGW"}}, {"Server": {"MinIO"}}}, "versitygw"},
	} {
		var id Identity
		for _, h := range c.answers {
			id.Observe(h)
		}
		if p := id.row.Load(); p == nil || p.Name != c.want {
			t.Errorf("%s: got %+v, want %s", name, p, c.want)
		}
	}
}

// A server that has not answered yet is asked once; one that refuses the credentials has told what it is
// all the same, and one that tells nothing is any S3, without being taken for it for good.
func TestProviderAsks(t *testing.T) {
	for name, c := range map[string]struct {
		server, code, want string
		status, asked      int
	}{
		"well":               {server: "MinIO", status: 200, want: "MinIO", asked: 1},
		"refuses":            {server: "VERSITYGW", status: 403, code: "InvalidAccessKeyId", want: "versitygw", asked: 1},
		"may list nothing":   {server: "AmazonS3", status: 403, code: "AccessDenied", want: "AWS S3", asked: 1},
		"tells nothing":      {status: 200, want: "S3", asked: 2},
		"does not work well": {status: 503, code: "SlowDown", asked: 2},
	} {
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Server", c.server)
			w.WriteHeader(c.status)
			if c.code != "" {
				_, _ = w.Write([]byte("<Error><Code>" + c.code + "</Code></Error>"))
				return
			}
			_, _ = w.Write([]byte("<ListAllMyBucketsResult></ListAllMyBucketsResult>"))
		}))
		var id Identity
		wire, err := s3.Open(s3.Config{Name: "c", Endpoint: srv.URL, AccessKey: "a", SecretKey: "s", Observe: id.Observe})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			p, err := id.Provider(t.Context(), wire)
			if got := nameOf(p); got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
			}
		}
		if asked != c.asked {
			t.Errorf("%s: asked %d times, want %d", name, asked, c.asked)
		}
		wire.Close()
		srv.Close()
	}
}

// A storage that may not be listed is there; one that refuses the credentials, or can't answer, is not to be used.
func TestPing(t *testing.T) {
	for code, want := range map[string]error{"": nil, "AccessDenied": nil, "InvalidAccessKeyId": s3.ErrDenied, "SignatureDoesNotMatch": s3.ErrDenied, "SlowDown": s3.ErrUnavailable} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch code {
			case "":
				_, _ = w.Write([]byte("<ListAllMyBucketsResult></ListAllMyBucketsResult>"))
				return
			case "SlowDown":
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = w.Write([]byte("<Error><Code>" + code + "</Code></Error>"))
		}))
		wire, err := s3.Open(s3.Config{Name: "c", Endpoint: srv.URL, AccessKey: "a", SecretKey: "s"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Ping(t.Context(), wire); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", code, err, want)
		}
		wire.Close()
		srv.Close()
	}
}

func nameOf(p *Provider) string {
	if p == nil {
		return ""
	}
	return p.Name
}

// Tags are asked for in the answer where they come: nowhere else, and not before the server is known.
func TestAskForTags(t *testing.T) {
	for server, want := range map[string]string{"": "", "MinIO": "ACCESS", "VERSITYGW": "", "AmazonS3": "", "nginx": ""} {
		var id Identity
		id.Observe(http.Header{"Server": {server}})
		h := make(http.Header)
		if id.AskForTags(h); h.Get("X-Amz-Tagging-Directive") != want {
			t.Errorf("%q: %v", server, h)
		}
	}
}

// Bodies show their own end where a cut one is known to pass for the whole, and only there: it is a signature for every
// 64 KiB.
func TestCutsPass(t *testing.T) {
	for server, want := range map[string]bool{"": false, "MinIO": false, "VERSITYGW": true, "AmazonS3": false, "nginx": false} {
		var id Identity
		if id.Observe(http.Header{"Server": {server}}); id.CutsPass() != want {
			t.Errorf("%q: %t", server, !want)
		}
	}
}

// Of a server that nobody knows nothing is relied on.
func TestAnyS3PromisesNothing(t *testing.T) {
	p := *providers[len(providers)-1]
	p.Name, p.Classes, p.Refuse = "", nil, nil
	if !reflect.DeepEqual(p, Provider{}) {
		t.Errorf("%+v", p)
	}
}

// TestClockIsALowerBound feeds answers of a server whose clock is anywhere.
func TestClockIsALowerBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		skew := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "skew"))
		var k clock
		now := time.Now()
		for range rapid.IntRange(1, 20).Draw(t, "answers") {
			now = now.Add(-time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "ago")))
			sent := now.Add(skew).Truncate(time.Second)
			k.set(sent, now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "way"))))
		}
		if got, ok := k.now(); ok && got.After(time.Now().Add(skew)) {
			t.Fatalf("got %v, the server's clock shows %v", got, time.Now().Add(skew))
		}
	})
}

// The closest bound counts until it is old; a clock that was set back is followed at once, and one
// that nobody has heard of for a minute is not known.
func TestClockForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id Identity
		tell := func(ahead time.Duration) {
			id.Observe(http.Header{"Date": {time.Now().Add(ahead).UTC().Format(http.TimeFormat)}})
		}
		want := func(when string, ahead time.Duration) {
			t.Helper()
			if got, ok := id.Now(); !ok || time.Until(got).Round(time.Second) != ahead {
				t.Errorf("%s: %v ahead, %v, want %v", when, time.Until(got), ok, ahead)
			}
		}
		if _, ok := id.Now(); ok {
			t.Error("a clock that was never seen is known")
		}
		id.Observe(http.Header{"Date": {"yesterday"}})
		if _, ok := id.Now(); ok {
			t.Error("a clock that can't be read is known")
		}
		tell(10 * time.Second)
		want("after an answer", 10*time.Second)
		tell(9 * time.Second)
		want("after one that took longer", 10*time.Second)
		tell(-time.Hour)
		want("after it was set back", -time.Hour)
		tell(10 * time.Second)
		tell(8 * time.Second)
		want("after one that took longest", 10*time.Second)
		tell(7 * time.Second)
		want("after it was set back by a little", 7*time.Second)
		tell(10 * time.Second)
		time.Sleep(clockFresh - time.Second)
		tell(9 * time.Second)
		time.Sleep(clockFresh - time.Second)
		want("while answers go on to come", 10*time.Second)
		tell(10 * time.Second)
		for range 3 {
			time.Sleep(25 * time.Second)
			tell(9 * time.Second)
		}
		want("long after the closest answer", 9*time.Second)
		if time.Sleep(clockFresh + time.Second); true {
			if _, ok := id.Now(); ok {
				t.Error("a clock that was not seen for a minute is known")
			}
		}
	})
}

// Rows can be relied on: each answers for any key, and takes the class that S3 gives by default.
// Which keys a storage would keep under another name is told before a byte is sent.
func TestRefusals(t *testing.T) {
	refused := map[string]map[string]bool{ // by key: which refuse it
		"a/b": {}, "a/": {}, "a b/ü": {},
		"a//b": {"MinIO": true, "versitygw": true}, "/a": {"MinIO": true, "versitygw": true},
		"a/../b": {"MinIO": true, "versitygw": true}, "./a": {"MinIO": true, "versitygw": true},
		"a//": {"MinIO": true, "versitygw": true}, "/": {"MinIO": true, "versitygw": true}, "a/..": {"MinIO": true, "versitygw": true},
		"a/.b": {}, "...": {}, "b..": {},
		string(make([]byte, 255)): {}, string(make([]byte, 256)): {"versitygw": true},
	}
	for i, p := range providers {
		if i != len(providers)-1 && p.server == "" {
			t.Errorf("%s matches every server, and hides the rows behind it", p.Name)
		}
		if len(p.Classes) == 0 || p.Classes[0] != "STANDARD" {
			t.Errorf("%s takes the classes %v", p.Name, p.Classes)
		}
		for key, by := range refused {
			if why := p.Refuse(key, 0); (why != "") != by[p.Name] {
				t.Errorf("%s, %q: refused %q", p.Name, key, why)
			}
		}
		if why := p.Refuse("folder/", 1); (why != "") != (p.Name == "versitygw") {
			t.Errorf("%s, content under a folder's key: refused %q", p.Name, why)
		}
	}
}
