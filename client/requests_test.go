package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fado-project/fado/client"
)

// Where nothing is said a client asks the admin endpoint of this machine, by Go's own HTTP client.
func TestDefaults(t *testing.T) {
	t.Parallel()
	var asked string
	c := client.Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
	})}}
	if err := c.Get(t.Context(), client.Path("zones"), nil, nil); err != nil || asked != "http://localhost:2019/fado/zones" {
		t.Errorf("it asks %s: %v", asked, err)
	}
}

// roundTrip is a transport that a test makes.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Names hold any characters, and none of them ends a path or begins a query.
func TestPath(t *testing.T) {
	t.Parallel()
	for want, parts := range map[string][]string{
		"/fado/":                          {""},
		"/fado/zones":                     {"zones"},
		"/fado/buckets/a%2Fb%3Fc/copies":  {"buckets", "a/b?c", "copies"},
		"/fado/buckets/%25%23/objects/..": {"buckets", "%#", "objects", ".."},
		"/fado/keys/%C3%A9%20":            {"keys", "é "},
	} {
		if got := client.Path(parts...); got != want {
			t.Errorf("%q becomes %s, want %s", parts, got, want)
		}
	}
}

// What can't be sent is said before anyone is asked, with the request that it was for.
func TestUnsendable(t *testing.T) {
	t.Parallel()
	c := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	if err := c.Patch(t.Context(), client.Path("clusters", "c"), func() {}, nil); err == nil || !strings.Contains(err.Error(), "encoding the body of PATCH /fado/clusters/c") {
		t.Errorf("a body that is none: %v", err)
	}
	if _, err := c.Do(t.Context(), client.Request{Method: "GET MORE", Path: "/fado/"}, nil); err == nil {
		t.Error("a method that is none was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Get(ctx, "/fado/", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// A stream is passed on as it comes, and one that is refused is an error of the API.
func TestStream(t *testing.T) {
	t.Parallel()
	written := make(chan struct{})
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/fado/events" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":"not for your role"}`)
			return
		}
		_, _ = io.WriteString(w, "data: one\n")
		_ = http.NewResponseController(w).Flush()
		<-written // the rest comes when the first line was read
		_, _ = io.WriteString(w, "data: two\n")
	})
	body, err := c.Stream(t.Context(), client.Request{Method: http.MethodGet, Path: client.Path("events")})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	first := make([]byte, len("data: one\n"))
	if _, err := io.ReadFull(body, first); err != nil || string(first) != "data: one\n" {
		t.Errorf("the first line: %q, %v", first, err)
	}
	close(written)
	if rest, err := io.ReadAll(body); err != nil || string(rest) != "data: two\n" {
		t.Errorf("the rest: %q, %v", rest, err)
	}
	told := new(client.Error)
	if _, err := c.Stream(t.Context(), client.Request{Method: http.MethodGet, Path: client.Path("audit", "export")}); !errors.As(err, &told) || told.Status != http.StatusForbidden {
		t.Errorf("a stream that is refused: %v", err)
	}
	if err := c.Export(t.Context(), io.Discard, "json", false); !errors.As(err, &told) || told.Error() != "not for your role" {
		t.Errorf("an export that is refused: %v", err)
	}
}

// An answer that is an error and ends too soon is told with its status; the words of one that does not
// end are not read for ever.
func TestBrokenErrors(t *testing.T) {
	t.Parallel()
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"error":"ha`)
	})
	if err := c.Get(t.Context(), "/fado/", nil, nil); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("half an error: %v", err)
	}
	const most = 64 << 20 // far more than is in buffers on the way
	written := make(chan int, 1)
	c = answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		n := 0
		for err := error(nil); err == nil && n < most; n += 1 << 20 {
			_, err = io.WriteString(w, strings.Repeat("x", 1<<20))
		}
		written <- n
	})
	told := new(client.Error)
	if err := c.Get(t.Context(), "/fado/", nil, nil); !errors.As(err, &told) || told.Status != http.StatusInternalServerError {
		t.Errorf("an error without end: %v", err)
	}
	if n := <-written; n >= most {
		t.Errorf("%d bytes of an error were read", n)
	}
}

// A document that is refused, by its plan or when it is applied, is an error of the API.
func TestRefusedDocuments(t *testing.T) {
	t.Parallel()
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusBadRequest
		if r.Header.Get("If-Match") != "" {
			status = http.StatusPreconditionFailed
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":"zones[0]: no"}`)
	})
	ask := func(what string, err error, status int) {
		t.Helper()
		told := new(client.Error)
		if !errors.As(err, &told) || told.Status != status || told.Message != "zones[0]: no" {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := c.Plan(t.Context(), client.Document{}, client.PlanPage{})
	ask("a plan", err, http.StatusBadRequest)
	_, err = c.WholePlan(t.Context(), client.Document{})
	ask("a whole plan", err, http.StatusBadRequest)
	_, err = c.Apply(t.Context(), client.Document{}, `"7"`)
	ask("applying another plan", err, http.StatusPreconditionFailed)
}
