package admin

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
	"github.com/fado-project/fado/replication"
)

// Clients script against these bytes. A difference is a change of the API: make it only
// where the change is an addition, with "go test ./admin -run TestGolden -update".
func TestGolden(t *testing.T) {
	full, empty := goldenHarness(t, false), goldenHarness(t, true)
	for _, tc := range []struct{ name, method, path, body string }{
		{"overview", "GET", "/fado/", ""},
		{"openapi", "GET", "/fado/openapi.json", ""},
		{"zones", "GET", "/fado/zones", ""},
		{"clusters", "GET", "/fado/clusters", ""},
		{"cluster", "GET", "/fado/clusters/c1", ""},
		{"policies", "GET", "/fado/policies", ""},
		{"buckets", "GET", "/fado/buckets", ""},
		{"bucket", "GET", "/fado/buckets/photos", ""},
		{"bucket_without_status", "GET", "/fado/buckets/photos?status=false", ""},
		{"route", "GET", "/fado/route?bucket=photos&object=a&data=s3://other/p/", ""},
		{"route_unknown", "GET", "/fado/route?bucket=nowhere", ""},
		{"route_trace", "GET", "/fado/route?bucket=photos&trace=true", ""},
		{"what_if", "POST", "/fado/route", `{"bucket":["photos"],"down":["c1"]}`},
		{"held_deletes", "GET", "/fado/buckets/photos/deletes", ""},
		{"pending", "GET", "/fado/buckets/photos/pending", ""},
		{"placement", "GET", "/fado/buckets/photos/placement", ""},
		{"objects", "GET", "/fado/buckets/photos/objects", ""},
		{"conflicts", "GET", "/fado/buckets/photos/conflicts", ""},
		{"resolve", "POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest"}`},
		{"verification", "GET", "/fado/buckets/photos/verify", ""},
		{"verify", "POST", "/fado/buckets/photos/verify?deep=true", ""},
		{"sync", "POST", "/fado/buckets/photos/sync", ""},
		{"confirm_deletes", "POST", "/fado/buckets/photos/deletes/confirm", ""},
		{"reject_deletes", "POST", "/fado/buckets/photos/deletes/reject", ""},
		{"replication", "GET", "/fado/replication", ""},
		{"failures", "GET", "/fado/replication/failures", ""},
		{"nodes", "GET", "/fado/nodes", ""},
		{"matrix", "GET", "/fado/matrix", ""},
		{"retry", "POST", "/fado/replication/failures/retry", ""},
		{"pause", "POST", "/fado/replication/pause", ""},
		{"resume", "POST", "/fado/replication/resume", ""},
		{"purge", "DELETE", "/fado/buckets/photos?purge=all", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			compareGolden(t, tc.name, full.do(tc.method, tc.path, tc.body))
			if tc.name != "openapi" {
				compareGolden(t, tc.name+".empty", empty.do(tc.method, tc.path, tc.body))
			}
		})
	}
}

// The data of events, with every field and with none.
func TestGoldenEvents(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watch()
	defer closeStream()
	e := filled[control.Event]()
	e.Type = control.EventVerification
	h.ctl.Events().Emit(e)
	h.ctl.Events().Emit(control.Event{Type: control.EventDrain, Time: goldenTime})
	for _, name := range []string{"event", "event.empty"} {
		got := admintest.Next(t, r)
		compareGolden(t, name, answer{t: t, what: name, status: 200, body: []byte(got.Data + "\n")})
	}
}

var goldenTime = time.Date(2026, 3, 4, 5, 6, 7, 80_900_000, time.UTC)

// undated is an answer with goldenTime for what is dated by the hour: since when something is down.
func undated(body []byte) []byte {
	at, _ := goldenTime.MarshalJSON()
	return sincePattern.ReplaceAll(body, append([]byte(`"since":`), at...))
}

var sincePattern = regexp.MustCompile(`"since":"[^"]*"`)

// compareGolden holds an answer against the file of its name.
func compareGolden(t *testing.T, name string, a answer) {
	t.Helper()
	got := fmt.Appendf(nil, "%d\n%s", a.status, undated(a.body))
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what %s holds:\n%s", a.what, file, firstDifference(got, want))
	}
}

// firstDifference shows both texts from shortly before where they part.
func firstDifference(got, want []byte) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	from := max(0, i-60)
	return fmt.Sprintf("got  …%.300s\nwant …%.300s", got[from:], want[from:])
}

