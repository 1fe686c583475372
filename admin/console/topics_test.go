package console

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/fado-project/fado/control"
)

// A stream tells of what it was asked for, and of what people change.
func TestTopics(t *testing.T) {
	t.Parallel()
	resource := control.Event{Type: control.EventResource, Kind: "policy", Name: "p"}
	transfer := control.Event{Type: control.EventTransfer, Bucket: "reports"}
	copied := control.Event{Type: control.EventCopy, Bucket: "reports"}
	storage := control.Event{Type: control.EventStorage, Cluster: "c1"}
	for asked, want := range map[string][4]bool{
		"":                                  {true, true, true, true},
		"overview":                          {true, false, true, true},
		"transfers":                         {true, true, false, false},
		"flows":                             {true, false, false, false},
		"bucket:reports":                    {true, true, true, true},
		"bucket:other":                      {true, false, false, true},
		"flows,bucket:other,bucket:reports": {true, true, true, true},
		"overview,transfers":                {true, true, true, true},
	} {
		var list []string
		if asked != "" {
			list = []string{asked}
		}
		of, err := topicsOf(list)
		if got := [4]bool{of.has(resource), of.has(transfer), of.has(copied), of.has(storage)}; got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", asked, got, err, want)
		}
	}
}

// Topics that there are not are refused by their names, and take no place of a stream.
func TestUnknownTopics(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("vera")
	open := streamsOf(t, h, b.cookie)
	for range maxStreamsPer + 1 {
		resp := open("/api/stream?topics=overview,weather,bucket:")
		text, _ := bufio.NewReader(resp.Body).ReadString('\n')
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "weather") || !strings.Contains(text, "bucket:\\") || strings.Contains(text, `"overview\"`) {
			t.Fatalf("%d: %s", resp.StatusCode, text)
		}
	}
}

// What a stream was not asked for makes no frame, and what it was does.
func TestStreamOfTopics(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("vera")
	lines := bufio.NewScanner(streamsOf(t, h, b.cookie)("/api/stream?topics=bucket:reports").Body)
	nextFrame(t, lines, "beat") // it listens
	w.ctl.Events().Emit(control.Event{Type: control.EventTransfer, Bucket: "other"})
	w.ctl.Events().Emit(control.Event{Type: control.EventCopy, Bucket: "reports"})
	if change, want := nextFrame(t, lines, "change"), `data: {"kinds":["copy"],"buckets":["reports"],"missed":false}`; change != want {
		t.Errorf("%s, want %s", change, want)
	}
}
