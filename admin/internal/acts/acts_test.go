package acts

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/audit"
)

// diary notes what happens in order, and fails as told.
type diary struct {
	notes []string
	err   error
}

func (d *diary) Acted(ctx context.Context, b audit.ActionBody) error {
	d.notes = append(d.notes, "record "+string(b.State))
	return errors.Join(d.err, ctx.Err())
}

// Header, Write and WriteHeader make it the answer, too.
func (*diary) Header() http.Header         { return make(http.Header) }
func (*diary) Write(b []byte) (int, error) { return len(b), nil }
func (d *diary) WriteHeader(int)           { d.notes = append(d.notes, "answer") }

// What was done is on record before the client knows, also where the client has gone meanwhile; what gives data
// away is on record before it is done. A record that can't be made is in the log.
func TestOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first bool
		err   error // of the record
		want  []string
		logs  int
	}{
		"done":                     {false, nil, []string{"done", "record done", "answer"}, 0},
		"first":                    {true, nil, []string{"record begun", "done", "answer"}, 0},
		"done, no record":          {false, errors.New("no store"), []string{"done", "record done", "answer"}, 1},
		"first, no record, so not": {true, errors.New("no store"), []string{"record begun"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zapcore.InfoLevel)
			d := &diary{err: tc.err}
			ctx, cancel := context.WithCancel(t.Context())
			q := &request.Request{W: d, R: httptest.NewRequest("POST", "/fado/replication/pause", nil).WithContext(ctx), Log: zap.New(core)}
			err := Do(q, d, &Act{Action: "a", Pattern: "/fado/replication/pause", First: tc.first}, func() error {
				d.notes = append(d.notes, "done")
				cancel()
				_, err := q.W.Write([]byte("{}"))
				if !tc.first {
					return err
				}
				q.W.WriteHeader(http.StatusOK)
				return err
			})
			if !slices.Equal(d.notes, tc.want) || logs.Len() != tc.logs || tc.first && !errors.Is(err, tc.err) {
				t.Errorf("%q, %d lines, %v; want %q", d.notes, logs.Len(), err, tc.want)
			}
			cancel()
		})
	}
}

// A record names what it is about, has what was given, and nothing of any length.
func TestBody(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 200)
	for pattern, want := range map[string]string{
		"/fado/buckets/{name}/sync":  "bucket photos",
		"/fado/clusters/{name}":      "cluster photos",
		"/fado/replication/pause":    " ",
		"/fado/console/links":        " ",
		"/fado/buckets/{name}/trust": "bucket photos",
	} {
		r := httptest.NewRequest("POST", "/fado/x?cluster=c1&other=1", nil)
		r.SetPathValue("name", "photos")
		q := &request.Request{R: r}
		b := (&Act{Action: "a", Pattern: pattern, Given: Query(q, "cluster", "deep")}).body(q)
		if got := b.Resource + " " + b.Name; got != want || len(b.With) != 1 || b.With["cluster"] != "c1" {
			t.Errorf("%s: %+v", pattern, b)
		}
	}
	if got := short(long); !utf8.ValidString(got) || len(got) > longest+len("…") || !strings.HasPrefix(long, strings.TrimSuffix(got, "…")) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if got := short("x" + long); !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}
