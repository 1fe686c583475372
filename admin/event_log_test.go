package admin

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/control"
)

// What happened before someone looks is told, by pages and by what it is about.
func TestEventLog(t *testing.T) {
	h := start(t, control.Config{})
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"photos"}`).want(201)
	h.ctl.Events().Emit(control.Event{Type: control.EventTransfer, Op: "copied", Bucket: "photos", Key: "k", From: "c1", Cluster: "c2"})
	h.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: "c1", State: "down"})
	list := func(query string) (seqs []int64, told string) {
		t.Helper()
		var log []struct {
			Seq                                  int64
			Type, Kind, Name, Key, Bucket, State string
		}
		h.do("GET", "/fado/events/log"+query, "").want(200).json(&log)
		for _, e := range log {
			seqs = append(seqs, e.Seq)
			told += fmt.Sprint(" ", e.Type, ":", e.Name, e.Key, e.State)
		}
		return seqs, told
	}
	seqs, all := list("")
	if all != " configuration: resource:eu resource:photos transfer:k storage:down" {
		t.Fatalf("all: %s", all)
	}
	for query, want := range map[string]string{
		"?limit=1": " storage:down",
		fmt.Sprintf("?after=%d&limit=1", seqs[1]): " resource:photos",
		fmt.Sprintf("?after=%d", seqs[4]):         "",
		"?type=resource":                          " resource:eu resource:photos",
		"?bucket=photos":                          " resource:photos transfer:k",
		"?cluster=c1":                             " transfer:k storage:down",
		"?cluster=c1&type=storage":                " storage:down",
	} {
		if _, got := list(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	h.do("GET", "/fado/events/log?after=x", "").want(400).says("expected the number of an event")
	h.do("GET", "/fado/events/log?type=x", "").want(400).says("type")
}
