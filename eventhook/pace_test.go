package eventhook

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
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

// TestEventsFindAFullQueue: anyone who has the token can't make more objects wait than there is
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

// TestLargeBodiesArePaced: who sends large bodies without rest is told when to come back, before
// they are read; small ones are taken meanwhile. So many are held at a time, and one whose
// sender stalls ends.
func TestLargeBodiesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeSink)
		h := newHandler(s)
		const good = "Bearer s3cret"
		large := `{"Records":[],"padding":"` + strings.Repeat("x", maxBody-100) + `"}`
		for range bytesAtOnce/maxBody + 1 {
			if w := serve(t, h, request("POST", "/", good, large)); w.Code != http.StatusAccepted {
				t.Fatalf("at once: status %d: %s", w.Code, w.Body)
			}
		}
		body := &counting{Reader: strings.NewReader(large)}
		r := httptest.NewRequest("POST", "/?cluster=c1", body)
		r.Header.Set("Authorization", good)
		if w := serve(t, h, r); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
			t.Errorf("past that: status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if body.n > 2*largeBody {
			t.Errorf("%d bytes were read of a body that is refused", body.n)
		}
		if len(s.losses) != 1 || s.losses[0] != "c1" {
			t.Errorf("losses told: %q, want one of c1", s.losses)
		}
		if w := serve(t, h, request("POST", "/", good, records(100))); w.Code != http.StatusAccepted || len(s.hints) != 100 {
			t.Errorf("a small body meanwhile: status %d, %d noted", w.Code, len(s.hints))
		}
		time.Sleep(2 * time.Second) // the small one is paid for, too
		if w := serve(t, h, request("POST", "/", good, large)); w.Code != http.StatusAccepted {
			t.Errorf("after the time it was told: status %d", w.Code)
		}
	})
}

// TestSoManyLargeBodies: slow senders of large bodies hold up neither memory nor small bodies.
func TestSoManyLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(new(fakeSink))
		const good = "Bearer s3cret"
		var senders []*io.PipeWriter
		for range largeBodies + 1 {
			from, to := io.Pipe()
			senders = append(senders, to)
			go func() {
				r := httptest.NewRequest("POST", "/", from)
				r.Header.Set("Authorization", good)
				w := serve(t, h, r)
				_ = from.CloseWithError(fmt.Errorf("answered %d", w.Code))
			}()
			_, _ = io.WriteString(to, strings.Repeat(" ", largeBody))
			synctest.Wait()
		}
		if n := len(h.intake.large); n != largeBodies {
			t.Errorf("%d large bodies are held, want %d", n, largeBodies)
		}
		if _, err := io.WriteString(senders[largeBodies], " "); err == nil || err.Error() != "answered 503" {
			t.Errorf("one more: %v, want 503", err)
		}
		if w := serve(t, h, request("POST", "/", good, records(1))); w.Code != http.StatusAccepted {
			t.Errorf("a small body meanwhile: status %d", w.Code)
		}
		for _, s := range senders {
			_ = s.Close()
		}
		synctest.Wait()
		if n := len(h.intake.large); n != 0 {
			t.Errorf("%d places are held after the bodies' ends", n)
		}
	})
}

// counting counts what is read.
type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestBodiesThatEndEarly: events that were not read to their end are lost, by a sender that is too slow as
// well as by one that is gone, and a sender that is there is told to send them again.
func TestBodiesThatEndEarly(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "large": 2 * largeBody} {
		for _, why := range []error{os.ErrDeadlineExceeded, io.ErrUnexpectedEOF} {
			s := new(fakeSink)
			r := httptest.NewRequest("POST", "/?cluster=c1", io.MultiReader(strings.NewReader(strings.Repeat(" ", size)), iotest.ErrReader(why)))
			r.Header.Set("Authorization", "Bearer s3cret")
			w := serve(t, newHandler(s), r)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || len(s.losses) != 1 || s.losses[0] != "c1" {
				t.Errorf("%s, %v: status %d, Retry-After %q, losses told: %q", name, why, w.Code, w.Header().Get("Retry-After"), s.losses)
			}
		}
	}
}
