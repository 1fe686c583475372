package eventhook

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

// realApp is a control on a SQLite store of its own and an engine at rest: enough to
// note hints durably.
type realApp struct {
	ctl    *control.Control
	engine *replication.Engine
}

func (a realApp) Control() *control.Control        { return a.ctl }
func (a realApp) Replication() *replication.Engine { return a.engine }

// newApp returns an app with the bucket photos, written in c1 and copied to c2. In c2
// its physical bucket is edge-photos.
func newApp(t *testing.T) realApp {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	ctl, err := control.New(control.Options{Store: store, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ctl.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ctl.Close)
	_, err = ctl.Attach(t.Context(), control.Config{
		Zones: []*catalog.Zone{{Name: "eu"}},
		Clusters: []*catalog.Cluster{
			{Name: "c1", Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://127.0.0.1:1"}},
			{Name: "c2", Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://127.0.0.1:2", BucketPrefix: "edge-"}},
		},
		Policies: []*catalog.Policy{{Name: "two", Copies: catalog.Copies{N: 2}}},
		Buckets:  []*catalog.Bucket{{Name: "photos", Policy: "two", Primary: "c1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = ctl.Copies.Update(t.Context(), "photos", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
			{Bucket: "photos", Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return realApp{ctl, replication.New(replication.Options{
		Control: ctl, Log: zap.NewNop(),
		Open: func(string, *catalog.Storage) (storage.Storage, error) { return nil, errors.New("no storage here") },
	})}
}

// An event is answered 202 once the object is an exception to freshness, durably, in
// every cluster it concerns.
func TestHintsAreDurable(t *testing.T) {
	for name, tc := range map[string]struct {
		target, bucket string
		noted          bool
	}{
		"at the primary":                 {"/?cluster=c1", "photos", true},
		"anywhere":                       {"/", "photos", true},
		"at the copy":                    {"/?cluster=c2", "edge-photos", true},
		"a bucket that FaDO has not":     {"/", "other", false},
		"the primary's name at the copy": {"/?cluster=c2", "photos", false},
	} {
		t.Run(name, func(t *testing.T) {
			app := newApp(t)
			body := strings.ReplaceAll(minioEvent, "photos", tc.bucket)
			w := serve(t, newHandler(appSink{app}), request("POST", tc.target, "Bearer s3cret", body))
			if w.Code != http.StatusAccepted {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			rows, err := app.ctl.Store().Queue().ListPending(t.Context(), state.PendingFilter{}, state.PendingKey{}, 10)
			if err != nil {
				t.Fatal(err)
			}
			var noted []string
			for _, row := range rows {
				noted = append(noted, row.Bucket+"/"+row.Key+"@"+row.Cluster)
			}
			var want []string
			if tc.noted { // under each name that the key may stand for
				want = []string{"photos/a b.jpg@c2", "photos/a+b.jpg@c2"}
			}
			if !slices.Equal(noted, want) {
				t.Errorf("noted %q, want %q", noted, want)
			}
			for _, key := range []string{"a b.jpg", "a+b.jpg"} {
				if has := app.ctl.Router().Pending.Has("photos", key, "c2"); has != tc.noted {
					t.Errorf("routing knows of %q: %v", key, has)
				}
			}
		})
	}
}

func TestStoreGone(t *testing.T) {
	app := newApp(t)
	if err := app.ctl.Store().Close(); err != nil {
		t.Fatal(err)
	}
	w := serve(t, newHandler(appSink{app}), request("POST", "/", "Bearer s3cret", minioEvent))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestUnknownCluster(t *testing.T) {
	app := newApp(t)
	w := serve(t, newHandler(appSink{app}), request("POST", "/?cluster=c3", "Bearer s3cret", minioEvent))
	if w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Before the app has started nothing can be noted, and nothing is accepted.
func TestAppNotStarted(t *testing.T) {
	w := serve(t, newHandler(appSink{realApp{}}), request("POST", "/", "Bearer s3cret", minioEvent))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = serve(t, newHandler(appSink{realApp{}}), request("POST", "/?cluster=c1", "Bearer s3cret", minioEvent))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s, want a 503: whether c1 exists is not known yet", w.Code, w.Body)
	}
}
