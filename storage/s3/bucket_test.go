package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// answers has a storage answer some requests, by method and sub-resource, and records all of them. What
// it has no answer for it grants.
type answers struct {
	to    map[string]string // "PUT versioning": "404 NoSuchBucket", or a body
	asked []string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.Method
	for _, sub := range []string{"versioning", "object-lock", "lifecycle", "location", "list-type"} {
		if r.URL.Query().Has(sub) {
			name += " " + sub
		}
	}
	body, _ := io.ReadAll(r.Body)
	a.asked = append(a.asked, strings.TrimSpace(name+" "+string(body)))
	answer, ok := a.to[name]
	var status int
	var code string
	if n, _ := fmt.Sscanf(answer, "%d %s", &status, &code); ok && n == 2 {
		w.WriteHeader(status)
		answer = "<Error><Code>" + code + "</Code></Error>"
	}
	_, _ = io.WriteString(w, answer)
}

func (a *answers) has(t *testing.T, part string) {
	t.Helper()
	if !strings.Contains(strings.Join(a.asked, "\n"), part) {
		t.Errorf("asked were %q, and no %s", a.asked, part)
	}
}

const (
	versioned = `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	plain     = `<VersioningConfiguration/>`
)

// A bucket counts as made by this call only if the storage says so and it is there then.
func TestMakeBucket(t *testing.T) {
	for name, tc := range map[string]struct {
		put, versioning string
		made            bool
		want            error
	}{
		"made":                       {versioning: plain, made: true},
		"another was faster":         {put: "409 BucketAlreadyOwnedByYou", versioning: plain},
		"another account's":          {put: "409 BucketAlreadyExists", want: ErrDenied},
		"not allowed":                {put: "403 AccessDenied", want: ErrDenied},
		"acknowledged and not there": {versioning: "404 NoSuchBucket", want: ErrUnavailable},
	} {
		a := &answers{to: map[string]string{"PUT": tc.put, "GET versioning": tc.versioning}}
		made, err := fake(t, a.ServeHTTP).Buckets.Make(t.Context(), "bucket", false)
		if made != tc.made || !errors.Is(err, tc.want) {
			t.Errorf("%s: made: %t, %v; want %t, %v", name, made, err, tc.made, tc.want)
		}
	}
}

// Versioning is on when the bucket says so, not when the switch was acknowledged.
func TestEnableVersioning(t *testing.T) {
	for name, tc := range map[string]struct {
		put, get string
		want     error
	}{
		"switched on":                    {get: versioned},
		"acknowledged and off":           {get: plain, want: ErrUnavailable},
		"not allowed":                    {put: "403 AccessDenied", want: ErrDenied},
		"the storage has no such switch": {put: "501 NotImplemented", want: ErrUnsupported},
	} {
		a := &answers{to: map[string]string{"PUT versioning": tc.put, "GET versioning": tc.get}}
		if err := fake(t, a.ServeHTTP).Buckets.EnableVersioning(t.Context(), "bucket"); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		a.has(t, "<Status>Enabled</Status>")
	}
}

// A setting that is refused, or not known of, is none; a storage that is away says nothing of it.
func TestConfigured(t *testing.T) {
	for answer, want := range map[string]struct {
		has bool
		err error
	}{
		"<LifecycleConfiguration/>":          {has: true},
		"404 NoSuchLifecycleConfiguration":   {},
		"403 AccessDenied":                   {},
		"501 NotImplemented":                 {},
		"404 NoSuchBucket":                   {err: ErrNoBucket},
		"503 SlowDown":                       {err: ErrUnavailable},
		"500 InternalError and nothing more": {err: ErrUnavailable},
	} {
		a := &answers{to: map[string]string{"GET lifecycle": answer}}
		if has, err := fake(t, a.ServeHTTP).Buckets.Configured(t.Context(), "bucket", "lifecycle"); has != want.has || !errors.Is(err, want.err) {
			t.Errorf("%s: %t, %v; want %t, %v", answer, has, err, want.has, want.err)
		}
	}
}

// A bucket has no object lock, object lock without a rule, or with one; a rule is set as it was read.
func TestLockRules(t *testing.T) {
	const lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>%s</ObjectLockConfiguration>"
	for answer, want := range map[string]struct {
		rule  LockRule
		locks bool
	}{
		"404 ObjectLockConfigurationNotFoundError": {},
		fmt.Sprintf(lock, ""):                      {locks: true},
		fmt.Sprintf(lock, "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule>"):  {LockRule{minio.Governance, 30, minio.Days}, true},
		fmt.Sprintf(lock, "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>2</Years></DefaultRetention></Rule>"): {LockRule{minio.Compliance, 2, minio.Years}, true},
	} {
		a := &answers{to: map[string]string{"GET object-lock": answer}}
		c := fake(t, a.ServeHTTP)
		rule, locks, err := c.Buckets.LockRule(t.Context(), "bucket")
		if err != nil || rule != want.rule || locks != want.locks {
			t.Errorf("%s: %+v, %t, %v", answer, rule, locks, err)
		}
		if !locks {
			continue
		}
		if err := c.Buckets.SetLockRule(t.Context(), "bucket", rule); err != nil {
			t.Errorf("setting %+v: %v", rule, err)
		}
		if rule.For > 0 {
			a.has(t, fmt.Sprintf("<Mode>%s</Mode>", rule.Mode))
			a.has(t, fmt.Sprintf(">%d</", rule.For))
		}
	}
}

// The dates of all buckets are read, page by page, and an answer that names its own page ends that.
func TestBirths(t *testing.T) {
	pages := map[string]string{"": "two", "two": "three", "three": "three"}
	asked := 0
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		token := r.URL.Query().Get("continuation-token")
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"ListAllMyBucketsResult"`
			Name    string   `xml:"Buckets>Bucket>Name"`
			Date    string   `xml:"Buckets>Bucket>CreationDate"`
			Next    string   `xml:"ContinuationToken"`
		}{Name: "b-" + token, Date: "2026-01-02T03:04:05.678+01:00", Next: pages[token]})
	})
	births, err := c.Births(t.Context())
	if err != nil || asked != 3 || len(births) != 3 {
		t.Fatalf("%d pages: %v, %v", asked, births, err)
	}
	if want := time.Date(2026, 1, 2, 2, 4, 5, 678e6, time.UTC); births["b-two"] != want {
		t.Errorf("b-two was born %s, want %s", births["b-two"], want)
	}
	for _, rubbish := range []string{"", "<html></html>", "<ListAllMyBucketsResult><Buckets><Bucket><CreationDate>lately</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, rubbish) })
		if births, err := c.Births(t.Context()); err == nil {
			t.Errorf("%q tells of %v", rubbish, births)
		}
	}
}
