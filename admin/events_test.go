package admin

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
)

// watch opens the stream of events and returns its reader.
func (h *harness) watch(header ...string) (*bufio.Reader, func()) {
	h.t.Helper()
	return h.watchSome("", header...)
}

func (h *harness) watchSome(query string, header ...string) (*bufio.Reader, func()) {
	h.t.Helper()
	r, closeStream := admintest.Watch(h.t, h.url+"/fado/events"+query, header...)
	h.seen["GET /fado/events 200"] = true
	return r, closeStream
}

func TestEvents(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watch()
	defer closeStream()
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	e := admintest.Next(t, r)
	var ev control.Event
	if err := json.Unmarshal([]byte(e.Data), &ev); err != nil {
		t.Fatal(err)
	}
	if e.ID != "1" || e.Event != "resource" || ev.Op != "created" || ev.Kind != "zone" || ev.Name != "eu" || ev.Time.IsZero() {
		t.Errorf("event %+v", e)
	}
	if err := validate("/components/schemas/Event", []byte(e.Data)); err != nil {
		t.Error(err)
	}
	h.ctl.Events().Emit(control.Event{Type: control.EventTransfer, Key: "line\nbreak"})
	if e = admintest.Next(t, r); e.ID != "2" || !strings.Contains(e.Data, `line\nbreak`) {
		t.Errorf("event %+v", e)
	}
}

// A watcher gets what it asks for, and nothing else.
func TestEventsAreFiltered(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watchSome("?type=copy&type=bucket_ok&bucket=photos")
	defer closeStream()
	for _, e := range []control.Event{
		{Type: control.EventTransfer, Bucket: "photos"},
		{Type: control.EventCopy, Bucket: "reports"},
		{Type: control.EventStorage},
		{Type: control.EventCopy, Bucket: "photos", State: "synced"},
		{Type: control.EventBucketOK, Bucket: "photos"},
	} {
		h.ctl.Events().Emit(e)
	}
	if e := admintest.Next(t, r); e.ID != "1" || e.Event != "copy" || !strings.Contains(e.Data, "photos") {
		t.Errorf("event %+v", e)
	}
	if e := admintest.Next(t, r); e.ID != "2" || e.Event != "bucket_ok" {
		t.Errorf("event %+v", e)
	}
	h.do("GET", "/fado/events?type=copies", "").want(400).says("type", `"copies"`, "resource, copy")
}
