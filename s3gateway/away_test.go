package s3gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state/postgres"
)

// An instance that its database is away from goes on reading, and refuses writes such that clients
// retry. What another instance writes meanwhile is never hidden by what it knew before.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	db := testenv.PostgresDatabase(t)
	w := &world{prefix: fmt.Sprintf("s3g%d-%d-", os.Getpid(), worlds.Add(1))}
	var link *testenv.Proxy
	for n := range 2 {
		dsn := db
		if n == 1 {
			u, err := url.Parse(db)
			if err != nil {
				t.Fatal(err)
			}
			if link, err = testenv.NewProxy(u.Host); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(link.Close)
			u.Host = link.Addr()
			dsn = u.String()
		}
		store, err := postgres.Open(context.Background(), postgres.Options{DSN: dsn, Key: []byte("a passphrase"), Lease: 3 * time.Second, MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		w.join(t, store, func(h *Handler) { h.Cluster = "c2" }) // reads prefer the copy
	}
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("both", 2, "c1", "c2")
	w.feedsLive("c1", "c2")
	w.bucket("bkt", "both", "c1")
	near, away := w.all[0], w.all[1]
	for _, key := range []string{"changes", "stays"} {
		near.put("bkt", key, "before")
		w.awaitCopy("bkt", key, "c2")
	}
	away.must(link.Refuse(true))
	link.Cut()
	for _, key := range []string{"changes", "stays"} {
		if got := away.get("bkt", key); got != "before" {
			t.Errorf("a read right after: %.60q", got)
		}
	}
	status, h, body := away.do(http.MethodPut, "/bkt/changes", nil, "not")
	if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("a write: %d %v %s", status, h, body)
	}
	w.await("a write elsewhere", func() bool { return near.tryPut("bkt", "changes", "after") == nil })
	for range 5 {
		if got := away.get("bkt", "changes"); got != "after" && got != "SlowDown" {
			t.Errorf("after a write elsewhere: %.60q", got)
		}
	}
	if got := away.get("bkt", "stays"); got != "before" {
		t.Errorf("a read of what did not change: %.60q", got)
	}
	if got := away.list("bkt", "", ""); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
	link.Heal()
	w.await("writes go on", func() bool { return away.tryPut("bkt", "changes", "later") == nil })
	if got := near.get("bkt", "changes"); got != "later" {
		t.Errorf("in the end: %.60q", got)
	}
}
