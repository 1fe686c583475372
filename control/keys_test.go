package control_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

func accessKey(name, secret string) *catalog.Key {
	k := &catalog.Key{Name: name, Secret: secret}
	k.Normalize()
	return k
}

func (w *world) secretOf(name string) string {
	if k := w.Router().Snapshot().Key(name); k != nil {
		return k.Secret
	}
	return ""
}

// A key works, with the secret of its last change, once that is answered, after a restart too, and
// no longer once its removal is.
func TestKeysWorkWhenAnswered(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.create(t, accessKey("AKIA1", "secret-one"))
	if got := w.secretOf("AKIA1"); got != "secret-one" {
		t.Fatal(got)
	}
	if _, _, err := w.Resources.Replace(ctx, accessKey("AKIA1", "secret-two"), control.Precondition{}, nil); err != nil || w.secretOf("AKIA1") != "secret-two" {
		t.Fatal(w.secretOf("AKIA1"), err)
	}
	if _, err := w.Resources.Create(ctx, accessKey("AKIA1", "secret-three")); !errors.Is(err, control.ErrExists) {
		t.Fatal(err)
	}
	w.close()
	w = open(t, w.path)
	if _, err := w.Attach(ctx, control.Config{}); err != nil || w.secretOf("AKIA1") != "secret-two" {
		t.Fatal(w.secretOf("AKIA1"), err)
	}
	if err := w.Resources.Delete(ctx, catalog.KindKey, "AKIA1", control.Precondition{}); err != nil || w.secretOf("AKIA1") != "" {
		t.Fatal(w.secretOf("AKIA1"), err)
	}
}

// A key that an S3 endpoint of the configuration declares is shown, can't be changed, and is that
// endpoint's alone; one of its name that the API made does not work meanwhile.
func TestDeclaredKeysHideTheAPIs(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.create(t, accessKey("AKIA1", "of-the-api"))
	at, err := w.Attach(ctx, control.Config{Keys: []*catalog.Key{accessKey("AKIA1", "of-the-config")}})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.secretOf("AKIA1"); got != "" {
		t.Fatalf("%q works beside the declared key", got)
	}
	it, err := w.Resources.Get(ctx, catalog.KindKey, "AKIA1")
	if err != nil || it.Origin != control.OriginConfig || it.Resource.(*catalog.Key).Secret != "of-the-config" {
		t.Fatal(it, err)
	}
	if err := w.Resources.Delete(ctx, catalog.KindKey, "AKIA1", control.Precondition{}); !errors.Is(err, control.ErrConfigOwned) {
		t.Fatal(err)
	}
	other, err := w.Attach(ctx, control.Config{Keys: []*catalog.Key{accessKey("AKIA1", "something-else")}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.Resources.Get(ctx, catalog.KindKey, "AKIA1")
	if err != nil || again.ETag != it.ETag {
		t.Fatalf("the entity tag tells of the secret: %s, %s, %v", it.ETag, again.ETag, err)
	}
	other.Detach()
	at.Detach()
	if got := w.secretOf("AKIA1"); got != "of-the-api" {
		t.Fatalf("%q, not the API's key again", got)
	}
	bad := control.Config{Keys: []*catalog.Key{accessKey("AKIA2", "short")}}
	if _, err := w.Attach(ctx, bad); err == nil {
		t.Fatal("a key that is none is declared")
	}
}

// With a declared key, a store that is loaded has no other in its place.
func TestDeclaredKeysHideThoseLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	w := open(t, path)
	ctx := context.Background()
	if _, err := w.Attach(ctx, control.Config{Keys: []*catalog.Key{accessKey("AKIA1", "of-the-config")}}); err != nil {
		t.Fatal(err)
	}
	w.create(t, accessKey("AKIA2", "of-the-api"))
	if _, err := w.Resources.Create(ctx, accessKey("AKIA1", "of-the-api")); !errors.Is(err, control.ErrExists) {
		t.Fatal(err)
	}
	items, err := w.Resources.List(ctx, catalog.KindKey, "", 0)
	if err != nil || len(items) != 2 || items[0].Origin != control.OriginConfig || items[1].Origin != control.OriginAPI {
		t.Fatal(items, err)
	}
}

// With several instances, a key that was removed or changed works nowhere when the answer comes.
func TestRemovedKeysWorkOnNoInstance(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a, b := join(t, dsn), join(t, dsn)
	ctx := context.Background()
	for range 5 {
		a.must(t, accessKey("AKIA1", "secret-one"))
		if k := b.Router().Snapshot().Key("AKIA1"); k == nil || k.Secret != "secret-one" {
			t.Fatal("the other instance does not know the key: ", k)
		}
		a.must(t, accessKey("AKIA1", "secret-two"))
		if k := b.Router().Snapshot().Key("AKIA1"); k == nil || k.Secret != "secret-two" {
			t.Fatal("the former secret works on the other instance")
		}
		if err := b.Resources.Delete(ctx, catalog.KindKey, "AKIA1", control.Precondition{}); err != nil {
			t.Fatal(err)
		}
		if a.Router().Snapshot().Key("AKIA1") != nil {
			t.Fatal("a removed key works on the other instance")
		}
	}
}
