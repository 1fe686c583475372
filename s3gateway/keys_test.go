package s3gateway

import (
	"context"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// A key made at /fado/keys works until it is removed, changed or over, for what it allows; one that
// the endpoint declares hides it.
func TestMadeKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.keys["declared"] = &catalog.Key{Secret: "declared-secret"} })
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	for _, b := range []string{"team-a", "other"} {
		w.bucket(b, "one", "c1")
		w.put(b, "k", "in "+b)
	}
	ctx := context.Background()
	makeKey := func(k *catalog.Key) {
		t.Helper()
		if _, _, err := w.ctl.Resources.Replace(ctx, k, control.Precondition{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	get := func(id, secret, bucket string) string {
		c := &minio.Core{Client: w.as(id, secret)}
		_, err := c.ListObjects(bucket, "", "", "", 1)
		return code(err)
	}
	makeKey(&catalog.Key{Name: "made", Secret: "secret-one", Buckets: []string{"team-*"}})
	makeKey(&catalog.Key{Name: "over", Secret: "secret-one", Expires: time.Now().Add(-time.Hour)})
	makeKey(&catalog.Key{Name: "declared", Secret: "secret-one"})
	for _, c := range []struct{ what, got, want string }{
		{"its bucket", get("made", "secret-one", "team-a"), ""},
		{"another bucket", get("made", "secret-one", "other"), "AccessDenied"},
		{"a wrong secret", get("made", "secret-two", "team-a"), "SignatureDoesNotMatch"},
		{"a key that is over", get("over", "secret-one", "team-a"), "ExpiredToken"},
		{"one that is over, without its secret", get("over", "secret-two", "team-a"), "SignatureDoesNotMatch"},
		{"a declared one", get("declared", "declared-secret", "other"), ""},
		{"the one behind it", get("declared", "secret-one", "other"), "SignatureDoesNotMatch"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	makeKey(&catalog.Key{Name: "made", Secret: "secret-two"})
	if a, b := get("made", "secret-one", "team-a"), get("made", "secret-two", "other"); a != "SignatureDoesNotMatch" || b != "" {
		t.Errorf("after a change: %q with the former secret, %q with the new one", a, b)
	}
	if err := w.ctl.Resources.Delete(ctx, catalog.KindKey, "made", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	if got := get("made", "secret-two", "team-a"); got != "InvalidAccessKeyId" {
		t.Errorf("a removed key: %q", got)
	}
}
