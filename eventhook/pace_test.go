package eventhook

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// records is a body with n records of keys that nobody knows.
func records(n int) string {
	var b strings.Builder
	b.WriteString(`{"Records":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"s3":{"bucket":{"name":"b"},"object":{"key":"k%d"}}}`, i)
	}
	b.WriteString("]}")
	return b.String()
}

// TestRecordsArePaced: one body holds so many records at most, and a sender who never rests
// has as many noted as are worked off; the others are told when to come back, and nothing of
// what they sent is noted.
func TestRecordsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeSink)
		h := newHandler(s)
		const good = "Bearer s3cret"
		if w := serve(t, h, request("POST", "/", good, records(maxRecords+1))); w.Code != http.StatusRequestEntityTooLarge || len(s.hints) != 0 {
			t.Errorf("%d records: status %d, %d noted", maxRecords+1, w.Code, len(s.hints))
		}
		body := records(maxRecords)
		post := func() (status int, retryAfter string) {
			w := serve(t, h, request("POST", "/", good, body))
			return w.Code, w.Header().Get("Retry-After")
		}
		for range burst / maxRecords {
			if status, _ := post(); status != http.StatusAccepted {
				t.Fatalf("within the burst: status %d", status)
			}
		}
		for range 3 {
			if status, after := post(); status != http.StatusServiceUnavailable || after != "6" {
				t.Fatalf("past the burst: status %d, Retry-After %q, want 503 and 6", status, after)
			}
		}
		if len(s.hints) != burst {
			t.Errorf("%d records noted, want %d", len(s.hints), burst)
		}
		time.Sleep(6 * time.Second)
		if status, _ := post(); status != http.StatusAccepted {
			t.Errorf("after the time it was told: status %d", status)
		}
	})
}

// TestEventsFindAFullQueue: whoever has the token can't make more objects wait than there is
// memory for. What was written meanwhile is compared.
func TestEventsFindAFullQueue(t *testing.T) {
	s := &fakeSink{crowded: maxWaiting}
	h := newHandler(s)
	w := serve(t, h, request("POST", "/?cluster=c1", "Bearer s3cret", records(3)))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "60" || len(s.hints) != 0 {
		t.Errorf("status %d, Retry-After %q, %d records noted", w.Code, w.Header().Get("Retry-After"), len(s.hints))
	}
	if len(s.losses) != 1 || s.losses[0] != "c1" {
		t.Errorf("losses told: %q, want one of c1", s.losses)
	}
	s.crowded--
	if w := serve(t, h, request("POST", "/?cluster=c1", "Bearer s3cret", records(3))); w.Code != http.StatusAccepted || len(s.hints) != 3 {
		t.Errorf("with room: status %d, %d records noted", w.Code, len(s.hints))
	}
}