// goldenHarness returns a harness whose answers have every field set, or none of those
// that may be missing.
func goldenHarness(t *testing.T, empty bool) *harness {
	t.Helper()
	h := start(t, control.Config{})
	for _, item := range [][2]string{
		{"zones", `{"name":"eu"}`},
		{"zones", `{"name":"de","parent":"eu","labels":{"country":"<de>"}}`},
		{"clusters", `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://127.0.0.1:9010","access_key":"AK","secret_key":"hunter2","region":"eu-1","bucket_prefix":"x-","virtual_host":true,"capacity":"2TB","bandwidth":"1MB"},` +
			`"functions":[{"url":"http://127.0.0.1:9101/base","weight":2,"max_requests":3,"health_path":"/up"}],"labels":{"a":"b"},"drain":true}`},
		{"clusters", `{"name":"c2","zones":["eu"]}`},
		{"policies", `{"name":"p1","copies":"all","zones":["eu"],"exclude_zones":[],"clusters":["c1","c2"],"prefer":["c2"],"spread":"cluster","writes":"anywhere","balance":{"policy":"random"},"on_miss":"pull","pull_timeout":"1s","pull_ttl":"1d"}`},
		{"buckets", `{"name":"photos","policy":"p1","prefixes":[{"prefix":"raw/","policy":"p1"}]}`},
		{"buckets", `{"name":"other"}`},
	} {
		h.do("POST", "/fado/"+item[0], item[1]).want(201)
	}
	cat := &goldenCatalogue{catalogue: catalogueOf(h.ctl)}
	if !empty {
		cat.full = true
		h.engine.status = filled[replication.Status]()
		setStates(h.engine.status.Verifications)
		h.engine.failures = filled[[]replication.Failure]()
		h.engine.instances = filled[[]replication.Instance]()
		h.engine.page = filled[replication.ObjectPage]()
		h.engine.conflicts = filled[[]replication.Conflict]()
		h.engine.resolution = filled[replication.Resolution]()
		for i := range h.engine.resolution.Refused {
			h.engine.resolution.Refused[i].Lossy = false // would add to the reason
		}
		vs := filled[[]replication.Verification]()
		setStates(vs)
		h.engine.verification = vs[0]
		st := filled[replication.StorageStatus]()
		st.State = "down"
		h.engine.drain = filled[replication.DrainStatus]()
		h.engine.drain.State = "done"
		h.engine.storages = map[string]replication.StorageStatus{"c1": st}
	}
	for _, ep := range h.ctl.Router().Snapshot().Endpoints() {
		ep.Live.SetHealthy(empty, "no answer")
		ep.Live.InFlight.Store(4)
	}
	h.backend.catalogue = cat
	return h
}

// setStates gives verifications states that the document lists.
func setStates(vs []replication.Verification) {
	for i := range vs {
		vs[i].State = "repairing"
		for j := range vs[i].Keys {
			vs[i].Keys[j].State = "unrepairable"
		}
	}
}

// goldenCatalogue answers with what does not depend on the hour.
type goldenCatalogue struct {
	catalogue
	full bool
}

func (c *goldenCatalogue) Buckets(_ context.Context, buckets ...string) (map[string]control.BucketStatus, error) {
	all := make(map[string]control.BucketStatus)
	for _, b := range buckets {
		st := control.BucketStatus{State: control.BucketOK, Copies: []control.CopyStatus{{Role: "primary", State: "synced", Losses: []string{}}}}
		if c.full {
			st = filled[control.BucketStatus]()
			st.State = control.BucketConflict
			for i := range st.Copies {
				st.Copies[i].Role, st.Copies[i].State = "copy", "syncing"
				for j := range st.Prefixes[i].Copies {
					st.Prefixes[i].Copies[j].Role, st.Prefixes[i].Copies[j].State = "copy", "syncing"
				}
			}
		}
		all[b] = st
	}
	return all, nil
}

func (c *goldenCatalogue) SnapshotAge() time.Duration { return 1500 * time.Millisecond }

// filled returns a value of a type whose every field is set, by its name alone: the
// order of fields does not matter, and neither do their number and the type's name.
func filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), "value")
	return v
}

func fill(v reflect.Value, name string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(goldenTime))
		return
	}
	number := int64(crc32.ChecksumIEEE([]byte(name)) % 100_000)
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), fmt.Sprint(name, i))
		}
	case reflect.String:
		v.SetString(strings.ToLower(name) + " <of> it")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(number)
	case reflect.Float64:
		v.SetFloat(float64(number) / 8)
	case reflect.Interface: // an error, or nothing that is shown
	default:
		panic("a field of kind " + v.Kind().String())
	}
}
