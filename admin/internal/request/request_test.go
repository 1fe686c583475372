package request

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// ask returns a request and what it is answered.
func ask(method, target, body string) (*Request, *httptest.ResponseRecorder) {
	w := httptest.NewRecorder()
	return &Request{W: w, R: httptest.NewRequest(method, target, strings.NewReader(body)), Log: zap.NewNop()}, w
}

// names fails the test unless an error is a 400 that names what was wrong.
func names(t *testing.T, err error, texts ...string) {
	t.Helper()
	if StatusOf(err) != http.StatusBadRequest {
		t.Errorf("%v, want a 400", err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not contain %q", err, text)
		}
	}
}

func TestQuery(t *testing.T) {
	q, _ := ask("GET", "/fado/x?limit=7&since=2027-01-31T00:00:00Z&after=12&empty=", "")
	q.R.SetPathValue("name", "photos")
	if q.Name() != "photos" || q.Query("after") != "12" || q.Query("none") != "" {
		t.Errorf("%q %q", q.Name(), q.Query("after"))
	}
	if n, err := q.Limit(3); n != 7 || err != nil {
		t.Errorf("limit %d, %v", n, err)
	}
	if at, err := q.Moment("since", time.Time{}); err != nil || !at.Equal(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("since %v, %v", at, err)
	}
	if n, err := q.Number("an event", "after", 0); n != 12 || err != nil {
		t.Errorf("after %d, %v", n, err)
	}

	q, _ = ask("GET", "/fado/x?least=1&most=10000&zero=0", "")
	for name, want := range map[string]int64{"least": 1, "most": MaxLimit, "zero": 0} {
		if n, err := q.Number("an event", name, want); n != want || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	for _, want := range []int{1, MaxLimit} {
		q, _ = ask("GET", fmt.Sprint("/fado/x?limit=", want), "")
		if n, err := q.Limit(3); n != want || err != nil {
			t.Errorf("limit %d: %d, %v", want, n, err)
		}
	}

	q, _ = ask("GET", "/fado/x", "")
	now := time.Now()
	n, err := q.Limit(3)
	at, err2 := q.Moment("since", now)
	number, err3 := q.Number("an event", "after", 1)
	if err := errors.Join(err, err2, err3); err != nil || n != 3 || !at.Equal(now) || number != 0 {
		t.Errorf("where nothing is said: %d %v %d %v", n, at, number, err)
	}
}

func TestQueryRefused(t *testing.T) {
	for _, text := range []string{"0", "-1", "x", "10001", ""} {
		q, _ := ask("GET", "/fado/x?limit="+text, "")
		_, err := q.Limit(3)
		names(t, err, "limit", `"`+text+`"`, "1 to 10000")
	}
	q, _ := ask("GET", "/fado/x?since=yesterday&after=-1&before=x", "")
	_, err := q.Moment("since", time.Time{})
	names(t, err, "since", "yesterday", "RFC 3339")
	_, err = q.Number("a record", "after", 0)
	names(t, err, "after", "-1", "the number of a record")
	_, err = q.Number("a record", "before", 0)
	names(t, err, "before")
	q, _ = ask("GET", "/fado/x?after=0", "")
	_, err = q.Number("an event", "after", 1)
	names(t, err, "after", `"0"`, "the number of an event")
}

func TestBody(t *testing.T) {
	q, _ := ask("POST", "/fado/x", "{}")
	if b, err := q.Body(); string(b) != "{}" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	q, _ = ask("POST", "/fado/x", "12345")
	if b, err := q.BodyUpTo(5); string(b) != "12345" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	q, _ = ask("POST", "/fado/x", "123456")
	if _, err := q.BodyUpTo(5); StatusOf(err) != http.StatusRequestEntityTooLarge || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("%v", err)
	}
	q, _ = ask("POST", "/fado/x", strings.Repeat(" ", MaxBody+1))
	if _, err := q.Body(); StatusOf(err) != http.StatusRequestEntityTooLarge || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("%v", err)
	}
	q, _ = ask("POST", "/fado/x", "")
	q.R.Body = brokenBody{}
	_, err := q.Body()
	names(t, err, "reading the body")
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("broken") }
func (brokenBody) Close() error             { return nil }

// An answer is sent as a whole, for people to read, or not at all.
func TestReply(t *testing.T) {
	q, w := ask("GET", "/fado/x", "")
	if err := q.Reply(http.StatusAccepted, map[string]string{"a": "<b>"}); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusAccepted || w.Body.String() != "{\"a\":\"<b>\"}\n" || w.Header().Get("Content-Length") != "12" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	q, w = ask("GET", "/fado/x", "")
	if err := q.Reply(http.StatusOK, math.NaN()); err == nil || len(w.Header()) > 0 || w.Body.Len() > 0 {
		t.Errorf("%v, and sent %v %q", err, w.Header(), w.Body)
	}
}

// A list is a list, however long; the error before its first item is still an answer of its own, and
// the one after it cuts the connection.
func TestArray(t *testing.T) {
	for n, want := range map[int]string{0: "[]\n", 1: "[0]\n", 3: "[0,1,2]\n"} {
		q, w := ask("GET", "/fado/x", "")
		a := NewArray(q)
		for i := range n {
			if err := a.Add(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Close(); err != nil || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%d items: %q, %v", n, w.Body, err)
		}
	}
	q, w := ask("GET", "/fado/x", "")
	long := NewArray(q)
	for range 3 {
		if err := long.Add(strings.Repeat("x", 40<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if w.Body.Len() < 80<<10 {
		t.Errorf("%d bytes are sent before the end", w.Body.Len())
	}
	q, _ = ask("GET", "/fado/x", "")
	q.W = goneClient{q.W}
	if err := NewArray(q).Add(strings.Repeat("x", 80<<10)); !errors.Is(err, errGone) {
		t.Errorf("to a client that is gone: %v", err)
	}
	cause := errors.New("the store is gone")
	q, w = ask("GET", "/fado/x", "")
	core, logs := observer.New(zap.ErrorLevel)
	q.Log = zap.New(core)
	a := NewArray(q)
	if err := a.Fail(cause); err != cause || w.Body.Len() > 0 { //nolint:errorlint // it is that value
		t.Errorf("%v, and sent %q", err, w.Body)
	}
	defer func() {
		if r := recover(); r != http.ErrAbortHandler { //nolint:errorlint // it is that value
			t.Errorf("recovered %v: a short list looks like a whole one", r)
		}
		if all := logs.All(); len(all) != 1 || all[0].ContextMap()["path"] != "/fado/x" || all[0].ContextMap()["error"] != cause.Error() {
			t.Errorf("logged %v", all)
		}
	}()
	if err := a.Add(1); err != nil {
		t.Fatal(err)
	}
	_ = a.Fail(cause)
	t.Error("the list goes on")
}

var errGone = errors.New("gone")

// goneClient takes nothing of an answer.
type goneClient struct{ http.ResponseWriter }

func (goneClient) Write([]byte) (int, error) { return 0, errGone }
