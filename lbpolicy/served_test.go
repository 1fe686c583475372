package lbpolicy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fado-project/fado/catalog"
)

// What endpoints answered is counted there, by where the data was; reads from elsewhere by where
// they go.
func TestServedIsCounted(t *testing.T) {
	w := newWorld(t)
	w.cluster("c1", at(function(t, "c1").URL))
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(broken.Close)
	w.cluster("c2", at(broken.URL))
	w.bucket("photos", catalog.Policy{}, "c1")
	w.bucket("films", catalog.Policy{Clusters: []string{"c2"}}, "c2")
	w.cluster("c3")
	w.bucket("remote", catalog.Policy{Clusters: []string{"c1", "c3"}}, "c3")
	s := serve(t, dynamicProxy)
	for range 3 {
		s.get("/", "X-FaDO-Bucket: photos")
	}
	s.get("/", "X-FaDO-Bucket: remote")
	if a, err := s.try("GET", "/", "", "X-FaDO-Bucket: films"); err == nil && a.Status != http.StatusBadGateway {
		t.Errorf("%+v, %v", a, err)
	}
	of := func(cluster string) string {
		c := w.endpoint(w.router.Snapshot().Cluster(cluster).Functions[0].URL).Live.Served.Counts()
		var took uint32
		for _, n := range c.Took {
			took += n
		}
		return fmt.Sprintf("none, local, remote %v, failed %d, took %d", c.By, c.Failed, took)
	}
	if got := of("c1"); got != "none, local, remote [0 3 1], failed 0, took 4" {
		t.Errorf("c1: %s", got)
	}
	if got := of("c2"); got != "none, local, remote [0 1 0], failed 1, took 1" {
		t.Errorf("c2: %s", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := fmt.Sprint(w.reads); got != "[c3 c1]" {
		t.Errorf("reads: %s", got)
	}
}
