package kind

import (
	"encoding/base64"
	"testing"
)

func named(t *testing.T, name string) *Provider {
	t.Helper()
	for _, p := range providers {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no provider %s", name)
	return nil
}

// What a storage may find by a path is no way to other things.
func TestRefuseUpload(t *testing.T) {
	t.Parallel()
	encoded := base64.RawURLEncoding.EncodeToString
	for _, tc := range []struct {
		kind, id string
		refused  bool
	}{
		{"versitygw", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", false},
		{"versitygw", "null", false},
		{"versitygw", "", false},
		{"versitygw", "..", true},
		{"versitygw", "../../../../victim", true},
		{"versitygw", "x/../y", true},
		{"versitygw", encoded([]byte("d.../x")), false}, // no path to it
		{"MinIO", encoded([]byte("1b9d6bcd.4b2dx17")), false},
		{"MinIO", encoded([]byte("1b9d6bcd.../" + "0123")), true},
		{"MinIO", encoded([]byte("1b9d6bcd...")), true},
		{"MinIO", encoded([]byte("1b9d6bcd")), false},
		{"MinIO", "../x", true},
		{"AWS S3", "VXBsb2FkIElE.abc--_", false},
		{"S3", "a/b+c==", false},
		{"S3", "2~a..b", false},
		{"S3", "a/../b", true},
		{"S3", `a\..\b`, true},
	} {
		if why := named(t, tc.kind).RefuseUpload(tc.id); (why != "") != tc.refused {
			t.Errorf("%s: %q: %q, refused: %t", tc.kind, tc.id, why, tc.refused)
		}
	}
}

// A key leads out of no bucket, whatever the storage is.
func TestRefuseLeaving(t *testing.T) {
	t.Parallel()
	for key, refused := range map[string]bool{
		"a//b": false, "/a": false, "a/../b": false, "./a": false, "..a": false, "a/..": false,
		"..": true, "../b": true, "a/../../b": true, "/../b": true, "./../b": true, "a//../../b": true,
	} {
		if why := named(t, "S3").Refuse(key, 1); (why != "") != refused {
			t.Errorf("%q: %q, refused: %t", key, why, refused)
		}
	}
}
