package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A sync that is watched ends when all copies were compared after it was asked for, and not while the
// bucket is ok as it was before.
func TestSyncIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		copies string
		looks  int64 // at the bucket, after the sync was asked for
	}{
		"a copy":    {`[{"cluster":"paris","role":"primary"},{"cluster":"berlin","role":"copy"}]`, 3},
		"no copies": {`[{"cluster":"paris","role":"primary"}]`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Bool
			var looks atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					asked.Store(true)
					w.WriteHeader(http.StatusAccepted)
					return
				}
				compared, state := "2027-01-31T10:00:00Z", "ok"
				if asked.Load() {
					switch looks.Add(1) {
					case 2:
						state = "syncing"
					case 3:
						compared = "2027-01-31T11:00:00Z"
					}
				}
				fmt.Fprintf(w, `{"name":"photos","status":{"state":%q,"compared_at":%q,"copies":%s}}`, state, compared, tc.copies)
			}))
			defer srv.Close()
			out, _, err := fado("", "sync", "photos", "--watch", "--address", strings.TrimPrefix(srv.URL, "http://"))
			if err != nil || looks.Load() != tc.looks {
				t.Errorf("it ends after %d looks, want %d: %v\n%s", looks.Load(), tc.looks, err, out)
			}
		})
	}
}

// Held deletes are listed, all pages of them, before one decides.
func TestHeldDeletesAreListed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, next := "a.csv", "berlin/a.csv"
		if r.URL.Query().Get("after") == next {
			key, next = "b.csv", ""
		}
		fmt.Fprintf(w, `{"bound":{"objects":1,"percent":0},"copies":[{"cluster":"berlin","held":2,"objects":10}],
			"deletes":[{"key":%q,"cluster":"berlin","size":1000,"since":"2027-01-31T10:00:00Z"}],"next":%q}`, key, next)
	}))
	defer srv.Close()
	address := strings.TrimPrefix(srv.URL, "http://")
	out, _, err := fado("", "deletes", "photos", "--address", address)
	if err != nil {
		t.Fatal(err)
	}
	has(t, out, "berlin: 2 deletes of 10 objects held", "a.csv", "b.csv", "1 KB")
	if out, _, err := fado("", "deletes", "photos", "--json", "--address", address); err != nil || strings.Count(out, `"key"`) != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := fado("", "deletes", "photos", "maybe", "--address", address); err == nil || err.Error() != `"maybe": expected confirm or reject` {
		t.Errorf("%v", err)
	}
}
