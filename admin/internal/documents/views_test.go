package documents

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/state"
)

// A plan is told as JSON that programs can go by: lists are lists, and a primary that stays is null.
func TestViewPlan(t *testing.T) {
	o := &document.Outlook{
		Moves: document.Moves{
			Buckets: []document.Move{
				{Bucket: "photos", From: "paris", To: "berlin", Add: []string{"berlin"}, Objects: 3, Bytes: 30},
				{Bucket: "other", From: "paris", To: "paris", Add: []string{"berlin"}, Remove: []string{"rome"}},
			},
			Links: []document.LinkLoad{{From: "paris", To: "berlin", Bytes: 30}}, Next: "photos",
		},
		Violations: []document.Issue{{Resource: "bucket photos", Detail: "a sentence", Blocking: true}},
		Routes:     document.Routes{Changed: 2, LocalBefore: 1, LocalAfter: 2, Examples: []document.RouteExample{{Bucket: "photos", Before: []string{"paris"}}}},
		Blocked:    true,
	}
	o.Moves.Total.Buckets, o.Moves.Total.SecondsLow, o.Moves.Total.SecondsHigh = 2, 1, 4
	text, err := json.Marshal(viewPlan(7, new(document.Comparison), o, "", 10))
	if err != nil {
		t.Fatal(err)
	}
	a := answer{t: t, what: "plan", body: text}
	for want, path := range map[any][]any{
		7.0:          {"revision"},
		"berlin":     {"moves", "buckets", 0, "primary", "to"},
		nil:          {"moves", "buckets", 1, "primary"},
		"rome":       {"moves", "buckets", 1, "remove", 0},
		30.0:         {"moves", "links", 0, "bytes"},
		4.0:          {"moves", "total", "seconds", "high"},
		"photos":     {"moves", "next"},
		"a sentence": {"violations", 0, "detail"},
		"paris":      {"routes", "examples", 0, "before", 0},
		2.0:          {"routes", "local", "after"},
		true:         {"blocked"},
	} {
		if got := a.at(path...); got != want {
			t.Errorf("%v: %v, want %v", path, got, want)
		}
	}
	empty, err := json.Marshal(viewPlan(0, new(document.Comparison), new(document.Outlook), "", 10))
	if err != nil {
		t.Fatal(err)
	}
	a = answer{t: t, what: "empty plan", body: empty}
	for _, path := range [][]any{{"changes"}, {"moves", "buckets"}, {"moves", "links"}, {"violations"}, {"routes", "examples"}} {
		if list, ok := a.at(path...).([]any); !ok || len(list) > 0 {
			t.Errorf("%v of an empty plan is %v, want an empty list", path, a.at(path...))
		}
	}
}

// What a document asks for becomes one batch; what would break is all named.
func TestBatchOf(t *testing.T) {
	b := batchOf([]document.Change{
		{Action: document.Create, Kind: catalog.KindZone, Name: "eu", Resource: &catalog.Zone{Name: "eu"}},
		{Action: document.Delete, Kind: catalog.KindPolicy, Name: "keep"},
	})
	if len(b.Puts) != 1 || b.Puts[0].ResourceName() != "eu" || len(b.Deletes) != 1 || b.Deletes[0] != (state.Ref{Kind: catalog.KindPolicy, Name: "keep"}) {
		t.Errorf("%+v", b)
	}
	err := blockedBy([]document.Issue{{Resource: "r1", Detail: "d1", Blocking: true}, {Resource: "r2", Detail: "d2"}, {Resource: "r3", Detail: "d3", Blocking: true}})
	if request.StatusOf(err) != 409 || !strings.Contains(err.Error(), "r1") || strings.Contains(err.Error(), "r2") || !strings.Contains(err.Error(), "d3") {
		t.Error(err)
	}
}
