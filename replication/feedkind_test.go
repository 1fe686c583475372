package replication

import (
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/site"
)

// A listener is the feed while it is live, else a webhook while it sends, else scans.
func TestFeedKinds(t *testing.T) {
	t.Parallel()
	var f site.Feed
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	expect := func(kind, text string) {
		t.Helper()
		if k, s := feedOf(&f, now); k != kind || s != text {
			t.Errorf("%s: %q, want %s: %q", k, s, kind, text)
		}
	}
	f.Silent(site.SilentNoFeed)
	expect(FeedScan, "scanning: the storage has no listener")
	f.Hinted(now)
	now = now.Add(3 * time.Second)
	expect(FeedWebhook, "webhook, last event 3s ago; scanning: the storage has no listener")
	f.Set()
	expect(FeedListener, "listening")
	f.Silent(site.SilentNoFeed)
	now = now.Add(hintedFor)
	expect(FeedScan, "scanning: the storage has no listener")
}
