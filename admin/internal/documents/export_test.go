package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
	"github.com/fado-project/fado/state"
)

// An export is of one revision while documents are applied: what they say in two collections at once
// is in both or in neither. Where it is not, it has no ETag.
func TestExportIsOfOneRevision(t *testing.T) {
	t.Parallel()
	admintest.Stores(t, func(t *testing.T, s state.Store) {
		h := startOn(t, s, control.Config{})
		document := func(n int) string {
			return fmt.Sprintf(`{"fado": 1, "zones": [{"name": "eu"}], "clusters": [{"name": "paris", "zones": ["eu"], "labels": {"n": "%d"}}],
				"policies": [{"name": "keep", "copies": %d}]}`, n%9+1, n%9+1)
		}
		stop, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
				if r := h.do("POST", "/fado/apply", document(n)); r.status != 200 {
					ended <- errors.New(string(r.body))
					return
				}
			}
		}()
		whole := 0
		for range 300 {
			export := h.do("GET", "/fado/export", "").want(200)
			if export.etag() == "" {
				continue
			}
			var doc struct {
				Clusters []struct{ Labels map[string]string }
				Policies []struct{ Copies int }
			}
			if err := json.Unmarshal(export.body, &doc); err != nil {
				t.Fatal(err)
			}
			if len(doc.Clusters) == 0 {
				continue
			}
			whole++
			if a, b := doc.Clusters[0].Labels["n"], fmt.Sprint(doc.Policies[0].Copies); a != b {
				t.Errorf("an export of revision %s has clusters of document %s and policies of %s", export.etag(), a, b)
			}
		}
		close(stop)
		if err := <-ended; err != nil || whole == 0 {
			t.Fatalf("%d exports are of a revision; %v", whole, err)
		} else {
			t.Logf("%d exports are of a revision", whole)
		}
	})
}

// What is larger than what is held is passed on, all of it and in order.
func TestSpool(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, maxSpool, maxSpool + 1, 2 * maxSpool} {
		var out bytes.Buffer
		begun := 0
		s := &spool{begin: func() io.Writer {
			begun++
			return &out
		}}
		want := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 7<<10)
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if held := begun == 0; held != (size <= maxSpool) {
			t.Errorf("%d bytes are held: %t", size, held)
		}
		s.end()
		s.end()
		if begun != 1 || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("of %d bytes %d came, begun %d times", size, out.Len(), begun)
		}
	}
}
