package document_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
)

// small is a catalogue with something of each kind, in the order of documents.
func small() []catalog.Resource {
	rs := []catalog.Resource{
		&catalog.Zone{Name: "de", Parent: "eu", Labels: map[string]string{"since": "2026-01-01", "no": "no"}},
		&catalog.Zone{Name: "eu"},
		&catalog.Cluster{
			Name: "berlin", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://s3", AccessKey: "a", SecretKey: "***", Capacity: 2e12},
			Functions: []catalog.Function{{URL: "http://f"}}, EgressPrice: 0.09,
		},
		&catalog.Bucket{Name: "photos", Policy: "keep", Prefixes: []catalog.PrefixRule{{Prefix: "line\nend/", Policy: "keep"}}},
	}
	for _, r := range rs {
		r.Normalize()
	}
	return rs
}

// A document is written the same in every version: it lies in people's repositories.
func TestDocumentsAreWrittenCanonically(t *testing.T) {
	t.Parallel()
	const inYAML = `fado: 1
zones:
- name: de
  parent: eu
  labels:
    no: no
    since: "2026-01-01"
- name: eu
clusters:
- name: berlin
  zones:
    - de
  storage:
    endpoint: http://s3
    access_key: a
    secret_key: '***'
    region: us-east-1
    capacity: 2TB
  functions:
    - url: http://f
      weight: 1
  egress_price: 0.09
  drain: false
policies: []
buckets:
- name: photos
  policy: keep
  prefixes:
    - prefix: "line\nend/"
      policy: keep
`
	const inJSON = `{
  "fado": 1,
  "zones": [
    {
      "name": "de",
      "parent": "eu",
      "labels": {
        "no": "no",
        "since": "2026-01-01"
      }
    },
    {
      "name": "eu"
    }
  ],
  "clusters": [
    {
      "name": "berlin",
      "zones": [
        "de"
      ],
      "storage": {
        "endpoint": "http://s3",
        "access_key": "a",
        "secret_key": "***",
        "region": "us-east-1",
        "capacity": "2TB"
      },
      "functions": [
        {
          "url": "http://f",
          "weight": 1
        }
      ],
      "egress_price": 0.09,
      "drain": false
    }
  ],
  "policies": [],
  "buckets": [
    {
      "name": "photos",
      "policy": "keep",
      "prefixes": [
        {
          "prefix": "line\nend/",
          "policy": "keep"
        }
      ]
    }
  ]
}
`
	for f, want := range map[document.Format]string{document.JSON: inJSON, document.YAML: inYAML} {
		if got := string(export(t, f, small())); got != want {
			t.Errorf("in %s it is\n%s\nwant\n%s", f, got, want)
		}
	}
	for f, want := range map[document.Format]string{
		document.JSON: "{\n  \"fado\": 1,\n  \"zones\": [],\n  \"clusters\": [],\n  \"policies\": [],\n  \"buckets\": []\n}\n",
		document.YAML: "fado: 1\nzones: []\nclusters: []\npolicies: []\nbuckets: []\n",
	} {
		got := export(t, f, nil)
		if string(got) != want {
			t.Errorf("an empty catalogue in %s is\n%s\nwant\n%s", f, got, want)
		}
		if doc, err := document.Parse(got, f); err != nil || len(doc.Items) > 0 || doc.Prune {
			t.Errorf("an empty catalogue in %s is read as %+v, %v", f, doc, err)
		}
	}
}

// narrow takes so many bytes and fails from then on.
type narrow struct {
	took bytes.Buffer
	left int
}

var errFull = errors.New("the disk is full")

func (n *narrow) Write(p []byte) (int, error) {
	if len(p) > n.left {
		return 0, errFull
	}
	n.left -= len(p)
	return n.took.Write(p)
}

// What can't be written is an error, wherever that happens, and nothing follows behind the gap.
func TestWritingThatFails(t *testing.T) {
	t.Parallel()
	for _, f := range []document.Format{document.JSON, document.YAML} {
		whole := string(export(t, f, small()))
		for room := range len(whole) {
			n := &narrow{left: room}
			w := document.NewWriter(n, f)
			var err error
			for _, r := range small() {
				if err == nil {
					err = w.Item(r)
				}
			}
			if closed := w.Close(); !errors.Is(closed, errFull) || err != nil && !errors.Is(err, errFull) {
				t.Fatalf("%s with room for %d bytes of %d: %v, %v", f, room, len(whole), err, closed)
			}
			if !strings.HasPrefix(whole, n.took.String()) {
				t.Fatalf("%s with room for %d bytes has a gap:\n%s", f, room, n.took.String())
			}
		}
	}
	// A balance that is no JSON can't be stored; if it were, it could not be exported.
	w := document.NewWriter(new(bytes.Buffer), document.JSON)
	if err := w.Item(&catalog.Policy{Name: "p", Balance: catalog.RawObject("{")}); err == nil || !strings.Contains(err.Error(), "policy p") {
		t.Errorf("%v", err)
	}
}
