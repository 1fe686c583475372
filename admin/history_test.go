package admin

import (
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
)

// What was measured comes back as columns, with null where nothing is known.
func TestHistory(t *testing.T) {
	h := start(t, control.Config{})
	first := time.Unix(1_800_000_000, 0).UTC()
	for i := range 4 {
		samples := []history.Sample{{Series: "a", Value: float64(i)}}
		if i == 2 {
			samples = []history.Sample{{Series: "b", Value: 7}}
		}
		h.backend.history.Put(first.Add(time.Duration(i)*10*time.Second), samples)
	}
	query := fmt.Sprintf("from=%s&to=%s", first.Format(time.RFC3339), first.Add(30*time.Second).Format(time.RFC3339))
	for more, want := range map[string]string{
		"":                           `{"from":"2027-01-15T08:00:00Z","step":10,"series":[{"name":"a","values":[0,1,null,3]},{"name":"b","values":[null,null,7,null]}]}`,
		"&series=a.&series=b":        `{"from":"2027-01-15T08:00:00Z","step":10,"series":[{"name":"b","values":[null,null,7,null]}]}`,
		"&series=b":                  `{"from":"2027-01-15T08:00:00Z","step":10,"series":[{"name":"b","values":[null,null,7,null]}]}`,
		"&series=a&series=x&step=20": `{"from":"2027-01-15T08:00:00Z","step":20,"series":[{"name":"a","values":[0.5,3]},{"name":"x","values":[null,null]}]}`,
	} {
		if got := string(h.do("GET", "/fado/history?"+query+more, "").want(200).body); got != want+"\n" {
			t.Errorf("%s: %s", more, got)
		}
	}
	if a := h.do("GET", "/fado/history/series", "").want(200); string(a.body) != `{"kept":true,"step":10,"series":["a","b"]}`+"\n" {
		t.Errorf("series: %s", a.body)
	}
	for bad, says := range map[string]string{
		"?from=yesterday": "RFC 3339", "?step=0": "from 1 to 86400", "?from=2100-01-01T00:00:00Z": "before",
	} {
		h.do("GET", "/fado/history"+bad, "").want(400).says(says)
	}
	h.backend.history = nil
	h.do("GET", "/fado/history", "").want(503).says("history off")
	if a := h.do("GET", "/fado/history/series", "").want(200); a.at("kept") != false {
		t.Errorf("series: %s", a.body)
	}
}
