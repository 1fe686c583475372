package admin

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
)

func TestResolveConflicts(t *testing.T) {
	h := withCopies(t)
	const path = "/fado/buckets/photos/conflicts/resolve"
	h.engine.resolution = replication.Resolution{Resolved: 2}
	if got := string(h.do("POST", path, `{"winner":"newest"}`).want(200).body); got != `{"resolved":2,"refused":[],"refused_total":0}`+"\n" {
		t.Errorf("answer %s", got)
	}
	lost := []replication.Refusal{{Key: "k", Reason: "the object in c2 would be lost"}}
	h.engine.resolution = replication.Resolution{Resolved: 1, Refused: lost, RefusedTotal: 1}
	h.do("POST", path, `{"key":"k","winner":"c2","discard":true}`).want(200)
	h.engine.resolution = replication.Resolution{Refused: lost, RefusedTotal: 3}
	h.do("POST", path, `{"winner":"c2"}`).want(409).says(`"k"`, "would be lost", "and 2 more keys")
	h.engine.resolution.Refused = []replication.Refusal{{Key: "k", Reason: "the object in c2 would be lost", Lossy: true}}
	h.do("POST", path, `{"winner":"c2"}`).want(409).says(`would be lost; to give the object up for good, say "discard": true (and 2 more keys)`)
	want := []string{`resolve photos "" newest false`, `resolve photos "k" c2 true`, `resolve photos "" c2 false`, `resolve photos "" c2 false`}
	if !reflect.DeepEqual(h.engine.asked, want) {
		t.Errorf("asked %q", h.engine.asked)
	}
	for _, body := range []string{``, `{}`, `[]`, `{"winner":7}`, `{"winner":"c1","keys":["a"]}`, `{"winner":"c1","key":""}`, `{"winner":"c1"} x`} {
		h.do("POST", path, body).want(400)
	}
	h.engine.err = fmt.Errorf("c9: %w", replication.ErrBadWinner)
	h.do("POST", path, `{"winner":"c9"}`).want(400).says("c9", "newest")
	h.engine.err = control.ErrNotFound
	h.do("POST", path, `{"winner":"c1"}`).want(404)
	h.engine.err = replication.ErrOff
	h.do("POST", path, `{"winner":"c1"}`).want(503)
}
