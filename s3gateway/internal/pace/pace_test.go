package pace

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// codeOf is the S3 code of an error.
func codeOf(err error) string {
	if e := (*s3err.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// resting is the body of a client that sent something and rests.
func resting(t *testing.T, sent string, within time.Duration) *body {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	go func() { _, _ = io.WriteString(client, sent) }()
	return &body{ReadCloser: server, pace: newPace(server.SetReadDeadline, within)}
}

// Who rests in the middle of a body is told so.
func TestRestingSenderIsTold(t *testing.T) {
	t.Parallel()
	b := resting(t, "half", time.Hour)
	buf := make([]byte, 10)
	if n, err := b.Read(buf); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	b.pace.left = time.Millisecond // the rest is used up
	if n, err := b.Read(buf); n != 0 || codeOf(err) != "RequestTimeout" {
		t.Error(n, err)
	}
}

// A client that stands still is cut at once, is told nothing of having rested, and stays cut.
func TestCutEndsWhoStandsStill(t *testing.T) {
	t.Parallel()
	b := resting(t, "half", time.Hour)
	buf := make([]byte, 10)
	if n, err := b.Read(buf); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	ended := make(chan error)
	go func() {
		_, err := b.Read(buf)
		ended <- err
	}()
	b.pace.cut()
	for range 2 {
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || codeOf(err) != "" {
			t.Errorf("%v", err)
		}
		go func() {
			_, err := b.Read(buf)
			ended <- err
		}()
	}
	<-ended
}

// Time is the client's while bytes are awaited, and each 64 KiB give it all of it again.
func TestTimeIsGivenForBytes(t *testing.T) {
	t.Parallel()
	var armed time.Time
	p := newPace(func(d time.Time) error { armed = d; return nil }, time.Hour)
	move := func(n int) {
		t.Helper()
		if _, err := p.pass(func() (int, error) { return n, nil }); err != nil {
			t.Fatal(err)
		}
	}
	p.left = time.Minute // the rest is used up
	move(paceBytes - 1)
	if p.left > time.Minute || time.Until(armed) > time.Minute {
		t.Errorf("more time after %d bytes: %v", paceBytes-1, p.left)
	}
	move(1)
	if p.left != time.Hour {
		t.Errorf("%v after %d bytes, want an hour", p.left, paceBytes)
	}
	p.left = -1
	if _, err := p.pass(func() (int, error) { return 1, nil }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a byte after the time: %v", err)
	}
	p.end(time.Time{})
	p.left = time.Hour
	armed = time.Unix(7, 0)
	move(1)
	if !armed.Equal(time.Unix(7, 0)) {
		t.Error("the connection's deadline is set after the end, when the next request has it")
	}
	if newPace(nil, 0).within != patience {
		t.Error("no time at all")
	}
}

// counted is a body of so many bytes that tells how many were read.
type counted struct{ left, read int }

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(c.left, len(p))
	c.left, c.read = c.left-n, c.read+n
	return n, nil
}

func (*counted) Close() error { return nil }

// A connection is kept where nothing of a request is left in it, or little that is there; else it is
// closed with the answer.
func TestConnectionsAreKeptWhereNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		length int64
		expect string
		major  int
		read   bool // before the answer
		closes bool
		most   int // bytes that are read
	}{
		"no body":                      {0, "", 1, false, false, 0},
		"a body that was read":         {100, "", 1, true, false, 100},
		"a short one that was not":     {100, "", 1, false, false, 100},
		"a long one":                   {DrainBytes + 1, "", 1, false, true, DrainBytes},
		"one that waits to be sent":    {100, "100-continue", 1, false, true, 0},
		"one that was asked for":       {100, "100-continue", 1, true, false, 100},
		"a stream of HTTP/2":           {DrainBytes + 1, "", 2, false, false, 0},
		"one whose length is not told": {-1, "", 1, false, false, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := &counted{left: int(c.length)}
			if c.length < 0 {
				content.left = 100
			}
			r := httptest.NewRequest(http.MethodPut, "/b/k", nil)
			r.Body, r.ContentLength, r.ProtoMajor = content, c.length, c.major
			if c.expect != "" {
				r.Header.Set("Expect", c.expect)
			}
			answer := httptest.NewRecorder()
			w, r := New(answer, r, time.Minute)
			if c.read {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Fatal(err)
				}
			}
			if w.Wrote() {
				t.Error("the answer has begun by itself")
			}
			if _, err := io.WriteString(w, "no"); err != nil || !w.Wrote() {
				t.Error(err)
			}
			w.End()
			if got := answer.Header().Get("Connection") == "close"; got != c.closes || content.read > c.most {
				t.Errorf("closes %t, %d bytes were read; want %t, and %d at most", got, content.read, c.closes, c.most)
			}
		})
	}
}

// What is said before an answer, as 103, does not begin it.
func TestEarlyHintsAreNoAnswer(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	w, _ := New(answer, httptest.NewRequest(http.MethodPut, "/", strings.NewReader("x")), 0)
	w.WriteHeader(http.StatusEarlyHints)
	if w.Wrote() {
		t.Error("it did")
	}
	w.WriteHeader(http.StatusForbidden)
	if !w.Wrote() || w.Unwrap() != http.ResponseWriter(answer) {
		t.Error("it did not begin")
	}
}
