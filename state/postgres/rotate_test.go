package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

var newKey = []byte("the new key")

func putSecret(s *Store, name, secret string) error {
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindCluster, Name: name, Body: fmt.Appendf(nil, `{"name":%q,"storage":{"secret_key":%q}}`, name, secret)})
	})
	return err
}

func secretOf(s *Store, name, want string) error {
	r, err := s.Catalogue().Get(ctx, catalog.KindCluster, name)
	if err == nil && !bytes.Contains(r.Body, []byte(`"`+want+`"`)) {
		err = fmt.Errorf("%s has %s, want %s", name, r.Body, want)
	}
	return err
}

func oldAndNew(o *Options) { o.Key, o.FormerKeys = newKey, [][]byte{testKey} }

// TestRotateKey rotates under instances that run: those that have both keys go on, one
// that has the former only is told what to do.
func TestRotateKey(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	late, ready := openAt(t, dsn), openAt(t, dsn, oldAndNew)
	if err := errors.Join(putSecret(ready, "c1", "one"), secretOf(late, "c1", "one")); err != nil {
		t.Fatal(err) // the former key is in force for both
	}
	if _, err := ready.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindKey, Name: "AKIA1", Body: []byte(`{"secret":"hush"}`)})
	}); err != nil {
		t.Fatal(err)
	}
	tool := openAt(t, dsn)
	if n, err := tool.RotateKey(ctx, newKey); n != 2 || err != nil {
		t.Fatalf("sealed again: %d, error %v", n, err)
	}
	if err := errors.Join(secretOf(tool, "c1", "one"), secretOf(ready, "c1", "one"), putSecret(ready, "c2", "two")); err != nil {
		t.Fatal(err)
	}
	for doing, err := range map[string]error{"reading": secretOf(late, "c1", "one"), "writing": putSecret(late, "c3", "three")} {
		if !errors.Is(err, state.ErrNoKey) || !strings.Contains(err.Error(), "sealed with another key since") {
			t.Errorf("%s with the former key: %v", doing, err)
		}
	}
	after := openAt(t, dsn, func(o *Options) { o.Key = newKey })
	if err := errors.Join(secretOf(after, "c1", "one"), secretOf(after, "c2", "two")); err != nil {
		t.Error(err)
	}
	if r, err := after.Catalogue().Get(ctx, catalog.KindKey, "AKIA1"); err != nil || string(r.Body) != `{"secret":"hush"}` {
		t.Errorf("the access key is %s, error %v", r.Body, err)
	}
	if _, err := Open(ctx, Options{DSN: dsn, Key: testKey}); !errors.Is(err, state.ErrNoKey) {
		t.Errorf("the former key opens it: %v", err)
	}
	if _, err := after.RotateKey(ctx, nil); !errors.Is(err, state.ErrNoKey) {
		t.Errorf("got error %v", err)
	}
}

// TestRotateKeyUnderLoad rotates to and fro while instances write and read secrets: none
// is ever sealed with a key that is not in force.
func TestRotateKeyUnderLoad(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 3 {
		s, name := openAt(t, dsn, oldAndNew), fmt.Sprintf("c%d", i)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				secret := fmt.Sprint("secret ", n)
				if err := errors.Join(putSecret(s, name, secret), secretOf(s, name, secret)); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	tool := openAt(t, dsn, oldAndNew)
	for i := range 4 {
		key := [][]byte{newKey, testKey}[i%2]
		if _, err := tool.RotateKey(ctx, key); err != nil {
			t.Error(err)
			break
		}
		if _, err := tool.Catalogue().List(ctx, catalog.KindCluster, "", 0); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestReadOnlyChangesNoSchema(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	if _, err := Open(ctx, Options{DSN: dsn, ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "has schema version 0, expected") {
		t.Errorf("got error %v", err)
	}
}
