package lbpolicy_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Presign makes a world a Presigner.
func (*world) Presign(cluster, bucket, key string, expires time.Duration) string {
	return "http://" + cluster + "/" + bucket + "/" + key + "?for=" + expires.String()
}

// A function is told of every input where it is and, with presign, by which URL it is read.
func TestAFunctionIsToldOfEveryInput(t *testing.T) {
	w := newWorld(t)
	w.cluster("c1", at(function(t, "c1").URL))
	w.cluster("c2")
	w.bucket("here", catalog.Policy{}, "c1")
	w.bucket("there", catalog.Policy{}, "c2")
	ask := func(options string) http.Header {
		s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware {\n"+options+"\n}\n")
		a := s.get("/", "X-FaDO-Bucket: here", "X-FaDO-Object: a%20b%22", "X-FaDO-Data: s3://there/k", "X-FaDO-Data: s3://there/", `X-FaDO-Inputs: "mine"`)
		if a.Who != "c1" {
			t.Fatal(a)
		}
		return a.seen.Header
	}
	expect(t, ask(""), "X-FaDO-Inputs", `"s3://here/a%20b%22";storage="http://storage.c1:9000";bucket="c1-here";local, `+
		`"s3://there/k";storage="http://storage.c2:9000";bucket="c2-there", "s3://there/";storage="http://storage.c2:9000";bucket="c2-there"`)
	expect(t, ask("presign 10m"), "X-FaDO-Inputs",
		`"s3://here/a%20b%22";storage="http://storage.c1:9000";bucket="c1-here";local;url="http://c1/here/a b\"?for=10m0s", `+
			`"s3://there/k";storage="http://storage.c2:9000";bucket="c2-there";url="http://c2/there/k?for=10m0s", `+
			`"s3://there/";storage="http://storage.c2:9000";bucket="c2-there"`)
	expect(t, ask("forward_headers off"), "X-FaDO-Inputs")
	w.router.Sizes().Note("there", "k", 123)
	expect(t, ask(""), "X-FaDO-Inputs", `"s3://here/a%20b%22";storage="http://storage.c1:9000";bucket="c1-here";local, `+
		`"s3://there/k";storage="http://storage.c2:9000";bucket="c2-there";bytes=123, "s3://there/";storage="http://storage.c2:9000";bucket="c2-there"`)
}

// A token of a write keeps an invocation from places where that version is not.
func TestTokens(t *testing.T) {
	pull := errNoRoom
	pullingWorld(t, func(w *world, _ context.Context, _ routing.PullPlan) error {
		if pull == nil {
			w.router.Pulled.Set("photos", "k", "c2", catalog.Pulled{ETag: "e", Current: true})
		}
		return pull
	})
	token := func(key string) string {
		return "X-FaDO-Token: " + routing.Token{Object: routing.IDOf("photos", key), Cluster: "c1", Version: "v"}.String()
	}
	s := serve(t, dynamicProxy)
	if a := s.get("/", theObject...); a.Who != "c2" {
		t.Fatalf("without a token: %v", a)
	}
	for _, c := range []struct {
		headers []string
		status  int
		reason  routing.Reason
	}{
		{append([]string{token("k")}, theObject...), http.StatusServiceUnavailable, routing.ReasonNoFreshCopy},
		{append([]string{token("other")}, theObject...), http.StatusBadRequest, routing.ReasonBadInput},
		{append([]string{"X-FaDO-Token: rubbish"}, theObject...), http.StatusBadRequest, routing.ReasonBadInput},
		{[]string{token("k")}, http.StatusBadRequest, routing.ReasonBadInput},
		{append([]string{strings.Repeat(token("k")+",", 33)}, theObject...), http.StatusBadRequest, routing.ReasonBadInput},
	} {
		a := s.get("/", c.headers...)
		if a.Status != c.status {
			t.Errorf("%q: %v, want %d", c.headers, a, c.status)
		}
		expect(t, a.Header, "X-FaDO-Reason", string(c.reason))
	}
	pull = nil // the object comes
	a := s.get("/", append([]string{token("k")}, theObject...)...)
	if a.Who != "c2" {
		t.Errorf("pulled: %v", a)
	}
	expect(t, a.Header, "X-FaDO-Locality", "local")
	// What counts is where the object is current now: not where it was written, which may be the
	// primary no longer, or gone.
	former := "X-FaDO-Token: " + routing.Token{Object: routing.IDOf("photos", "k"), Cluster: "gone", Version: "v"}.String()
	if a := s.get("/", append([]string{former}, theObject...)...); a.Who != "c2" {
		t.Errorf("a token of a cluster that is gone: %v", a)
	}
}
