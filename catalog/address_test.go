package catalog_test

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/catalog/catalogtest"
)

// A storage's address is stored with what was learnt there, so that it is the same in every
// version: the first eight bytes of the SHA-256 of the endpoint and the prefix, the last bit set.
func TestAddressesStayTheSame(t *testing.T) {
	t.Parallel()
	for want, s := range map[int64]catalog.Storage{
		4035310738668873303: {Endpoint: "http://s3.example"},
		5337416936849967615: {Endpoint: "https://s3.example", BucketPrefix: "team-"},
	} {
		if got := s.Address(); got != want {
			t.Errorf("%s, prefix %q: %d, want %d", s.Endpoint, s.BucketPrefix, got, want)
		}
	}
}

// Endpoints are compared as connections go: however one is written, and whatever else is
// declared of the storage, it is the same place; another scheme, host, port or prefix is another.
func TestAddressesTellStoragesApart(t *testing.T) {
	t.Parallel()
	one := (&catalog.Storage{Endpoint: "https://s3.example:443", BucketPrefix: "a-"}).Address()
	for name, s := range map[string]catalog.Storage{
		"without the port":       {Endpoint: "https://s3.example", BucketPrefix: "a-"},
		"with a slash":           {Endpoint: "https://s3.example/", BucketPrefix: "a-"},
		"in capitals":            {Endpoint: "HTTPS://S3.Example", BucketPrefix: "a-"},
		"with zeros in the port": {Endpoint: "https://s3.example:0443", BucketPrefix: "a-"},
		"with other keys":        {Endpoint: "https://s3.example", BucketPrefix: "a-", AccessKey: "k", SecretKey: "s", Region: "eu-1", Capacity: 7},
	} {
		if got := s.Address(); got != one {
			t.Errorf("%s, %s is another place", name, s.Endpoint)
		}
	}
	seen := map[int64]string{one: "the first"}
	for _, s := range []catalog.Storage{
		{},
		{Endpoint: "rubbish"},
		{Endpoint: "https://s3.example"},
		{Endpoint: "https://s3.example", BucketPrefix: "a"},
		{Endpoint: "http://s3.example", BucketPrefix: "a-"},
		{Endpoint: "http://s3.example:443", BucketPrefix: "a-"},
		{Endpoint: "https://s3.example:8443", BucketPrefix: "a-"},
		{Endpoint: "https://s4.example", BucketPrefix: "a-"},
	} {
		got := s.Address()
		if former, known := seen[got]; known || got == 0 {
			t.Errorf("%+v has the address %d, that of %s", s, got, former)
		}
		seen[got] = s.Endpoint
	}
}

// Two clusters with one endpoint and prefix would share their data, however the endpoint is
// written. The first by name is told.
func TestSharedStorageIsFoundHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ mine, other string }{
		{"http://s3.example", "http://s3.example."},
		{"http://S3.example:80", "http://s3.example"},
		{"http://[::1]:9000", "http://[0:0:0:0:0:0:0:1]:9000"},
		{"http://127.0.0.1:9000", "http://[::ffff:127.0.0.1]:9000"},
		{"not a URL", "not a URL"},
	} {
		in := catalogtest.New(
			&catalog.Cluster{Name: "z", Storage: &catalog.Storage{Endpoint: tc.other}},
			&catalog.Cluster{Name: "b", Storage: &catalog.Storage{Endpoint: tc.other}},
			&catalog.Cluster{Name: "a", Storage: &catalog.Storage{Endpoint: tc.other, BucketPrefix: "a-"}},
			&catalog.Cluster{Name: "none"},
		)
		mine := &catalog.Cluster{Name: "mine", Storage: &catalog.Storage{Endpoint: tc.mine}}
		if got := catalog.SharedStorage(mine, in); got != "b" {
			t.Errorf("%s beside %s: shared with %q, want b", tc.mine, tc.other, got)
		}
		mine.Name = "b" // which it replaces
		if got := catalog.SharedStorage(mine, in); got != "z" {
			t.Errorf("%s in place of %s: shared with %q, want z", tc.mine, tc.other, got)
		}
	}
	in := catalogtest.New(&catalog.Cluster{Name: "b", Storage: &catalog.Storage{Endpoint: "http://s3.example"}})
	for _, c := range []*catalog.Cluster{
		{Name: "none"},
		{Name: "tls", Storage: &catalog.Storage{Endpoint: "https://s3.example"}},
		{Name: "port", Storage: &catalog.Storage{Endpoint: "http://s3.example:81"}},
		{Name: "prefix", Storage: &catalog.Storage{Endpoint: "http://s3.example", BucketPrefix: "p-"}},
	} {
		if got := catalog.SharedStorage(c, in); got != "" {
			t.Errorf("%s shares the storage of %s", c.Name, got)
		}
	}
}
