package replication

import (
	"reflect"
	"testing"
	"time"
)

// What is stored by one version is read by the next: these texts are those of the first.
func TestStoredVerification(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]storedVerification{
		`{"show":{"bucket":"b","state":"running","deep":true,"error":"e","started":"2026-03-04T05:06:07Z","finished":null,"objects":1,"bytes":2,"total":3,"total_bytes":4,` +
			`"estimate":null,"mismatches":5,"repaired":6,"unrepairable":7,"keys":[{"key":"k","cluster":"c2","reason":"r","state":"repairing"}]},` +
			`"done":["one"],"step":"two","cursor":"k","at":{"objects":8,"bytes":9},"repairs":[{"k":"k","c":"c2"}]}`: {
			Show: Verification{
				Bucket: "b", State: verifyRunning, Deep: true, Error: "e", Started: &at, Objects: 1, Bytes: 2, Total: 3, TotalBytes: 4,
				Mismatches: 5, Repaired: 6, Unrepairable: 7,
				Keys: []Mismatch{{Key: "k", Cluster: "c2", Reason: "r", State: mismatchRepairing}},
			},
			Done: []string{"one"}, Step: "two", Cursor: "k", At: compared{8, 9}, Repairs: []objectKey{{"k", "c2"}},
		},
		`{"show":{"bucket":"b","state":"done","deep":false,"error":"","started":null,"finished":"2026-03-04T05:06:07Z","objects":0,"bytes":0,"total":0,"total_bytes":0,` +
			`"estimate":null,"mismatches":0,"repaired":0,"unrepairable":0,"keys":[]}}`: {
			Show: Verification{Bucket: "b", State: verifyDone, Finished: &at, Keys: []Mismatch{}},
		},
	} {
		var got storedVerification
		if err := decodeVerification(text, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, want %+v", got, want)
		}
		if again, err := encodeVerification(got); err != nil || again != text {
			t.Errorf("stored %s (%v), want %s", again, err, text)
		}
	}
}
