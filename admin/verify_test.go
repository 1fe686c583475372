package admin

import (
	"reflect"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
)

func TestVerifyBucket(t *testing.T) {
	h := withCopies(t)
	const path = "/fado/buckets/photos/verify"
	now := time.Now()
	h.engine.verification = replication.Verification{
		Bucket: "photos", State: "running", Deep: true, Started: &now, Objects: 3, Total: 9, Mismatches: 1,
		Keys: []replication.Mismatch{{Key: "k", Cluster: "c2", Reason: "it is missing", State: "repairing"}},
	}
	h.do("POST", path, "").want(202)
	h.do("POST", path+"?deep=true", "").want(202)
	got := h.do("GET", path, "").want(200)
	if got.at("state") != "running" || got.at("keys", 0, "key") != "k" || got.at("estimate") != nil {
		t.Errorf("%s", got.body)
	}
	if want := []string{"verify photos false", "verify photos true", "verification photos"}; !reflect.DeepEqual(h.engine.asked, want) {
		t.Errorf("asked %q", h.engine.asked)
	}
	h.do("POST", path+"?deep=maybe", "").want(400)
	h.engine.err = control.ErrNotFound
	h.do("POST", path, "").want(404)
	h.do("GET", path, "").want(404)
	h.engine.err = replication.ErrOff
	h.do("POST", path, "").want(503)
}
