package replication

import (
	"fmt"
	"strings"
	"testing"
)

func TestBucketAppearsWherePolicyWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.cluster("c3", minioC.Server(t))
	w.makeBucket("c1", "photos")
	for i := range 50 {
		w.put("c1", "photos", fmt.Sprintf("dir%d/%03d.jpg", i%3, i), strings.Repeat("x", i))
	}
	w.policy("two", 2, "c1", "c2")
	w.bucket("photos", "two", "")
	w.awaitOK("photos", "c1", "c2")
	w.awaitSame("photos", "c1", "c2")
	if got := w.contents("c3", "photos"); got != nil {
		t.Fatalf("c3 has %v", got)
	}
	st := w.status("photos")
	for _, c := range st.Copies {
		if c.Objects != 50 || c.VerifiedAt == nil {
			t.Errorf("copy %+v, want 50 objects and a time", c)
		}
	}
	w.feedsLive("c1", "c2")
	w.put("c1", "photos", "new", "live")
	w.awaitSame("photos", "c1", "c2")
	w.put("c1", "photos", "new", "live again")
	w.awaitSame("photos", "c1", "c2")
	w.del("c1", "photos", "new")
	w.awaitSame("photos", "c1", "c2")
	w.awaitOK("photos", "c1", "c2")
}
