package catalog_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fado-project/fado/catalog"
)

// FuzzDecodeResource holds that no body makes the decoder fail otherwise than by a
// ValidationError, and that what it accepts has a canonical form which reads back to
// itself.
func FuzzDecodeResource(f *testing.F) {
	f.Add("zone", []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r, err := catalog.DecodeResource(catalog.Kind(kind), body)
		if catalog.NewResource(catalog.Kind(kind)) == nil {
			if err == nil {
				t.Fatalf("%q is no kind, and was decoded", kind)
			}
			return
		}
		if err != nil {
			if invalid := new(catalog.ValidationError); !errors.As(err, &invalid) || len(invalid.Violations) == 0 {
				t.Fatalf("an error without violations: %v", err)
			}
			return
		}
		canonical, err := catalog.EncodeResource(r)
		if err != nil {
			return // a balance that is not JSON; validation names it
		}
		r, err = catalog.DecodeResource(catalog.Kind(kind), canonical)
		if err != nil {
			t.Fatalf("the canonical form %s is refused: %v", canonical, err)
		}
		if again, err := catalog.EncodeResource(r); err != nil || !bytes.Equal(again, canonical) {
			t.Errorf("%s\nreads back as %s (%v)", canonical, again, err)
		}
	})
}
