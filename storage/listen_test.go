package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/storage/s3"
)

// listening is a Listen under way.
type listening struct {
	events chan Event
	done   chan error
}

func (s *side) listen(t *testing.T) *listening {
	t.Helper()
	l := &listening{events: make(chan Event, 1000), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	go func() { l.done <- s.Listen(ctx, func() { close(ready) }, func(e Event) { l.events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-l.done; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen ended with %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-l.done:
		l.done <- context.Canceled
		t.Fatal(err)
	}
	return l
}

func (l *listening) next(t *testing.T) Event {
	t.Helper()
	select {
	case e := <-l.events:
		return e
	case <-time.After(2 * time.Minute):
		t.Fatal("no event")
		return Event{}
	}
}

func TestListenTellsChanges(t *testing.T) {
	s := minioA.side(t)
	bucket := newBucket(t, true, s)
	ctx := t.Context()
	foreign := "foreign-bucket"
	if err := s.api.MakeBucket(ctx, foreign, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	l := s.listen(t)
	if _, err := s.api.PutObject(ctx, foreign, "ignored", strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range oddKeys {
		o := s.put(bucket, key, []byte("x"), minio.PutObjectOptions{})
		e := l.next(t)
		if e.Bucket != bucket || e.Key != key || e.Removed || e.ETag != o.ETag || e.Size != 1 || !sameVersion(e.VersionID, o.VersionID) {
			t.Errorf("put %+v: told %+v", o, e)
		}
		if exact := s.listed(bucket, key).LastModified; !e.Time.Truncate(time.Millisecond).Equal(exact) {
			t.Errorf("%q: told %v, listed %v", key, e.Time, exact)
		}
	}
	if err := s.api.RemoveObject(ctx, s.Physical(bucket), "plain", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := l.next(t); !e.Removed || e.Key != "plain" || e.Bucket != bucket {
		t.Errorf("removed: told %+v", e)
	}
	s.put(bucket, "parts", random(2*s3.MinPart), minio.PutObjectOptions{PartSize: s3.MinPart})
	if e := l.next(t); e.Key != "parts" || e.Size != 2*s3.MinPart {
		t.Errorf("uploaded in parts: told %+v", e)
	}
}

// TestOwnWritesRaiseNoEvent: copies and deletions by FaDO are not told, or they would
// come back to it. What follows them is.
func TestOwnWritesRaiseNoEvent(t *testing.T) {
	for _, versions := range []bool{false, true} {
		for _, from := range []lazy{minioA, versA} {
			src, dst := from.side(t), minioB.side(t)
			bucket := newBucket(t, versions, src, dst)
			l := dst.listen(t)
			for i, body := range [][]byte{nil, []byte("small"), random(smallObject + 1), random(2*s3.MinPart + 1)} {
				key := fmt.Sprint("key-", i)
				o := src.put(bucket, key, body, minio.PutObjectOptions{PartSize: s3.MinPart})
				out := mustCopy(t, src, dst, bucket, o)
				if i%2 == 1 {
					if err := dst.Delete(t.Context(), bucket, key, out.ETag); err != nil {
						t.Fatal(err)
					}
				}
				if err := dst.DeleteAllVersions(t.Context(), bucket, key); err != nil {
					t.Fatal(err)
				}
			}
			dst.put(bucket, "the user's", []byte("x"), minio.PutObjectOptions{})
			if e := l.next(t); e.Key != "the user's" {
				t.Errorf("versions %v, from %s: told %+v", versions, src.Name(), e)
			}
		}
	}
}

func TestListenWhereThereIsNone(t *testing.T) {
	s := versA.side(t)
	err := s.Listen(t.Context(), func() { t.Error("ready") }, func(Event) {})
	if !errors.Is(err, ErrUnsupported) {
		t.Errorf("want ErrUnsupported, got %v", err)
	}
}

// eventServer is a MinIO by its name that streams what the test says.
func eventServer(t *testing.T, stream func(w http.ResponseWriter, r *http.Request)) *whole {
	t.Helper()
	return fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "MinIO")
		if !slices.Contains(r.URL.Query()["events"], "s3:ObjectCreated:*") {
			fmt.Fprint(w, `<ListAllMyBucketsResult/>`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		stream(w, r)
	})
}

const pingLine = `{"Records":null}` + "\n"

func TestListenNoticesSilence(t *testing.T) {
	for name, stream := range map[string]func(w http.ResponseWriter, r *http.Request){
		"from the start": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"after the head": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"after some pings": func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				_, _ = w.Write([]byte(pingLine))
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		},
	} {
		c := eventServer(t, stream)
		c.silence = 100 * time.Millisecond
		pinged := false
		err := c.Listen(t.Context(), func() { pinged = true }, func(Event) {})
		if !errors.Is(err, ErrSilent) || pinged != (name == "after some pings") {
			t.Errorf("%s: %v, ready %v", name, err, pinged)
		}
	}
}

func TestListenEnds(t *testing.T) {
	for name, line := range map[string]string{
		"the stream ends": pingLine, "rubbish": "<html>\n", "half a line": `{"Records":[{"eventName":`,
	} {
		c := eventServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(line)) })
		if err := c.Listen(t.Context(), func() {}, func(Event) {}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: want ErrUnavailable, got %v", name, err)
		}
	}
}

func TestListenEndsWithTheServer(t *testing.T) {
	srv := testenv.MinIO(t)
	c := open(t, srv, srv.Endpoint)
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- c.Listen(t.Context(), func() { close(ready) }, func(Event) {}) }()
	<-ready
	srv.Kill()
	if err := <-done; !errors.Is(err, ErrUnavailable) {
		t.Errorf("want ErrUnavailable, got %v", err)
	}
}

// TestListenOnMuteMinIO: later MinIOs accept a listener and never flush to it.
func TestListenOnMuteMinIO(t *testing.T) {
	srv := testenv.MuteMinIO(t)
	c := open(t, srv, srv.Endpoint)
	c.silence = 4 * time.Second
	err := c.Listen(t.Context(), func() { t.Error("ready") }, func(Event) {})
	if !errors.Is(err, ErrSilent) {
		t.Errorf("want ErrSilent, got %v", err)
	}
	if caps, err := c.Probe(t.Context(), ""); err != nil || caps.Notifications {
		t.Errorf("probe: %+v, %v", caps, err)
	}
}
