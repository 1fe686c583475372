package eventhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// fakeSink notes hints in memory, or fails.
type fakeSink struct {
	hints   []replication.Hint
	err     error
	losses  []string
	crowded int // objects that wait
}

func (s *fakeSink) waiting() int { return s.crowded }

func (s *fakeSink) lost(cluster string) { s.losses = append(s.losses, cluster) }

func (s *fakeSink) hasCluster(name string) (bool, error) { return name == "c1", nil }

func (s *fakeSink) note(_ context.Context, hints []replication.Hint) error {
	if s.err != nil {
		return s.err
	}
	s.hints = append(s.hints, hints...)
	return nil
}

func newHandler(s sink) *Handler {
	h := &Handler{secret: secretOf("s3cret"), sink: s, log: zap.NewNop()}
	h.bound()
	return h
}

func serve(t *testing.T, h *Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func request(method, target, token, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	return r
}

func TestHandlerNotesHints(t *testing.T) {
	s := new(fakeSink)
	w := serve(t, newHandler(s), request("POST", "/events?cluster=c1", "bearer s3cret", minioEvent))
	if w.Code != http.StatusAccepted {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	want := replication.Hint{Cluster: "c1", Physical: "photos", Key: "a b.jpg", Or: []string{"a+b.jpg"}, Size: 3}
	if len(s.hints) != 1 || !reflect.DeepEqual(s.hints[0], want) {
		t.Errorf("noted %+v, want %+v", s.hints, want)
	}
}

func TestHandlerAnswers(t *testing.T) {
	const good = "Bearer s3cret"
	for name, tc := range map[string]struct {
		method, target, token, body string
		status                      int
		header, value, says         string
	}{
		"no cluster named": {"POST", "/", good, minioEvent, 202, "", "", ""},
		"a test event":     {"POST", "/", good, `{"Event":"s3:TestEvent","Bucket":"b"}`, 202, "", "", ""},
		"GET":              {"GET", "/", good, "", 405, "Allow", "POST", "expected POST"},
		"no token":         {"POST", "/", "", minioEvent, 401, "WWW-Authenticate", `Bearer realm="fado_events"`, "Bearer <token>"},
		"another scheme":   {"POST", "/", "Digest s3cret", minioEvent, 401, "WWW-Authenticate", `Bearer realm="fado_events"`, "Bearer"},
		"a wrong token":    {"POST", "/", "Bearer s3cret2", minioEvent, 401, "WWW-Authenticate", `Bearer realm="fado_events", error="invalid_token"`, "token"},
		"an empty token":   {"POST", "/", "Bearer ", minioEvent, 401, "WWW-Authenticate", `Bearer realm="fado_events", error="invalid_token"`, "token"},
		"unknown cluster":  {"POST", "/?cluster=c9", good, minioEvent, 400, "", "", "c9"},
		"rubbish":          {"POST", "/", good, "hello", 400, "", "", "expected an S3 event"},
		"a huge body":      {"POST", "/", good, strings.Repeat(" ", maxBody+1), 413, "", "", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, newHandler(new(fakeSink)), request(tc.method, tc.target, tc.token, tc.body))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, tc.status, tc.says)
			}
			if got := w.Header().Get(tc.header); got != tc.value {
				t.Errorf("%s: %q, want %q", tc.header, got, tc.value)
			}
		})
	}
}

// An unauthorised sender learns nothing of the catalogue and is not read.
func TestHandlerAuthorizesFirst(t *testing.T) {
	r := request("POST", "/?cluster=c9", "", "")
	r.Body = io.NopCloser(failingReader{t})
	if w := serve(t, newHandler(new(fakeSink)), r); w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
}

type failingReader struct{ t *testing.T }

func (r failingReader) Read([]byte) (int, error) {
	r.t.Error("the body of an unauthorised request was read")
	return 0, io.EOF
}

func TestHandlerAsksToSendAgain(t *testing.T) {
	s := &fakeSink{err: fmt.Errorf("opening /var/lib/fado.db: %w", state.ErrUnavailable)}
	w := serve(t, newHandler(s), request("POST", "/", "Bearer s3cret", minioEvent))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if strings.Contains(w.Body.String(), "/var/lib") {
		t.Errorf("the sender is told the store's path: %s", w.Body)
	}
}

var errBroken = errors.New("broken")

func TestHandlerNeverAcceptsWhatIsNotNoted(t *testing.T) {
	w := serve(t, newHandler(&fakeSink{err: errBroken}), request("POST", "/", "Bearer s3cret", minioEvent))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
}

// The token may come in each of the ways that senders can set; refused events that showed it
// are lost, and refusals are logged once a minute and sender.
func TestTokenAndRefusals(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("anyone:s3cret"))
	for name, tc := range map[string]struct {
		target, auth string
		status       int
	}{
		"bearer":           {"/", "Bearer s3cret", http.StatusAccepted},
		"basic":            {"/", basic, http.StatusAccepted},
		"query":            {"/?token=s3cret", "", http.StatusAccepted},
		"path":             {"/events/s3cret", "", http.StatusAccepted},
		"another password": {"/", "Basic " + base64.StdEncoding.EncodeToString([]byte("s3cret:x")), http.StatusUnauthorized},
		"another query":    {"/?token=x", "", http.StatusUnauthorized},
		"another path":     {"/events/s3cret/x", "", http.StatusUnauthorized},
		"a header that is wrong, a path that is right": {"/events/s3cret", "Bearer x", http.StatusUnauthorized},
	} {
		sink := &fakeSink{}
		if w := serve(t, newHandler(sink), request("POST", tc.target, tc.auth, minioEvent)); w.Code != tc.status || len(sink.losses) > 0 {
			t.Errorf("%s: %d, lost %q, want %d", name, w.Code, sink.losses, tc.status)
		}
	}
	core, logs := observer.New(zap.WarnLevel)
	sink := &fakeSink{err: errBroken}
	h, now := newHandler(sink), time.Now()
	h.log, h.now = zap.New(core), func() time.Time { return now }
	for range 3 {
		serve(t, h, request("POST", "/?cluster=c1", "Bearer s3cret", minioEvent))
		serve(t, h, request("POST", "/", "", minioEvent))
	}
	if !slices.Equal(sink.losses, []string{"c1", "c1", "c1"}) {
		t.Errorf("lost events of %q", sink.losses)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
	now = now.Add(refusalEvery)
	serve(t, h, request("POST", "/", "", minioEvent))
	if n := logs.Len(); n != 2 {
		t.Errorf("%d lines a minute later, want 2", n)
	}
}

// SNS puts the event into a string, and asks for a confirmation first.
func TestSNS(t *testing.T) {
	text, _ := json.Marshal(minioEvent)
	sink := &fakeSink{}
	w := serve(t, newHandler(sink), request("POST", "/s3cret", "", `{"Type":"Notification","MessageId":"1","Message":`+string(text)+`}`))
	if w.Code != http.StatusAccepted || len(sink.hints) != 1 {
		t.Errorf("%d %s: %v", w.Code, w.Body, sink.hints)
	}
	w = serve(t, newHandler(sink), request("POST", "/s3cret", "", `{"Type":"SubscriptionConfirmation","SubscribeURL":"https://sns.example/confirm"}`))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "https://sns.example/confirm") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
