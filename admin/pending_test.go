package admin

import (
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/state"
)

// Rows of a bucket come page by page, each once.
func TestPendingRows(t *testing.T) {
	h := withCopies(t)
	since := time.Now().Add(-time.Hour).UTC()
	var rows []state.Pending
	for i := range 5 {
		row := state.Pending{Bucket: "photos", Key: fmt.Sprintf("a/%d", i), Cluster: "c2", Size: 7, Since: since.Add(time.Duration(i) * time.Minute)}
		switch i {
		case 1, 3:
			row.Hold = state.HoldDeletes
		case 2:
			row.Attempts, row.NextAttempt, row.Error, row.Cause = 3, since.Add(2*time.Hour), "refused", state.CauseRefused
		}
		rows = append(rows, row)
	}
	if _, err := h.ctl.Store().Queue().AddPending(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
	keys := func(path, list string) (all []any) {
		for after, pages := "", 0; pages == 0 || after != ""; pages++ {
			a := h.do("GET", path+"limit=2&after="+after, "").want(200)
			for _, row := range a.at(list).([]any) {
				all = append(all, row.(map[string]any)["key"])
			}
			after = a.at("next").(string)
		}
		return all
	}
	if got := fmt.Sprint(keys("/fado/buckets/photos/pending?cluster=c2&", "pending")); got != "[a/0 a/1 a/2 a/3 a/4]" {
		t.Errorf("pending: %s", got)
	}
	if got := fmt.Sprint(keys("/fado/buckets/photos/deletes?", "deletes")); got != "[a/1 a/3]" {
		t.Errorf("deletes: %s", got)
	}
	a := h.do("GET", "/fado/buckets/photos/pending", "").want(200)
	if a.at("pending", 1, "hold") != "deletes" || a.at("pending", 1, "next_attempt") != nil || a.at("pending", 2, "attempts") != 3.0 ||
		a.at("pending", 2, "error") != "refused" || a.at("pending", 2, "cause") != "refused" || a.at("pending", 1, "cause") != "" || a.at("pending", 2, "next_attempt") == nil {
		t.Errorf("%s", a.body)
	}
	a = h.do("GET", "/fado/buckets/photos/deletes", "").want(200)
	if a.at("bound", "objects") != 100.0 || a.at("bound", "percent") != 10.0 || a.at("copies", 0, "cluster") != "c2" || a.at("copies", 0, "held") != 2.0 ||
		a.at("copies", 0, "since") != a.at("deletes", 0, "since") {
		t.Errorf("%s", a.body)
	}
	h.do("GET", "/fado/buckets/nowhere/pending", "").want(404)
	h.do("GET", "/fado/buckets/photos/deletes?after=x", "").want(400).says("next")
}
