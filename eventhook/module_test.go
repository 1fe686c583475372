package eventhook

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// fakeSink notes hints in memory, or fails.
type fakeSink struct {
	hints []replication.Hint
	err   error
}

func (s *fakeSink) hasCluster(name string) (bool, error) { return name == "c1", nil }

func (s *fakeSink) note(_ context.Context, hints []replication.Hint) error {
	if s.err != nil {
		return s.err
	}
	s.hints = append(s.hints, hints...)
	return nil
}

func newHandler(s sink) *Handler {
	h := &Handler{sum: sha256.Sum256([]byte("s3cret")), sink: s, log: zap.NewNop()}
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
	want := replication.Hint{Cluster: "c1", Physical: "photos", Key: "a b.jpg", Size: 3}
	if len(s.hints) != 1 || s.hints[0] != want {
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
		"no token":         {"POST", "/", "", minioEvent, 401, "WWW-Authenticate", `Bearer realm="fado_events"`, "Bearer"},
		"another scheme":   {"POST", "/", "Basic s3cret", minioEvent, 401, "WWW-Authenticate", `Bearer realm="fado_events"`, "Bearer"},
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
