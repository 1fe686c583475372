package admin

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// withCopies returns a harness whose bucket photos has a primary in c1.
func withCopies(t *testing.T) *harness {
	t.Helper()
	h := withCluster(t)
	err := h.ctl.Copies.Update(t.Context(), "photos", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{{
			Bucket: "photos", Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced},
			Objects: 7, Bytes: 70, VerifiedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBucketStatus(t *testing.T) {
	h := withCopies(t)
	h.engine.storages = map[string]replication.StorageStatus{"c1": {State: "up", Feed: "scanning: no listener"}}
	got := h.do("GET", "/fado/buckets/photos", "").want(200)
	for path, want := range map[string]any{
		"cluster": "c1", "zone": "eu", "role": "primary", "state": "synced", "objects": 7.0, "bytes": 70.0,
		"verified_at": "2026-01-02T03:04:05Z", "error": "",
	} {
		if v := got.at("status", "copies", 0, path); v != want {
			t.Errorf("copies[0].%s: %v, want %v", path, v, want)
		}
	}
	// How, and as of when, what users wrote is known.
	if got.at("status", "feed") != "scanning: no listener" || got.at("status", "copies", 0, "feed") != "scanning: no listener" || got.at("status", "compared_at") != nil {
		t.Errorf("status: %s", got.body)
	}
	if got.at("status", "primary") != "c1" || got.at("status", "state") != "stuck" {
		// Two copies wanted, one cluster there.
		t.Errorf("status: %s", got.body)
	}
	if inList := h.do("GET", "/fado/buckets", "").want(200); !reflect.DeepEqual(inList.at(0), got.at()) {
		t.Errorf("the list shows %s, the item is %s", inList.body, got.body)
	}
}

// What is known of a bucket is as old as the comparison of the copy compared longest ago.
func TestComparedAt(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	primary := control.CopyStatus{Role: "primary", VerifiedAt: &early}
	for _, test := range []struct {
		copies []control.CopyStatus
		want   *time.Time
	}{
		{nil, nil},
		{[]control.CopyStatus{primary}, nil},
		{[]control.CopyStatus{primary, {Role: "copy", VerifiedAt: &late}}, &late},
		{[]control.CopyStatus{primary, {Role: "copy", VerifiedAt: &late}, {Role: "copy", VerifiedAt: &early}}, &early},
		{[]control.CopyStatus{primary, {Role: "copy", VerifiedAt: &late}, {Role: "copy"}}, nil},
	} {
		if got := comparedAt(test.copies); got != test.want {
			t.Errorf("%+v: %v, want %v", test.copies, got, test.want)
		}
	}
}

func TestClusterStatus(t *testing.T) {
	h := withCluster(t)
	h.engine.storages = map[string]replication.StorageStatus{"c1": {
		State: "down", Error: "refused", Capabilities: &storage.Capabilities{Versioning: true, Tags: true}, UsedBytes: 5, Feed: "listening",
		Skew: new(-3 * time.Second),
	}}
	for _, ep := range h.ctl.Router().Snapshot().Endpoints() {
		ep.Live.SetHealthy(false, "no answer")
		ep.Live.InFlight.Store(4)
	}
	for _, status := range []any{
		h.do("GET", "/fado/clusters/c1", "").want(200).at("status"),
		h.do("GET", "/fado/clusters", "").want(200).at(0, "status"),
	} {
		want := map[string]any{
			"storage": map[string]any{
				"state": "down", "error": "refused", "used_bytes": 5.0, "feed": "listening", "clock_skew_s": -3.0, "capabilities": map[string]any{
					"versioning": true, "notifications": false, "tags": true, "conditional_put": false, "preserve_version": false,
					"provider": "", "conditional_delete": false, "checksums": false, "sorted_list": false,
					"multipart": map[string]any{"max_parts": 0.0, "min_part": 0.0, "max_part": 0.0},
				},
			},
			"functions": []any{map[string]any{"url": "http://127.0.0.1:9101", "healthy": false, "in_flight": 4.0, "reason": "no answer"}},
		}
		of := status.(map[string]any)
		reasons := of["reasons"].([]any)
		delete(of, "reasons") // the room that finds them tests them
		if f := reasons[len(reasons)-1].(map[string]any); len(reasons) != 2 || f["code"] != "function-down" || f["url"] != "http://127.0.0.1:9101" || f["since"] == nil {
			t.Errorf("reasons %v", reasons)
		}
		if !reflect.DeepEqual(status, want) {
			t.Errorf("status %v, want %v", status, want)
		}
	}
	h.do("PUT", "/fado/clusters/f1", `{"zones":["eu"],"functions":[{"url":"http://127.0.0.1:9102"}]}`).want(201)
	bare := h.do("GET", "/fado/clusters/f1", "").want(200)
	if v, ok := bare.at("status").(map[string]any)["storage"]; !ok || v != nil {
		t.Errorf("a cluster without storage has the status %v", v)
	}
}

func TestOverview(t *testing.T) {
	h := withCopies(t)
	o := h.do("GET", "/fado/", "").want(200)
	if o.at("status") != "ok" || o.at("reason") != "" || o.at("version") != "v0-test" || o.at("node") != "n1" || o.at("store") != "sqlite" {
		t.Errorf("overview: %s", o.body)
	}
	if o.at("counts", "buckets") != 1.0 || o.at("counts", "zones") != 1.0 || o.at("counts", "clusters") != 1.0 {
		t.Errorf("counts: %s", o.body)
	}
	if n := len(h.do("GET", "/fado/policies", "").want(200).at().([]any)); o.at("counts", "policies") != float64(n) {
		t.Errorf("%v policies counted, %d listed", o.at("counts", "policies"), n)
	}
	h.do("PUT", "/fado/policies/default", `{"copies":2}`).want(201)
	if n := h.do("GET", "/fado/", "").at("counts", "policies"); n != 2.0 {
		t.Errorf("%v policies counted, 2 declared", n)
	}
	if age := o.at("snapshot_age_s").(float64); age < 0 || age > 60 {
		t.Errorf("the snapshot is %v s old", age)
	}
	// What is pending and does not get done by itself shows, too.
	for _, row := range []struct {
		state.Pending
		why string
	}{
		{state.Pending{Hold: state.HoldDeletes}, "1 delete is held in c1"},
		{state.Pending{Hold: state.HoldConflict}, "1 object on a copy is not FaDO's"},
		{state.Pending{Attempts: 1, Error: "no such luck"}, "no such luck"},
		{state.Pending{}, ""},
	} {
		row.Bucket, row.Key, row.Cluster = "photos", "k", "c1"
		if err := h.ctl.Pending.Add(t.Context(), row.Pending); err != nil {
			t.Fatal(err)
		}
		want := "degraded"
		if row.why == "" {
			want = "ok"
		}
		o := h.do("GET", "/fado/", "").want(200)
		if o.at("status") != want || !strings.Contains(o.at("reason").(string), row.why) {
			t.Errorf("with %+v pending: %s", row, o.body)
		}
	}
	h.engine.storages = map[string]replication.StorageStatus{"c1": {State: "down", Error: "refused"}}
	for _, ep := range h.ctl.Router().Snapshot().Endpoints() {
		ep.Live.SetHealthy(false, "no answer")
	}
	h.ctl.Issues.Set("photos", control.Source{Finder: control.FinderPlanner}, control.Issue{Reason: "no room"})
	bad := h.do("GET", "/fado/", "").want(200)
	if bad.at("status") != "degraded" {
		t.Errorf("overview: %s", bad.body)
	}
	contains(t, bad.at("reason").(string), "the storage of c1 is down: refused", "http://127.0.0.1:9101", "no answer", "bucket photos is stuck: no room")
	// Several are counted, by state.
	for _, b := range []string{"photos", "reports", "videos"} {
		h.ctl.Issues.Set(b, control.Source{Finder: control.FinderPlanner}, control.Issue{})
		if b != "photos" {
			h.do("POST", "/fado/buckets", `{"name":"`+b+`"}`).want(201)
		}
		if err := h.ctl.Pending.Add(t.Context(), state.Pending{Bucket: b, Key: "k", Cluster: "c1", Hold: state.HoldConflict}); err != nil {
			t.Fatal(err)
		}
	}
	h.ctl.Issues.Set("videos", control.Source{Finder: control.FinderPlanner}, control.Issue{Reason: "no room"})
	contains(t, h.do("GET", "/fado/", "").want(200).at("reason").(string), "bucket videos is stuck: no room",
		"2 buckets have conflicts, one of them photos: 1 object on a copy", "GET /fado/buckets?state=conflict")
	// With the store gone, what memory knows is still told.
	h.ctl.Store().Close()
	gone := h.do("GET", "/fado/", "").want(200)
	if gone.at("status") != "degraded" || gone.at("counts", "buckets") != 3.0 {
		t.Errorf("overview: %s", gone.body)
	}
}

// A key in conflict is told from one that is yet to be copied.
func TestRouteTellsOfConflicts(t *testing.T) {
	h := withCluster(t)
	h.do("POST", "/fado/clusters", strings.NewReplacer("c1", "c2", "9010", "9020", "9101", "9102").Replace(cluster1)).want(201)
	err := h.ctl.Copies.Update(t.Context(), "photos", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c1", State: catalog.CopySynced, Primary: true, Verified: true}},
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced, Verified: true}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, hold := range map[string]state.Hold{"a": state.HoldConflict, "b": state.HoldNone} {
		if err := h.ctl.Pending.Add(t.Context(), state.Pending{Bucket: "photos", Key: key, Cluster: "c2", Hold: hold}); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]string{
		"a": "a conflict: nothing is copied here until it is resolved", "b": "a newer version is yet to be copied here",
	} {
		r := h.do("GET", "/fado/route?bucket=photos&object="+key, "").want(200)
		contains(t, string(r.body), want)
		if r.at("candidates", 0, "cluster") != "c1" {
			t.Errorf("%s: %s", key, r.body)
		}
	}
}

// The answer to a change of a policy says what the clusters can't give.
func TestPoliciesThatCantBeMet(t *testing.T) {
	h := withCluster(t)
	for policy, want := range map[string]string{
		`{"name":"x","copies":3,"zones":["eu"]}`: "policy x wants 3 copies, 1 cluster can take one",
		`{"name":"y","zones":["moon"]}`:          "policy y wants 1 copy, 0 clusters can take one: the policy allows no cluster there is",
	} {
		h.do("PUT", "/fado/zones/moon", `{}`)
		contains(t, h.do("POST", "/fado/policies", policy).want(201).at("status", "warnings", 0).(string), want)
	}
	fine := h.do("PUT", "/fado/policies/x", `{"zones":["eu"]}`).want(200)
	if all := fine.at("status", "warnings").([]any); len(all) != 0 {
		t.Errorf("%s", fine.body)
	}
	h.do("PUT", "/fado/policies/x", string(fine.body)).want(200) // an answer can be sent back
}

// The copies of prefix rules have a place of their own in a bucket's status.
func TestCopiesOfPrefixes(t *testing.T) {
	h := withCluster(t)
	h.do("PUT", "/fado/buckets/photos", `{"policy":"p1","prefixes":[{"prefix":"raw/","policy":"default"}]}`).want(200)
	err := h.ctl.Copies.Update(t.Context(), "photos", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c1", State: catalog.CopySynced, Primary: true}, Objects: 50},
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c1", Prefix: "raw/", State: catalog.CopySynced, Primary: true}, Objects: 1, Bytes: 7},
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c1", Prefix: "gone/", State: catalog.CopySynced}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := h.do("GET", "/fado/buckets/photos", "").want(200)
	if b.at("status", "copies", 0, "objects") != 51.0 || b.at("status", "prefixes", 0, "prefix") != "gone/" || b.at("status", "prefixes", 0, "policy") != "" ||
		b.at("status", "prefixes", 1, "prefix") != "raw/" || b.at("status", "prefixes", 1, "policy") != "default" ||
		b.at("status", "prefixes", 1, "copies", 0, "objects") != 1.0 || b.at("status", "prefixes", 1, "copies", 0, "role") != "primary" {
		t.Errorf("%s", b.body)
	}
}

func TestPlacement(t *testing.T) {
	h := withCluster(t)
	h.do("PUT", "/fado/buckets/photos", `{"policy":"p1","prefixes":[{"prefix":"raw/","policy":"default"}]}`).want(200)
	p := h.do("GET", "/fado/buckets/photos/placement", "").want(200)
	if p.at("bucket") != "photos" || p.at("prefix") != "" || p.at("policy") != "p1" || p.at("chosen", 0) != "c1" || p.at("clusters", 0, "cluster") != "c1" {
		t.Errorf("placement: %s", p.body)
	}
	raw := h.do("GET", "/fado/buckets/photos/placement?prefix=raw%2F2024", "").want(200)
	if raw.at("prefix") != "raw/" || raw.at("policy") != "default" {
		t.Errorf("placement of a prefix: %s", raw.body)
	}
	h.do("GET", "/fado/buckets/nobody/placement", "").want(404).says(`bucket "nobody"`)
}

func TestRouteExplained(t *testing.T) {
	h := withCopies(t)
	hit := h.do("GET", "/fado/route?bucket=photos&object=a%252Fb", "").want(200)
	want := map[string]any{"cluster": "c1", "locality": "local", "url": "http://127.0.0.1:9101"}
	if !reflect.DeepEqual(hit.at("decision"), want) || hit.at("reason") != "" || hit.at("bucket") != "photos" || hit.at("objects", 0) != "a/b" {
		t.Errorf("route: %s", hit.body)
	}
	if c := hit.at("candidates", 0).(map[string]any); c["eligible"] != true || c["fresh"] != true || c["healthy"] != true || c["zone"] != "eu" {
		t.Errorf("candidate: %v", c)
	}
	none := h.do("GET", "/fado/route?bucket=nobody", "").want(200)
	if v, ok := none.at().(map[string]any)["decision"]; !ok || v != nil || none.at("reason") != "unknown-bucket" {
		t.Errorf("route of an unknown bucket: %s", none.body)
	}
	unaware := h.do("GET", "/fado/route", "").want(200)
	if unaware.at("decision", "locality") != "none" {
		t.Errorf("route without data: %s", unaware.body)
	}
	h.do("GET", "/fado/route?data=s3://photos/k", "").want(200)
	h.do("GET", "/fado/route?data=photos/k", "").want(400).says("s3://")
	h.do("GET", "/fado/route?object=k", "").want(400).says("bucket")
	h.do("GET", "/fado/route?bukcet=photos", "").want(400).says("bukcet", "bucket, object, data")
}

func TestPurge(t *testing.T) {
	h := withCopies(t)
	tag := h.do("GET", "/fado/buckets/photos", "").etag()
	h.do("DELETE", "/fado/buckets/photos?purge=copies", "", "If-Match", tag).want(204)
	said := h.do("DELETE", "/fado/buckets/photos?purge=all", "").want(202)
	contains(t, said.at("removes").(string), "all data", "c1")
	for _, bad := range []string{"?purge=", "?purge=yes", "?purge=ALL", "?purg=all", "?purge=all&purge=copies"} {
		h.do("DELETE", "/fado/buckets/photos"+bad, "").want(400).says("purge")
	}
	h.do("DELETE", "/fado/zones/eu?purge=all", "").want(400).says("purge")
	want := []string{fmt.Sprintf("purge photos copies [%s]", tag), "purge photos all []"}
	if !reflect.DeepEqual(h.engine.asked, want) {
		t.Errorf("replication was asked for %q, want %q", h.engine.asked, want)
	}
	h.engine.err = control.ErrConfigOwned
	h.do("DELETE", "/fado/buckets/photos?purge=all", "").want(409).says("photos")
}

func TestObjects(t *testing.T) {
	h := withCluster(t)
	empty := h.do("GET", "/fado/buckets/photos/objects", "").want(200)
	if got := string(empty.body); got != `{"objects":[],"common_prefixes":[],"next":""}`+"\n" {
		t.Errorf("an empty bucket: %s", got)
	}
	h.engine.page = replication.ObjectPage{
		Objects:        []replication.ListedObject{{Key: "a/1", Size: 1, LastModified: time.Unix(0, 0).UTC(), ETag: "e", VersionID: "v"}},
		CommonPrefixes: []string{"a/b/"}, Next: "a/1",
	}
	page := h.do("GET", "/fado/buckets/photos/objects?prefix=a%2F&delimiter=%2F&after=a%2F0&limit=1", "").want(200)
	if page.at("objects", 0, "key") != "a/1" || page.at("next") != "a/1" || len(page.at("objects", 0, "clusters").([]any)) != 0 {
		t.Errorf("page: %s", page.body)
	}
	want := []string{`objects photos "" "" "" 1000`, `objects photos "a/" "/" "a/0" 1`}
	if !reflect.DeepEqual(h.engine.asked, want) {
		t.Errorf("replication was asked for %q, want %q", h.engine.asked, want)
	}
	h.engine.err = control.ErrNotFound
	h.do("GET", "/fado/buckets/nobody/objects", "").want(404).says(`bucket "nobody"`)
}

func TestConflictsOfABucket(t *testing.T) {
	h := withCluster(t)
	if got := string(h.do("GET", "/fado/buckets/photos/conflicts", "").want(200).body); got != "[]\n" {
		t.Errorf("no conflicts read %s", got)
	}
	h.engine.conflicts = []replication.Conflict{
		{Key: "k", Reason: "not FaDO's", Copies: []replication.ConflictCopy{{Cluster: "c1", ETag: "e", Size: 3}}},
		{Key: "l", Reason: "not FaDO's"},
	}
	got := h.do("GET", "/fado/buckets/photos/conflicts?limit=7", "").want(200)
	if got.at(0, "key") != "k" || got.at(0, "copies", 0, "cluster") != "c1" || len(got.at(1, "copies").([]any)) != 0 {
		t.Errorf("conflicts: %s", got.body)
	}
	if want := []string{"conflicts photos 1000", "conflicts photos 7"}; !reflect.DeepEqual(h.engine.asked, want) {
		t.Errorf("replication was asked for %q, want %q", h.engine.asked, want)
	}
}

// A storage that can't answer is no internal error: the reason is told.
func TestStorageTrouble(t *testing.T) {
	h := withCluster(t)
	h.engine.err = errors.New("the storage of c1 is down: connection refused")
	for _, call := range []string{"GET /fado/buckets/photos/objects", "GET /fado/buckets/photos/conflicts", "POST /fado/buckets/photos/deletes/reject"} {
		method, path, _ := cut(call)
		h.do(method, path, "").want(503).says("photos", "connection refused")
	}
}

func TestReplicationEndpoints(t *testing.T) {
	h := withCluster(t)
	for query, want := range map[string]string{"": "[n1]", "?node=n1": "[n1]", "?node=all": "[n1 n2]"} {
		if got := fmt.Sprint(h.do("GET", "/fado/replication"+query, "").want(200).at("nodes")); got != want {
			t.Errorf("replication%s is of %s", query, got)
		}
	}
	h.do("GET", "/fado/replication?node=n2", "").want(400).says("expected all, or n1")
	if got := h.do("GET", "/fado/replication", "").want(200); len(got.at("transfers").([]any)) != 0 {
		t.Errorf("transfers: %s", got.body)
	}
	if got := string(h.do("GET", "/fado/replication/failures", "").want(200).body); got != "[]\n" {
		t.Errorf("no failures read %s", got)
	}
	if got := h.do("POST", "/fado/replication/failures/retry", "").want(202); got.at("retried") != 3.0 {
		t.Errorf("retry: %s", got.body)
	}
	if got := h.do("POST", "/fado/replication/pause", "").want(200); got.at("paused") != true {
		t.Errorf("pause: %s", got.body)
	}
	if got := h.do("POST", "/fado/replication/resume", "").want(200); got.at("paused") != false {
		t.Errorf("resume: %s", got.body)
	}
	h.do("POST", "/fado/buckets/photos/sync", "").want(202)
	if got := h.do("POST", "/fado/buckets/photos/deletes/confirm", "").want(200); got.at("objects") != 2.0 {
		t.Errorf("confirm: %s", got.body)
	}
	h.do("POST", "/fado/buckets/photos/deletes/reject", "").want(200)
	if got := h.do("POST", "/fado/buckets/photos/trust?cluster=c2", "").want(200); got.at("cluster") != "c2" {
		t.Errorf("trust: %s", got.body)
	}
	h.do("POST", "/fado/buckets/photos/trust", "").want(400).says("cluster")
	for body, says := range map[string]string{`{}`: "purge", `{"purge":"all"}`: "purge", `{"purge":"history"}`: "cluster", `{"purge":"history","cluster":"c2","x":1}`: "x", `{`: "body"} {
		h.do("POST", "/fado/buckets/photos/release", body).want(400).says(says)
	}
	if got := h.do("POST", "/fado/buckets/photos/release", `{"purge":"history","cluster":"c2"}`).want(200); got.at("objects") != 4.0 || got.at("cluster") != "c2" {
		t.Errorf("release: %s", got.body)
	}
	h.do("GET", "/fado/replication/failures?limit=5", "").want(200)
	want := []string{"failures 1001", "retry", "pause", "resume", "sync photos", "confirm photos", "reject photos", "trust c2 of photos", "release photos in c2", "failures 6"}
	if !reflect.DeepEqual(h.engine.asked, want) {
		t.Errorf("replication was asked for %q, want %q", h.engine.asked, want)
	}
	h.engine.err = fmt.Errorf("bucket photos: %w", replication.ErrNotStopped)
	h.do("POST", "/fado/buckets/photos/trust?cluster=c2", "").want(409).says("not stopped")
	h.engine.err = fmt.Errorf("bucket photos in c2: %w", replication.ErrNoneLeaves)
	h.do("POST", "/fado/buckets/photos/release", `{"purge":"history","cluster":"c2"}`).want(409).says("being removed")
	h.engine.err = fmt.Errorf("reading: %w", state.ErrUnavailable)
	for _, call := range []string{
		"GET /fado/replication", "GET /fado/replication/failures", "POST /fado/replication/failures/retry", "POST /fado/replication/pause",
		"POST /fado/replication/resume", "POST /fado/buckets/photos/sync", "POST /fado/buckets/photos/deletes/confirm",
	} {
		method, path, _ := cut(call)
		h.do(method, path, "").want(503).says("unavailable")
	}
}

// Lists of what waits for people are told page by page, in an order that nothing which comes or goes
// changes, and to their ends.
func TestTroubleIsPaged(t *testing.T) {
	h := withCluster(t)
	keys := func(path string) (all []string) {
		for pages := 0; path != ""; pages++ {
			if pages > 9 {
				t.Fatalf("%s is no end", path)
			}
			page := h.do("GET", path, "").want(200)
			var items []struct{ Bucket, Key, Cluster string }
			if page.json(&items); len(items) > 2 {
				t.Errorf("%d items on a page of 2", len(items))
			}
			for _, i := range items {
				all = append(all, strings.Trim(i.Bucket+" "+i.Key+" "+i.Cluster, " "))
			}
			path = strings.TrimSuffix(strings.TrimPrefix(page.header.Get("Link"), "<"), `>; rel="next"`)
			// What comes before what was told, and what is settled there, moves nothing.
			h.engine.conflicts = append([]replication.Conflict{{Key: "0"}}, h.engine.conflicts...)
		}
		return all
	}
	h.engine.conflicts = []replication.Conflict{{Key: "a&b"}, {Key: "b/ü"}, {Key: "c"}, {Key: "d"}, {Key: "e"}}
	if got, want := keys("/fado/buckets/photos/conflicts?limit=2"), []string{"a&b", "b/ü", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("conflicts %q, want %q", got, want)
	}
	h.engine.failures = []replication.Failure{
		{Bucket: "b", Key: "", Cluster: "c1"}, {Bucket: "b", Key: "k/1", Cluster: "c1"}, {Bucket: "b", Key: "k/1", Cluster: "c2"}, {Bucket: "c", Key: "k", Cluster: "c1"},
	}
	if got, want := keys("/fado/replication/failures?limit=2"), []string{"b  c1", "b k/1 c1", "b k/1 c2", "c k c1"}; !slices.Equal(got, want) {
		t.Errorf("failures %q, want %q", got, want)
	}
	a := h.do("GET", "/fado/replication/failures?limit=1", "").want(200)
	if a.header.Get("X-Total-Count") != "4" || a.header.Get("Link") == "" {
		t.Errorf("%v", a.header)
	}
	if a = h.do("GET", "/fado/replication/failures?limit=4", ""); a.header.Get("Link") != "" {
		t.Errorf("there is no next page: %v", a.header)
	}
	h.do("GET", "/fado/replication/failures?after=x", "").want(400).says("after", `"x"`, "Link")
}
